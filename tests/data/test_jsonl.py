import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ragcun.data import index, jsonl
from ragcun.data.index import parse_row
from ragcun.data.jsonl import JsonlTexts
from ragcun.errors import UserError


def _write(path: Path, count: int) -> Path:
    path.write_text("".join(json.dumps({"_id": f"d{i}", "text": f"text {i} é"}) + "\n" for i in range(count)))
    return path


def test_rows_ids_and_bounds(tmp_path: Path) -> None:
    texts = JsonlTexts(_write(tmp_path / "a.jsonl", 300))
    assert texts[299] == "text 299 é" and texts.id(299) == "d299"
    assert texts.rows(["d5", "x", "d0", "d5", ""]).tolist() == [5, -1, 0, 5, -1]
    for row in (-1, 300):
        with pytest.raises(IndexError):
            texts[row]


def test_ids_with_the_same_hash_stay_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _write(tmp_path / "a.jsonl", 40)
    with path.open("a") as stream:
        stream.write('{"_id": "d7", "text": "a second one"}\n')
    monkeypatch.setattr(index, "hash_id", len)
    monkeypatch.setattr("ragcun.data.jsonl.hash_id", len)
    texts = JsonlTexts(path, on_error="skip")
    assert texts.problems.counts == {"duplicate _id": 1}
    assert texts.problems.places["duplicate _id"] == [f'{path}:41 "d7"']
    assert texts.rows(f"d{i}" for i in range(41)).tolist() == [*range(40), -1]
    assert texts[7] == "text 7 é"


def test_rows_behind_a_dropped_duplicate_keep_their_ids(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    ids = ["a", "b", "a", "c", "b", "d"]
    path.write_text("".join(json.dumps({"_id": id_, "text": f"{id_}{i}"}) + "\n" for i, id_ in enumerate(ids)))
    texts = JsonlTexts(path, on_error="skip")
    assert list(texts) == ["a0", "b1", "c3", "d5"]
    assert texts.rows(["d", "c", "b", "a"]).tolist() == [3, 2, 1, 0]
    assert texts.problems.places["duplicate _id"] == [f'{path}:3 "a"', f'{path}:5 "b"']


def test_large_file_is_indexed_once(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _write(tmp_path / "a.jsonl", 50)
    with path.open("a") as stream:
        stream.write("{\n")
    monkeypatch.setattr(index, "LARGE", 0)
    first = JsonlTexts(path, on_error="skip")
    files = sorted((cache / "jsonl").iterdir())
    assert sorted(file.suffix for file in files) == [".json", ".npy", ".npy"]
    monkeypatch.setattr(index, "_build", None)
    again = JsonlTexts(path, on_error="skip")
    assert list(again) == list(first) and again.problems == first.problems
    assert again.problems.counts == {"bad JSON": 1}
    with pytest.raises(UserError, match="bad JSON: 1"):
        JsonlTexts(path)
    monkeypatch.undo()
    monkeypatch.setattr(index, "LARGE", 0)
    monkeypatch.setenv("RAGCUN_CACHE_DIR", str(cache))
    _write(path, 60)
    assert len(JsonlTexts(path)) == 60
    assert capsys.readouterr().out == ""


def test_threads_read_the_same(tmp_path: Path) -> None:
    texts = JsonlTexts(_write(tmp_path / "a.jsonl", 500))
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda row: texts[row % 500], range(4000))) == [texts[i % 500] for i in range(4000)]


@pytest.mark.parametrize(("large", "parsed"), [(2**20, (50, 0)), (0, (50, 50))])
def test_a_row_is_parsed_once(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, large: int, parsed: tuple[int, int]
) -> None:
    """Once to index it, and of a large file once more when its text is asked for; ids are not parsed again."""
    path = _write(tmp_path / "a.jsonl", 50)
    lines: list[bytes] = []

    def counted(line: bytes, titled: bool) -> tuple[str, str]:
        lines.append(line)
        return parse_row(line, titled)

    monkeypatch.setattr(index, "LARGE", large)
    for module in (index, jsonl):
        monkeypatch.setattr(module, "parse_row", counted)
    texts = JsonlTexts(path)
    ids = list(texts.ids())
    assert texts.rows(ids).tolist() == list(range(50))
    assert len(lines) == parsed[0]
    assert len(list(texts)) == 50
    assert len(lines) == sum(parsed)


def test_a_large_file_that_changes_while_open_is_noticed(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "LARGE", 0)
    path = _write(tmp_path / "a.jsonl", 3)
    texts = JsonlTexts(path)
    path.write_bytes(b" " * path.stat().st_size)
    with pytest.raises(UserError, match="was changed while in use"):
        texts[1]


MEASURE = """
import resource, sys
from ragcun.data.jsonl import JsonlTexts
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
texts = JsonlTexts(sys.argv[1], titled=True)
length = sum(len(text) for text in texts)
rows = texts.rows(f"d{i}" for i in range(0, len(texts), 100))
assert rows.tolist() == list(range(0, len(texts), 100))
print(len(texts), length, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
def test_a_large_corpus_is_not_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    body = "word " * 400
    with path.open("w") as stream:
        for i in range(34_000):
            stream.write(f'{{"_id": "d{i}", "title": "t", "text": "{body}{i}"}}\n')
    assert path.stat().st_size > index.LARGE
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"RAGCUN_CACHE_DIR": str(tmp_path / "cache")},
    )
    count, length, grown_kib = map(int, result.stdout.split())
    assert count == 34_000 and length > index.LARGE
    assert grown_kib * 1024 < 8e6
