"""What several tests stand on: a tiny encoder built here, from nothing that is downloaded, and a tiny collection."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny tensors: threads would only wait for each other
os.environ["HF_HUB_OFFLINE"] = "1"

from pathlib import Path

import pytest

from tiny import WORDS, build_collection, build_model


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A cache folder that is neither the user's nor that of another worker of pytest-xdist."""
    os.environ["RAGCUN_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved sentence-transformers model: BERT with two layers of 32 dimensions, random weights, mean pooling, L2."""
    return build_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    """Sixty different texts of two to twelve words."""
    import random

    draw = random.Random(0)  # noqa: S311
    return list(dict.fromkeys(" ".join(draw.choices(WORDS, k=draw.randint(2, 12))) for _ in range(60)))


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection in BEIR's layout: 40 documents, 40 queries that share most of their words, train, dev and test."""
    return build_collection(tmp_path_factory.mktemp("collections") / "animals")
