"""A history tells what is damaged in it, and goes on where it was left."""

from pathlib import Path

import pytest

from ragcun.training.history import History, read_history


def test_rows_are_read_back_and_later_ones_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "history.jsonl"
    history = History(path, 0)
    for step in (10, 20, 30):
        history.add({"step": step, "loss": step / 7})
    rows = [{"step": step, "loss": step / 7} for step in (10, 20, 30)]
    assert read_history(path) == rows
    path.write_text(path.read_text("utf-8") + '{"step": 4', "utf-8")
    assert read_history(path) == rows
    History(path, 20)
    assert read_history(path) == rows[:2]
    assert capsys.readouterr().err == ""
    path.write_text('{"step": 1, "loss": 2.0}\n', "utf-8")  # of an older version
    assert read_history(path) == [{"step": 1, "loss": 2.0}]


def test_a_damaged_row_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "history.jsonl"
    history = History(path, 0)
    for step in (10, 20, 30):
        history.add({"step": step, "loss": 1.25})
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join([lines[0], lines[1].replace("1.25", "1.35"), lines[2]]), "utf-8")
    assert [row["step"] for row in read_history(path)] == [10, 30]
    said = " ".join(capsys.readouterr().err.split())
    assert "history.jsonl:2: damaged; 1 of 3 lines of the history are left out" in said
