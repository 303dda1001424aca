"""What a command has made is not made twice, unless it is damaged."""

from pathlib import Path

import pytest

from ragcun.data.finished import SOURCE, finished
from ragcun.errors import RagcunError, UserError
from ragcun.intact import write_record

WANTED = {"rows": 3}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "made" / "qrels"
    inside.mkdir(parents=True)
    (inside / "test.tsv").write_text("three rows", encoding="utf-8")
    write_record(tmp_path / "made" / SOURCE, {"settings": WANTED}, [inside / "test.tsv"])
    return tmp_path / "made"


def test_it_is_known_by_its_settings(folder: Path) -> None:
    found = finished(folder, WANTED)
    assert found is not None and found["settings"] == WANTED
    with pytest.raises(UserError, match="made with other settings"):
        finished(folder, {"rows": 4})
    assert finished(folder / "absent", WANTED) is None


def test_what_is_damaged_is_told_and_goes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "mine.txt").touch()
    (folder / "qrels" / "test.tsv").write_text("three cows", encoding="utf-8")
    assert finished(folder, WANTED) is None
    assert "test.tsv: damaged" in " ".join(capsys.readouterr().err.split())
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_a_damaged_record_is_refused(folder: Path) -> None:
    content = (folder / SOURCE).read_text(encoding="utf-8")
    (folder / SOURCE).write_text(content.replace("3", "2", 1), encoding="utf-8")
    with pytest.raises(RagcunError, match=r"damaged .*; delete .*made and give the same command again"):
        finished(folder, {"rows": 2})
