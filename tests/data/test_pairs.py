import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from ragcun.data import table
from ragcun.data.collection import write_collection
from ragcun.data.pairs import Pairs, load_pairs, write_pairs
from ragcun.errors import UserError

ROWS: list[dict[str, Any]] = [
    {"query": "a", "positive": 'p, "1"', "negative_1": "n1", "negative_2": "n2"},
    {"query": "b", "positive": "p\n2", "negative_1": None, "negative_2": "n1"},
    {"query": "a", "positive": "p3 é", "negative_1": None, "negative_2": None},
]
LATIN = "not UTF-8, probably WINDOWS-1252; convert it: iconv -f WINDOWS-1252 -t UTF-8"
TRIPLES = [("a", 'p, "1"', ["n1", "n2"]), ("b", "p\n2", ["n1"]), ("a", "p3 é", [])]


def triples(pairs: Pairs) -> list[tuple[str, str, list[str]]]:
    return [
        (
            pairs.queries[int(anchor)],
            pairs.documents[int(positive)],
            [pairs.documents[int(row)] for row in negatives if row >= 0],
        )
        for anchor, positive, negatives in zip(pairs.anchor, pairs.positive, pairs.negatives, strict=True)
    ]


def _jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    write_pairs(path, rows)


def _json(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps(rows, indent=1))


def _csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8-sig") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def _parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), path)


FORMATS = {"jsonl": _jsonl, "json": _json, "csv": _csv, "parquet": _parquet}


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("name", ["query", "anchor"])
def test_every_format_gives_the_same_pairs(tmp_path: Path, suffix: str, name: str) -> None:
    path = tmp_path / f"train.{suffix}"
    FORMATS[suffix](path, [{name: row["query"], **{k: v for k, v in row.items() if k != "query"}} for row in ROWS])
    pairs = load_pairs(path)
    assert triples(pairs) == TRIPLES
    assert pairs.negatives.shape == (3, 2)
    assert list(pairs.queries) == ["a", "b"]
    assert len(set(pairs.documents)) == len(pairs.documents) == 5
    assert {key: pairs.source[key] for key in ("split", "pairs", "queries", "documents")} == {
        "split": None,
        "pairs": 3,
        "queries": 2,
        "documents": 5,
    }
    assert pairs.source["problems"] == {"counts": {}, "notes": {}, "remarks": {}, "places": {}}
    assert pairs.source["rows"] == {"read": 3, "kept": 3, "left out": 0}


@pytest.mark.parametrize("suffix", ["jsonl", "json", "parquet"])
def test_negatives_as_a_list(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"train.{suffix}"
    FORMATS[suffix](path, [{"query": q, "positive": p, "negatives": n} for q, p, n in TRIPLES])
    assert triples(load_pairs(path)) == TRIPLES


def test_pairs_without_negatives(tmp_path: Path) -> None:
    pairs = load_pairs(write_pairs(tmp_path / "a.jsonl", [{"query": "a", "positive": "b"}]))
    assert pairs.negatives.shape == (1, 0)


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"positive": "x"}, "no query or anchor"),
        ({"query": "x"}, "no positive"),
        ({"query": "x", "positive": None}, "no positive"),
        ({"query": " ", "positive": "x"}, "empty query or anchor"),
        ({"query": "x", "positive": ""}, "empty positive"),
        ({"query": 3, "positive": "x"}, "query or anchor is not a string"),
        ({"query": "x", "positive": 4}, "positive is not a string"),
        ({"query": "x", "positive": []}, "no positive"),
        ({"query": "x", "positive": "y", "negative": 3}, "negative is not a string"),
        ({"query": "x", "positive": "y", "negatives": ["n", {}]}, "negatives is not a string"),
        ({"query": "same", "positive": "same "}, "query equals positive"),
        ({"query": "\ud800", "positive": "x"}, "half a surrogate pair"),
        ("text", "not a JSON object"),
    ],
)
@pytest.mark.parametrize("suffix", ["jsonl", "json"])
def test_bad_row_is_named_then_refused_or_skipped(tmp_path: Path, suffix: str, row: object, kind: str) -> None:
    path = tmp_path / f"train.{suffix}"
    good = {"query": "a", "positive": "b"}
    if suffix == "json":
        path.write_text(json.dumps([good, row, {"query": "c", "positive": "d"}]))
    else:
        path.write_text(f'{json.dumps(good)}\n{json.dumps(row)}\n{{"query": "c", "positive": "d"}}\n')
    with pytest.raises(UserError) as refusal:
        load_pairs(path)
    assert f"{kind}: 1 (first at {path}:2)" in str(refusal.value) and "--on-error skip" in str(refusal.value)
    pairs = load_pairs(path, on_error="skip")
    assert triples(pairs) == [("a", "b", []), ("c", "d", [])]
    assert pairs.source["problems"]["counts"] == {kind: 1}


def test_bad_lines_of_text_formats(tmp_path: Path) -> None:
    jsonl = tmp_path / "a.jsonl"
    jsonl.write_bytes(b'{"query": "a", "positive": "b"}\n{"query": \n\xff\n')
    assert load_pairs(jsonl, on_error="skip").source["problems"]["counts"] == {"bad JSON": 1, LATIN: 1}
    table_ = tmp_path / "a.csv"
    table_.write_text('query,positive\na,"b\nb"\nc\nd,e,f\n"g"g,h\ni,j\n')
    pairs = load_pairs(table_, on_error="skip")
    assert triples(pairs) == [("a", "b\nb", []), ("i", "j", [])]
    assert pairs.source["problems"]["counts"] == {"wrong number of fields": 2, "malformed line": 1}
    assert pairs.source["problems"]["places"]["wrong number of fields"] == [f"{table_}:4", f"{table_}:5"]


def test_json_lines_under_the_name_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"query": "a", "positive": "b"}\n{"query": "c", "positive": "d"}\n')
    assert len(load_pairs(path)) == 2


def test_json_array_larger_than_one_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragcun.data.rows._CHUNK", 7)
    rows = [{"query": f"query {i}", "positive": "word " * i + "."} for i in range(30)]
    path = tmp_path / "a.json"
    path.write_text("\ufeff \n" + json.dumps(rows, indent=2) + "\n")
    assert triples(load_pairs(path)) == [(row["query"], row["positive"], []) for row in rows]
    path.write_text(json.dumps(rows)[:-40])
    with pytest.raises(UserError, match="not valid JSON, or it ends unexpectedly, after row 29"):
        load_pairs(path, on_error="skip")


def test_what_loses_nothing_is_done_and_noted(tmp_path: Path) -> None:
    row = {"query": "a", "positive": "b", "negatives": ["c", "b"], "source": "here"}
    path = write_pairs(tmp_path / "a.jsonl", [row, {**row, "negatives": ["d"]}, row])
    pairs = load_pairs(path)
    assert triples(pairs) == [("a", "b", ["c"]), ("a", "b", ["d"])]
    problems = pairs.source["problems"]
    assert problems["counts"] == {}
    assert problems["notes"] == {"negative equals positive": 2, "column not used": 1, "repeated row": 1}
    assert problems["places"]["repeated row"] == [f"{path}:3"]


def test_files_that_cannot_be_pairs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        load_pairs(tmp_path / "a.jsonl")
    (tmp_path / "a.pkl").write_bytes(b"x")
    with pytest.raises(UserError, match=r"use one of \.jsonl, \.json, \.csv, \.tsv, \.parquet"):
        load_pairs(tmp_path / "a.pkl")
    (tmp_path / "a.parquet").write_bytes(b"x")
    with pytest.raises(UserError, match="cannot be read as a Parquet file"):
        load_pairs(tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_bytes(b"query,positive\n\xff,x\n")
    with pytest.raises(UserError, match=rf"a\.csv:2: {LATIN}"):
        load_pairs(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("question,answer,source\nx,y,z\n")
    with pytest.raises(UserError, match=r"no usable pair.*columns: question, answer, source.*--columns"):
        load_pairs(tmp_path / "b.csv", on_error="skip")


def test_a_file_is_converted_once_for_each_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_pairs(tmp_path / "a.jsonl", ROWS)
    first = load_pairs(path)
    with monkeypatch.context() as patch:
        patch.setattr(table, "_convert", None)
        again = load_pairs(path)
    assert triples(again) == triples(first) and again.source == first.source
    write_pairs(path, ROWS[:1])
    assert len(load_pairs(path)) == 1
    assert load_pairs(path).source["fingerprint"] != first.source["fingerprint"]


def test_pairs_of_a_collection(tmp_path: Path) -> None:
    folder = write_collection(
        tmp_path / "toy",
        [("d1", "T", "one"), ("d2", "", "two"), ("d3", "", "three")],
        [("q1", "first"), ("q2", "second")],
        {"train": [("q2", "d1", 2), ("q1", "d3", 1), ("q1", "d2", 0)], "dev": [("q1", "d1", 0)]},
    )
    pairs = load_pairs(folder)
    assert triples(pairs) == [("second", "T one", []), ("first", "three", [])]
    assert pairs.negatives.shape == (2, 0)
    assert (pairs.source["split"], pairs.source["pairs"], pairs.source["documents"]) == ("train", 2, 2)
    with pytest.raises(UserError, match="split 'dev' has no judgement above 0"):
        load_pairs(folder, split="dev")


def test_take_is_deterministic_and_nested(tmp_path: Path) -> None:
    rows = [{"query": f"q{i}", "positive": f"p{i}"} for i in range(100)]
    pairs = load_pairs(write_pairs(tmp_path / "a.jsonl", rows))
    ten, twenty = pairs.take(10, seed=1), pairs.take(20, seed=1)
    assert len(ten) == 10 and set(triples_key(ten)) < set(triples_key(twenty))
    assert triples_key(ten) == sorted(triples_key(ten))
    assert triples_key(ten) == triples_key(pairs.take(10, seed=1)) != triples_key(pairs.take(10, seed=2))
    assert all(query[1:] == positive[1:] for query, positive, _ in triples(ten))
    assert ten.source["taken"] == {"pairs": 10, "seed": 1}
    assert pairs.take(100, seed=1) is pairs
    with pytest.raises(UserError, match="at least 1"):
        pairs.take(0, seed=1)


def triples_key(pairs: Pairs) -> list[int]:
    return [int(query[1:]) for query, _, _ in triples(pairs)]
