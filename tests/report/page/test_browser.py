"""The page in Chromium: sorting, explanations, dialogs, queries, slices; by keyboard, on a phone, in light and dark."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from ragcun.evaluation import statistics

pytestmark = pytest.mark.long


@pytest.fixture
def opened(browser: webdriver.Chrome, page: Path) -> webdriver.Chrome:
    browser.get(page.as_uri())
    return browser


def all_of(driver: webdriver.Chrome, selector: str) -> list[Any]:
    return driver.find_elements(By.CSS_SELECTOR, selector)


def column(driver: webdriver.Chrome, table: str, at: int) -> list[str]:
    return [row.text for row in all_of(driver, f"{table} tbody tr > :nth-child({at})")]


def test_the_page_works_without_an_error_and_runs_no_text_as_a_script(opened: webdriver.Chrome) -> None:
    assert opened.execute_script("return window.hacked") is None
    assert opened.get_log("browser") == []
    assert opened.title == "Retrieval results"
    assert "3 systems on 2 datasets with 120 queries" in all_of(opened, "#summary")[0].text
    assert "Short & <b>wide</b>" in all_of(opened, "#results-table")[0].text


def test_headings_sort_and_say_so(opened: webdriver.Chrome) -> None:
    head = all_of(opened, "#results-table thead th")[1]
    before = column(opened, "#results-table", 2)
    values = [float(text.rstrip("+−")) for text in before]
    assert len(set(values)) > 1
    assert head.get_attribute("aria-sort") == "none"
    head.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    assert head.get_attribute("aria-sort") == "descending"
    assert [float(text.rstrip("+−")) for text in column(opened, "#results-table", 2)] == sorted(values, reverse=True)
    head.find_element(By.TAG_NAME, "button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert [float(text.rstrip("+−")) for text in column(opened, "#results-table", 2)] == sorted(values)


def test_a_score_is_explained_to_pointer_and_keyboard(opened: webdriver.Chrome) -> None:
    tip, score = all_of(opened, "#tip")[0], all_of(opened, "#results-table tbody tr:nth-child(2) button.score")[0]
    assert not tip.is_displayed()
    ActionChains(opened).move_to_element(score).perform()
    assert tip.is_displayed()
    assert "against BM25" in tip.text
    assert "95% interval" in tip.text
    ActionChains(opened).move_to_element(all_of(opened, "h1")[0]).perform()
    assert not tip.is_displayed()
    opened.execute_script("arguments[0].focus()", score)
    assert tip.is_displayed()
    assert score.get_attribute("aria-describedby") == "tip"


def test_a_score_opens_its_record_and_the_keyboard_comes_back(opened: webdriver.Chrome) -> None:
    score = all_of(opened, "#results-table button.score")[0]
    score.send_keys(Keys.ENTER)
    [dialog] = all_of(opened, "dialog[open]")
    assert "ragcun eval collection" in dialog.text
    assert "environment.packages.torch" in dialog.text
    ActionChains(opened).send_keys(Keys.ESCAPE).perform()
    assert not all_of(opened, "dialog")
    assert opened.switch_to.active_element == score


def test_a_query_shows_its_text_as_text_and_what_each_system_returned(opened: webdriver.Chrome) -> None:
    search = all_of(opened, "#queries input[type=search]")[0]
    search.send_keys("window.hacked")
    shown = all_of(opened, "#queries tbody button")
    assert {one.text for one in shown} == {
        "a </script><script>window.hacked = 1</script>",
        "ant <img src=x onerror='window.hacked = 1'>",
    }
    shown[0].click()
    assert shown[0].get_attribute("aria-expanded") == "true"
    answers = all_of(opened, "#queries .answer")
    assert len(answers) == 4  # three systems and the relevant documents
    assert "✓ relevant, grade 2" in answers[-1].text
    shown[0].click()
    assert not all_of(opened, "#queries .answer")
    assert opened.execute_script("return window.hacked") is None


def test_wins_and_losses_add_up(opened: webdriver.Chrome) -> None:
    outcome = Select(all_of(opened, "#queries select")[3])
    counts = []
    for name in ("won", "tied", "lost"):
        outcome.select_by_visible_text(name)
        counts.append(int(all_of(opened, "#queries [role=status]")[0].text.split(" of ")[0]))
    assert sum(counts) == 60
    assert min(counts) > 0
    row = [cell.text for cell in all_of(opened, "#compare tbody tr")[0].find_elements(By.TAG_NAME, "td")]
    assert [int(value) for value in row[-3:]] == counts


def test_slices_are_tested_one_by_one(opened: webdriver.Chrome) -> None:
    assert sum(int(text) for text in column(opened, "#slices", 2)) == 120
    Select(all_of(opened, "#slices select")[3]).select_by_value("relevant")
    cuts = all_of(opened, "#slices input")[0]
    cuts.send_keys("3", Keys.TAB)
    assert column(opened, "#slices", 1) == ["below 3", "3 and more"]
    assert column(opened, "#slices", 2) == ["60", "60"]
    assert "Spearman's correlation" in all_of(opened, "#slices .trend")[0].text


def test_the_pages_tests_agree_with_those_of_the_command(opened: webdriver.Chrome) -> None:
    rng = np.random.default_rng(3)
    for size, shift in ((9, 0.1), (40, 0.08), (200, 0.02)):
        values = np.round(rng.normal(shift, 0.25, size) * (rng.random(size) < 0.7), 4)
        expected = statistics.randomisation([(values, 1.0)], np.random.default_rng(0))
        low, high = statistics.interval([(values, 1.0)], np.random.default_rng(0))
        p_value, ends = opened.execute_script(
            "return [randomisation(arguments[0]), interval(arguments[0])]", values.tolist()
        )
        assert p_value == pytest.approx(expected, abs=0.02)
        assert ends == pytest.approx([low, high], abs=0.1 * (high - low))
    p_values = [0.01, 0.04, 0.03, 0.5, 0.01]
    assert opened.execute_script("return holm(arguments[0])", p_values) == pytest.approx(statistics.holm(p_values))


def test_the_pair_is_the_same_in_every_section(opened: webdriver.Chrome) -> None:
    Select(all_of(opened, "#queries select")[0]).select_by_visible_text("</title>")
    first = [all_of(opened, f"#{section} select")[0] for section in ("compare", "slices", "queries")]
    assert {Select(one).first_selected_option.text for one in first} == {"</title>"}
    assert "</title> minus BM25" in all_of(opened, "#compare caption")[0].text


LUMINANCE = """
const [front, back] = arguments;
const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
const light = (hex) => [1, 3, 5].map((at) => channel(parseInt(hex.slice(at, at + 2), 16)))
  .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
const of = (name) => light(getComputedStyle(document.documentElement).getPropertyValue(name).trim());
const [low, high] = [of(front), of(back)].sort((x, y) => x - y);
return (high + 0.05) / (low + 0.05);
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_contrast(opened: webdriver.Chrome, scheme: str) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    ground = opened.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 23, 26)")
    for front in ("--text", "--muted", "--link", "--good", "--bad"):
        for back in ("--ground", "--raised"):
            assert opened.execute_script(LUMINANCE, front, back) >= 4.5, (front, back)
    assert opened.execute_script(LUMINANCE, "--text", "--mark") >= 4.5
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_everything_has_a_name_and_a_place(opened: webdriver.Chrome) -> None:
    unnamed = opened.execute_script("""
      return [...document.querySelectorAll("button, select, input, a, svg, img, [role=region]")]
        .filter((one) => !(one.ariaLabel || one.textContent.trim() || one.alt || one.labels?.length))
        .map((one) => one.outerHTML)""")
    assert unnamed == []
    assert opened.execute_script("return document.querySelectorAll('th:not([scope])').length") == 0
    ids = opened.execute_script("return [...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))
    assert opened.execute_script("return [...document.querySelectorAll('h1')].length") == 1


def test_the_keyboard_reaches_what_it_focuses_visibly(opened: webdriver.Chrome) -> None:
    ActionChains(opened).send_keys(Keys.TAB).perform()
    assert opened.switch_to.active_element.text == "Skip to the results"
    ActionChains(opened).send_keys(Keys.TAB).perform()
    style = "return getComputedStyle(document.activeElement).outlineStyle"
    assert opened.execute_script(style) == "solid"


def test_a_phone_scrolls_tables_and_not_the_page(opened: webdriver.Chrome) -> None:
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        opened.refresh()
        all_of(opened, "#queries tbody button")[0].click()
        assert opened.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
