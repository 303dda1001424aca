"""The page's file: the same bytes each time, within its size, safe, and true to the results."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ragcun.cli.main import app
from ragcun.errors import UserError
from ragcun.evaluation.results import read_results
from ragcun.report.page import write
from ragcun.report.page.write import write_page


def data_of(page: Path) -> dict:
    text = page.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


def test_the_same_results_give_the_same_bytes(page: Path, results: Path, collections: Path, tmp_path: Path) -> None:
    again = write_page([str(results)], tmp_path, data_dirs=[collections])
    assert [path.relative_to(tmp_path).as_posix() for path in again] == [
        "report.html",
        "tables/results.html",
        "tables/comparison.html",
    ]
    assert again[0].read_bytes() == page.read_bytes()


def test_the_page_loads_nothing(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    markup = text.partition('<script type="application/json"')[0]
    links = re.findall(r'(?:src|href)="([^"]*)"', markup)
    assert links
    assert all(link.startswith(("#", "data:")) for link in links)


def test_no_text_ends_an_element_of_the_page(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count("</script>") == text.count("<script") == 2
    assert "onerror='" not in text.partition('id="data"')[0]
    assert any("</script><script>window.hacked" in one["text"] for one in details(data_of(page)))


def details(data: dict) -> list[dict]:
    return [one for dataset in data["datasets"] for one in dataset["details"].values()]


def test_scores_and_rankings_are_those_of_the_results(page: Path, results: Path) -> None:
    data = data_of(page)
    for result in read_results(results):
        system = data["systems"].index(result.label)
        dataset = next(one for one in data["datasets"] if one["name"] == result.dataset)
        scores = pq.read_table(result.scores)
        assert dataset["queries"] == scores["query_id"].to_pylist()
        assert dataset["scores"][system] == [round(10_000 * one) for one in scores["nDCG@10"].to_pylist()]
        ranked = {}
        for line in result.run.read_text(encoding="utf-8").splitlines():
            query, _, document, *_ = line.split()
            ranked.setdefault(query, []).append(document)
        assert len(dataset["details"]) == 60
        for at, detail in dataset["details"].items():
            shown = [dataset["documents"][one][0] for one in detail["tops"][system]]
            assert shown == ranked.get(dataset["queries"][int(at)], [])[: data["depth"]]


def test_relevant_documents_are_marked_with_their_grade(page: Path) -> None:
    data = data_of(page)
    dataset = data["datasets"][0]
    detail = dataset["details"]["4"]
    assert [dataset["documents"][at][0] for at in detail["relevant"]] == ["d4", "d5"]
    grades = {dataset["documents"][int(at)][0]: grade for at, grade in detail["grades"].items()}
    assert grades == {"d4": 2, "d5": 1}
    assert dataset["features"]["relevant"][4] == 2
    assert dataset["features"]["words"][4] == 3


def test_texts_are_left_out_where_there_is_no_room(
    page: Path, results: Path, collections: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    largest = page.stat().st_size - 20_000
    monkeypatch.setattr(write, "LARGEST", largest)
    small = write_page([str(results)], tmp_path, data_dirs=[collections])[0]
    assert largest - 5_000 < small.stat().st_size <= largest
    data = data_of(small)
    assert 20 < len(details(data)) < 120
    assert all(len(dataset["queries"]) == 60 for dataset in data["datasets"])
    gaps = [max(each) - min(each) for each in zip(*data["datasets"][0]["scores"], strict=True)]
    kept = {int(at) for at in data["datasets"][0]["details"]}
    assert min(gaps[at] for at in kept) >= max(gap for at, gap in enumerate(gaps) if at not in kept)


def test_without_the_collections_there_are_scores_without_texts(results: Path, tmp_path: Path) -> None:
    data = data_of(write_page([str(results)], tmp_path)[0])
    assert not details(data)
    assert not any(dataset["found"] or "features" in dataset for dataset in data["datasets"])


def test_another_collection_of_that_name_gives_no_texts(results: Path, collections: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (collections / "second").rename(tmp_path / "kept")
    try:
        shutil.copytree(tmp_path / "kept", other / "second")
        with (other / "second" / "corpus.jsonl").open("a") as stream:
            stream.write('{"_id": "more", "text": "one more"}\n')
        data = data_of(write_page([str(results)], tmp_path, data_dirs=[other])[0])
    finally:
        (tmp_path / "kept").rename(collections / "second")
    assert not details(data)


def test_the_command_behind_a_number_gives_that_number(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = data_of(page)
    cell = data["datasets"][1]["cells"][1][0]
    record = data["records"][cell]
    words = shlex.split(record["command"])
    assert words[:3] == ["ragcun", "eval", "collection"]
    done = CliRunner().invoke(app, words[1:])
    assert done.exit_code == 0, done.output
    [again] = read_results(tmp_path / "again")
    assert again.label == record["label"]
    assert again.metrics == record["metrics"]


def test_the_command_writes_the_page(results: Path, collections: Path, tmp_path: Path) -> None:
    arguments = ["report", "html", str(results), "--data-dir", str(collections), "--output", str(tmp_path), "--json"]
    done = CliRunner().invoke(app, [*arguments, "--baseline", "</title>"])
    assert done.exit_code == 0, done.output
    assert Path(json.loads(done.stdout)["files"][0]).name == "report.html"
    assert data_of(tmp_path / "report.html")["baseline"] == "</title>"


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no result\.json"):
        write_page([str(tmp_path)])
