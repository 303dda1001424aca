import json
import platform
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ragcun.cli.main import app
from ragcun.data import pydocs


@pytest.fixture
def few_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    few = pydocs.source_files(["argparse", "email", "json", "logging", "socketserver"])
    monkeypatch.setattr(pydocs, "source_files", lambda: few)
    monkeypatch.setattr(pydocs, "topics", dict)


@pytest.mark.usefixtures("few_modules")
def test_pydocs_prints_json_alone_and_is_up_to_date_when_asked_again(tmp_path: Path) -> None:
    command = ["data", "pydocs", str(tmp_path / "docs"), "--documents", "50", "--json"]
    first = CliRunner().invoke(app, command, catch_exceptions=False)
    assert first.exit_code == 0
    result = json.loads(first.stdout)
    assert result.pop("fingerprint") == json.loads((tmp_path / "docs" / "source.json").read_text())["fingerprint"]
    assert result.pop("python") == f"CPython {platform.python_version()}"
    splits = result.pop("splits")
    assert splits["train"] == 35
    assert 1 <= splits["dev"] <= 5
    assert 1 <= splits["test"] <= 10
    size = sum(splits.values())
    assert result == {"path": str(tmp_path / "docs"), "documents": size, "queries": size}

    again = CliRunner().invoke(app, command, catch_exceptions=False)
    assert again.exit_code == 0
    assert json.loads(again.stdout) == json.loads(first.stdout)


@pytest.mark.usefixtures("few_modules")
def test_pydocs_refuses_a_folder_that_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    result = CliRunner().invoke(app, ["data", "pydocs", str(tmp_path)])
    assert "choose another folder" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
