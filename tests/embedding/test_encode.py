"""Progress while encoding follows the computation, so that the time left comes true."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ragcun.embedding import encode
from ragcun.embedding.embedder import Embedder

WORDS = ["ant", "bear", "bees", "bird"]
TEXTS = [*(f"{'the owl sleeps ' * 15}{word}" for word in WORDS), *WORDS]


def test_progress_counts_what_is_computed_and_not_the_texts(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[float] = []

    class Counting:
        def advance(self, amount: float) -> None:
            steps.append(amount)

    @contextmanager
    def counting(_: str, total: float, unit: str) -> Iterator[Counting]:
        assert (total, unit) == (len(TEXTS), "texts")
        yield Counting()

    monkeypatch.setattr(encode, "progress", counting)
    embedder = Embedder(str(tiny_model), tmp_path, device="cpu", runtime="torch")
    embedder._engine.tokens = 64  # one long text a batch, and one for all of the short ones
    embedder.documents(TEXTS)
    assert len(steps) == 5
    assert sum(steps) == pytest.approx(len(TEXTS))
    assert sorted(steps)[0] < 0.5, "four short texts take less than one long one"
