"""A search that was killed goes on where it was and ends where one that was not killed ends."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from children import Child
from ragcun.retrieval.checkpoint import Checkpoints
from ragcun.retrieval.memory import Resources
from ragcun.retrieval.search import search

SCRIPT = Path(__file__).with_name("resumed_search.py")


@pytest.mark.long
def test_killed_and_resumed(tmp_path: Path) -> None:
    def start(folder: str) -> Child:
        return Child(SCRIPT, tmp_path / folder)

    def first_block(process: Child) -> int:
        done = process.wait(timeout=120)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    for folder in ("whole", "killed"):
        (tmp_path / folder).mkdir()
    whole, killed = start("whole"), start("killed")
    deadline = time.monotonic() + 60
    while not list((tmp_path / "killed").glob("searches/[!.]*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    killed.kill()
    assert killed.wait(timeout=60).returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "found.npz").exists(), "it was done before it was killed: the test shows nothing"
    assert first_block(whole) == 0
    assert first_block(start("killed")) > 0
    with np.load(tmp_path / "whole" / "found.npz") as expected, np.load(tmp_path / "killed" / "found.npz") as found:
        assert np.array_equal(found["rows"], expected["rows"])
        assert np.array_equal(found["scores"], expected["scores"])


@pytest.mark.parametrize("change", ["queries", "documents", "k", "similarity", "id_ranks", "exclude"])
def test_what_another_search_has_found_is_not_taken(change: str, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    queries, documents = (draw.standard_normal((n, 8), dtype=np.float32) for n in (5, 400))
    id_ranks, exclude = np.arange(400), np.full(5, -1)
    search(
        queries,
        documents,
        10,
        "dot",
        id_ranks=id_ranks,
        exclude=exclude,
        resources=Resources(checkpoints=Checkpoints(tmp_path, "these", seconds=0), document_block=100),
    )
    assert len(list(tmp_path.iterdir())) == 1
    others = {
        "queries": draw.standard_normal((5, 8), dtype=np.float32),
        "documents": draw.standard_normal((400, 8), dtype=np.float32),
        "k": 11,
        "similarity": "cosine",
        "id_ranks": id_ranks[::-1].copy(),
        "exclude": np.arange(5),
    }
    given = {"queries": queries, "documents": documents, "k": 10, "similarity": "dot"} | {
        "id_ranks": id_ranks,
        "exclude": exclude,
    }
    given[change] = others[change]
    kept = Checkpoints(tmp_path, "others" if change == "documents" else "these", seconds=0)
    found = search(**given, resources=Resources(checkpoints=kept))
    expected = search(**given)
    assert np.array_equal(found.rows, expected.rows)
    assert np.array_equal(found.scores, expected.scores)


def test_short_searches_write_nothing_and_old_files_go(tmp_path: Path) -> None:
    vectors = np.eye(4, dtype=np.float32)
    old, recent = tmp_path / "old.safetensors", tmp_path / "recent.safetensors"
    for path, age in ((old, 8), (recent, 6)):
        path.touch()
        os.utime(path, (time.time() - age * 86_400,) * 2)
    search(vectors, vectors, 2, "dot", resources=Resources(checkpoints=Checkpoints(tmp_path, "identity")))
    assert list(tmp_path.iterdir()) == [recent]


def test_a_file_that_another_process_removes_meanwhile_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, vectors = tmp_path / "gone.safetensors", np.eye(4, dtype=np.float32)
    gone.touch()
    stat = Path.stat

    def removed(path: Path, **named: Any) -> os.stat_result:
        if path == gone:
            path.unlink(missing_ok=True)
        return stat(path, **named)

    monkeypatch.setattr(Path, "stat", removed)
    found = search(vectors, vectors, 1, "dot", resources=Resources(checkpoints=Checkpoints(tmp_path, "identity")))
    assert found.rows[:, 0].tolist() == [0, 1, 2, 3]
