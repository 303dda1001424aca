"""Results of three systems on two collections whose texts are meant to break a page, and a browser to read it."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from ragcun.data.collection import write_collection
from ragcun.evaluation.beir import evaluate
from ragcun.report.page.write import write_page
from ragcun.retrieval.retrievers import RetrieverOptions
from tiny import WORDS

HOSTILE = (
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    "<!-- <script> \u2028 \u202e \\u003c/script> ]]> ${1} ` '\" &lt;",
)
MODELS = ("bm25", "Short & <b>wide</b>=bm25:k1=0.1,b=0", "</title>=bm25:k1=3,b=1")


@pytest.fixture(scope="session")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two collections of 60 queries; the words of a query are in two documents or three, and in others by chance."""
    home = tmp_path_factory.mktemp("page-collections")
    for seed, name in enumerate(("first", "second")):
        draw = random.Random(seed)  # noqa: S311
        documents = [draw.choices(WORDS, k=draw.randint(4, 40)) for _ in range(80)]
        corpus = [(f"d{at}", "", " ".join([*words, HOSTILE[at % 3]])) for at, words in enumerate(documents)]
        queries = [(f"q{at}", " ".join(draw.sample(documents[at], 3 + at % 2))) for at in range(57)]
        queries += [(f"q{57 + at}", f"{WORDS[at]} {text}") for at, text in enumerate(HOSTILE)]
        qrels = [(f"q{at}", f"d{(at + step) % 80}", 1 + (step == 0)) for at in range(60) for step in range(2 + at % 2)]
        write_collection(home / name, corpus, queries, {"test": qrels})
    return home


@pytest.fixture(scope="session")
def results(collections: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page-results")
    evaluate(MODELS, [collections / "first", collections / "second"], folder, RetrieverOptions(folder / "store"))
    return folder


@pytest.fixture(scope="session")
def page(collections: Path, results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page([str(results)], tmp_path_factory.mktemp("page"), data_dirs=[collections])[0]


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    """Headless Chromium, as wide as a desk's screen."""
    program = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("Chromium and chromedriver are not installed; on Debian: apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1280,1000",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chromium = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield chromium
    finally:
        chromium.quit()
