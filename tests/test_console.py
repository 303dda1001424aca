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


def test_what_is_said_moves_no_cursor_and_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    from ragcun.console import complain, say, warn

    hostile = "id\x1b]0;title\x07\u202e[red]\n\x9b31m \udcff"
    for tell in (say, warn, complain):
        tell(hostile)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.endswith("id\\x1b]0;title\\x07\\u202e[red] \\x9b31m \\xff") for line in lines)


def test_json_holds_no_control_character_and_reads_back_as_it_was() -> None:
    import json

    from ragcun.printable import json_text

    value = {"a\x9b": ["\x1b[31m", "caf\udce9", "line\u2028end", "ü\n"]}
    assert json.loads(json_text(value)) == value
    assert json_text(value).replace("\n", "").isprintable()
    json_text(value).encode()


def test_a_bar_is_full_when_its_work_is_done(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_force_terminal", True)
    monkeypatch.setattr(console, "_width", 300)
    with progress("encoding", 7, "texts") as bar:
        bar.advance(2.5)  # another process has done the rest
    assert "7/7" in capsys.readouterr().err
    with pytest.raises(RuntimeError), progress("encoding", 7, "texts"):
        raise RuntimeError
    assert "7/7" not in capsys.readouterr().err


def test_markdown_has_no_markup_of_others() -> None:
    from ragcun.printable import markdown

    assert markdown("=1 <b>[r]\x1b|x\ny") == r"=1 \<b\>\[r\]\\x1b\|x y"
