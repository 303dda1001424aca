"""Names and paths reach the terminal as they are, whatever Rich would make of them."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ragcun.cli.store import app
from ragcun.console import console, progress, say, warn
from ragcun.embedding.store import EmbeddingStore

NAME = "openai:m:similarity=dot /data/run:x:1 [b]query[/b]"


def test_what_is_said_is_what_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    say(NAME)
    warn(NAME)
    assert capsys.readouterr().err == f"{NAME}\nwarning: {NAME}\n"


def test_what_a_bar_shows_is_what_was_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_force_terminal", True)
    monkeypatch.setattr(console, "_width", 300)
    with progress(NAME, 1) as bar:
        bar.note(NAME[::-1])
        bar.advance()
    shown = capsys.readouterr().err
    assert NAME in shown
    assert NAME[::-1] in shown


def test_stores_are_listed_by_their_names(tmp_path: Path) -> None:
    EmbeddingStore(tmp_path, {"api": "http://host/run:x:1", "model": "a:m:b[b]", "dimensions": None})
    listed = CliRunner().invoke(app, ["ls", "--store", str(tmp_path)], env={"COLUMNS": "300"})
    assert "a:m:b[b] at http://host/run:x:1" in listed.stdout
