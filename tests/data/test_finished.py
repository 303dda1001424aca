"""What a command has made is not made twice, unless it is damaged."""

from pathlib import Path

import pytest

from ragcun.data.collection import Collection, write_collection
from ragcun.data.finished import SOURCE, finished, refuse_damage
from ragcun.data.pairs import load_pairs
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
    with pytest.raises(RagcunError, match=r"damaged .*; delete .*made and run the same command again"):
        finished(folder, {"rows": 2})


def test_a_file_that_is_read_is_what_was_made(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "qrels" / "test.tsv"
    refuse_damage(file)
    refuse_damage(folder / "mine.txt")  # nobody knows it
    file.write_text("three cows", encoding="utf-8")
    with pytest.raises(
        RagcunError, match=r"test\.tsv: damaged .*; delete .*made and run the command that made it again"
    ):
        refuse_damage(file)
    (folder / SOURCE).write_text("{", encoding="utf-8")
    refuse_damage(file)
    assert "test.tsv is not checked" in " ".join(capsys.readouterr().err.split())


def test_a_damaged_collection_or_file_of_pairs_is_not_read(tmp_path: Path) -> None:
    qrels = {split: [("q1", "d1", 1)] for split in ("train", "test")}
    folder = write_collection(tmp_path / "docs", [("d1", "", "one text")], [("q1", "one query")], qrels)
    (folder / "pairs.jsonl").write_text('{"query": "one", "positive": "two"}\n', encoding="utf-8")
    listed = [path for path in folder.rglob("*") if path.is_file()]
    write_record(folder / SOURCE, {"settings": WANTED}, listed)
    assert Collection.open(folder).splits() == ["test", "train"]
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv", "pairs.jsonl"):
        whole = (folder / name).read_text(encoding="utf-8")
        (folder / name).write_text(whole.replace("one", "two").replace("\t1", "\t2"), encoding="utf-8")
        with pytest.raises(RagcunError, match="damaged"):
            _ = load_pairs(folder / name) if name == "pairs.jsonl" else Collection.open(folder).judgements("test")
        (folder / name).write_text(whole, encoding="utf-8")
