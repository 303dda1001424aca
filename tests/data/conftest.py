from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("RAGCUN_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def collection_of(tmp_path: Path) -> Callable[..., Path]:
    """Write a collection's files from raw text, as a user's own tools may have left them."""

    def write(corpus: str | bytes, queries: str | bytes, **qrels: str | bytes) -> Path:
        folder = tmp_path / "toy"
        (folder / "qrels").mkdir(parents=True)
        files = {"corpus.jsonl": corpus, "queries.jsonl": queries}
        for name, content in {**files, **{f"qrels/{split}.tsv": text for split, text in qrels.items()}}.items():
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder

    return write
