"""Files as other tools write them, and files that are broken: read in full, or refused in one line, never in part."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragcun.data.collection import Collection
from ragcun.data.pairs import Pairs, load_pairs
from ragcun.errors import UserError


def triples(pairs: Pairs) -> list[tuple[str, str, list[str]]]:
    return [
        (
            pairs.queries[int(anchor)],
            pairs.documents[int(positive)],
            [pairs.documents[int(row)] for row in negatives if row >= 0],
        )
        for anchor, positive, negatives in zip(pairs.anchor, pairs.positive, pairs.negatives, strict=True)
    ]


def test_a_quotation_mark_in_tsv_is_text(tmp_path: Path) -> None:
    lines = ['"is salt bad\tsalt\tbanana', *(f"query {i}\tpositive {i}\tnegative {i}" for i in range(500))]
    lines += ['so called pill"\taspirin\ttea', 'who said "I came"\tCaesar\tBrutus']
    path = tmp_path / "a.tsv"
    path.write_text("query\tpositive\tnegative\n" + "\n".join(lines) + "\n")
    pairs = load_pairs(path)
    assert len(pairs) == 503 and pairs.source["rows"] == {"read": 503, "kept": 503, "left out": 0}
    assert pairs.queries[0] == '"is salt bad' and pairs.queries[502] == 'who said "I came"'


# Without the time of compression: each worker of pytest-xdist must collect the same tests.
TWICE = gzip.compress(gzip.compress(b'{"query": "a", "positive": "b"}\n', mtime=0), mtime=0)


@pytest.mark.parametrize("separator", ["\n", " ", "\n{objects}\n"])
def test_what_follows_a_json_array_is_read(tmp_path: Path, separator: str) -> None:
    rows = [{"query": f"q{i}", "positive": f"p{i}"} for i in range(9)]
    objects = "\n".join(json.dumps(row) for row in rows[3:6])
    path = tmp_path / "a.json"
    between = separator.replace("{objects}", objects)
    rest = rows[6:] if "{objects}" in separator else rows[3:]
    path.write_text(json.dumps(rows[:3]) + between + json.dumps(rest))
    assert [query for query, _, _ in triples(load_pairs(path))] == [f"q{i}" for i in range(9)]


@pytest.mark.parametrize("text", ['[{"query": "a", "positive": "b"}\n{"query": "c", "positive": "d"}]', "[1 2]"])
def test_a_missing_comma_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match="a comma is missing after row 1"):
        load_pairs(tmp_path / "a.json")


@pytest.mark.parametrize(("suffix", "separator"), [("csv", ","), ("tsv", "\t")])
def test_headers(tmp_path: Path, suffix: str, separator: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_text("query, positive , negative\na, b, c\n".replace(",", separator))
    assert triples(load_pairs(path))[0][0] == "a" and load_pairs(path).negatives.shape == (1, 1)
    path.write_text("query,positive,positive\na,b,c\n".replace(",", separator))
    with pytest.raises(UserError, match=r":1: the header names the column 'positive' twice"):
        load_pairs(path)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_another_encoding_is_named_with_line_and_remedy(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("query,positive\na,b\ncafé,c\n".encode(encoding))
    line, name = (3, "WINDOWS-1252") if encoding == "cp1252" else (1, "UTF-16")
    with pytest.raises(UserError, match=rf"a\.csv:{line}: not UTF-8, probably {name}; convert it: iconv -f {name}"):
        load_pairs(path)


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl"])
def test_gzip_is_known_by_its_bytes(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(b'{"query": "a", "positive": "b"}\n'))
    assert triples(load_pairs(path)) == [("a", "b", [])]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match="the gzip file is damaged or incomplete"):
        load_pairs(path)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"query": "a", "pos": ["b", "c"], "neg": ["d"]}, [("a", "b", ["d"]), ("a", "c", ["d"])]),
        ({"sentence1": "a", "sentence2": "b"}, [("a", "b", [])]),
        ({"anchor": "a", "positive": "b", "negative": "   "}, [("a", "b", [])]),
        ({"query": None, "anchor": "a", "positive": "b"}, [("a", "b", [])]),
        ({"question": "a", "answer": "b"}, [("a", "b", [])]),
        (
            {
                "query_id": "1",
                "query": "a",
                "positive_passages": [{"docid": "7", "title": "T", "text": "b"}],
                "negative_passages": [{"docid": "8", "title": "", "text": "c"}],
            },
            [("a", "T b", ["c"])],
        ),
    ],
    ids=["FlagEmbedding", "sentence1", "no negative", "anchor", "two columns", "Tevatron"],
)
def test_columns_in_the_wild(tmp_path: Path, row: dict[str, object], expected: list[object]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(row) + "\n")
    pairs = load_pairs(path)
    assert triples(pairs) == expected
    assert pairs.source["rows"] == {"read": 1, "kept": 1, "left out": 0}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "query,positive\na,b\n".encode("utf-16-le"), r"a\.csv:1: not UTF-8, probably UTF-16LE; convert it"),
        ("a.tsv", "query\tpositive\na\tb\n".encode("utf-16-be"), r"a\.tsv:1: not UTF-8, probably UTF-16BE; conv"),
        ("a.jsonl", '{"query": "a"}\n'.encode("utf-16-le"), "probably UTF-16LE"),
        ("a.csv", "query,positive\na,b\n".encode("utf-32"), "probably UTF-32; convert it: iconv -f UTF-32"),
        ("a.csv", b"query,positive\na\0x,b\nc,d\n", "a NUL byte, which no text has: 1"),
        ("a.jsonl.gz", TWICE, "is compressed twice"),
        ("a.jsonl", b'{"query": "a", "query": "c", "positive": "b"}\n', "an object names a key twice: 1"),
        ("a.json", b'[{"query": "a", "query": "c", "positive": "b"}]', "an object names a key twice in row 1"),
        (
            "a.json",
            b'[{"query": "a", "positive": "b"}] and more',
            "not valid JSON, or it ends unexpectedly, after row 1",
        ),
        ("a.csv", b"text,label\na,1\nb,0\n", "columns: text, label.*--columns"),
        (
            "a.tsv",
            b"what is a bee\tan insect\nwhat is an owl\ta bird\n",
            "columns: what is a bee, an insect.*--columns",
        ),
        (
            "a.jsonl",
            b'{"query": "a", "positive_passages": [{"title": 3, "text": "b"}]}',
            "a title of positive is not a str",
        ),
    ],
)
def test_what_would_be_misread_is_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said):
        load_pairs(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"query": "a", "positive": "b"} {"query": "c", "positive": "d"}'),
        ("a.json", '{\n "query": "a",\n "positive": "b"\n}\n{\n "query": "c",\n "positive": "d"\n}\n'),
        ("a.jsonl", '[{"query": "a", "positive": "b"},\n{"query": "c", "positive": "d"}]\n'),
        ("a.csv", "\n  \nquery, positive\na,b\n \nc,d\n"),
        (
            "a.jsonl",
            '{"query": "a", "pos": ["b"], "neg": [{"title": "", "text": " "}, null]}\n{"query": "c", "pos": ["d"]}',
        ),
    ],
)
def test_what_other_tools_write_is_read(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert triples(load_pairs(tmp_path / name)) == [("a", "b", []), ("c", "d", [])]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_a_malformed_first_line_can_be_left_out(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"query" "x"}\n{"query": "a", "positive": "b"}\n{"query": "c", "positive": "d"}\n')
    assert triples(load_pairs(tmp_path / name, on_error="skip")) == [("a", "b", []), ("c", "d", [])]


def test_a_compressed_parquet_file_is_read(tmp_path: Path) -> None:
    pq.write_table(pa.table({"query": ["a"], "positive": [["b", "c"]]}), tmp_path / "a.parquet")
    (tmp_path / "a.parquet.gz").write_bytes(gzip.compress((tmp_path / "a.parquet").read_bytes()))
    assert triples(load_pairs(tmp_path / "a.parquet.gz")) == [("a", "b", []), ("a", "c", [])]


def test_a_label_that_plays_no_part_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text("sentence1,sentence2,label\na,b,contradiction\n")
    load_pairs(tmp_path / "a.csv")
    assert "every row is used as a pair, independent of this label or score: 1 (label)" in capsys.readouterr().err


def test_columns_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("source,question,answer,wrong\nx,a,b,c\n")
    named = load_pairs(path, columns="query=question, positive=answer,negative=wrong")
    assert triples(named) == [("a", "b", ["c"])]
    with pytest.raises(UserError, match=r"no usable pair.*--columns"):
        load_pairs(path)
    with pytest.raises(UserError, match="--columns ask=question: must be query=NAME"):
        load_pairs(path, columns="ask=question")


def test_rows_add_up(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("query,positive\na,b\na,b\n,c\nd,d\ne,f\n")
    rows = load_pairs(path, on_error="skip").source["rows"]
    assert rows == {"read": 5, "kept": 2, "left out": 3}


def test_rows_of_a_collection_add_up(collection_of: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    texts = '{"_id": "1", "text": "one"}\n{"_id": "2", "text": "two"}\n'
    judged = "\nquery-id\tcorpus-id\tscore\n1\t2\t1\n1\t2\t1\n1\t1\t0.5\n2\t2\t1669593600\n2\t1\t-1\n"
    folder = collection_of(texts + '{"_id": "1", "text": "other"}\n{"_id": "3"}\n', texts, test=judged)
    collection = Collection.open(folder, on_error="skip")
    assert collection.qrels("test") == {"1": {"2": 1}, "2": {"1": -1}}
    assert collection.problems.counts["grade beyond a million, which no grade is"] == 1
    told = capsys.readouterr().err
    assert "corpus.jsonl: 4 rows read, 2 rows kept, 2 rows left out" in told
    assert "test.tsv: 5 rows read, 2 rows kept, 3 rows left out" in told and "queries.jsonl" not in told


def test_a_compressed_collection_is_the_collection(collection_of: Callable[..., Path]) -> None:
    texts = '{"_id": "1", "text": "one"}\n{"_id": "2", "text": "two"}\n'
    folder = collection_of(texts, texts, test="1\t2\t1\n")
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        file = folder / name
        (folder / f"{name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    collection = Collection.open(folder)
    assert list(collection.corpus) == ["one", "two"] and collection.splits() == ["test"]
    assert collection.qrels("test") == {"1": {"2": 1}}
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(b'{"_id": "1", "text": ""}\n' + texts.encode()))
    with pytest.raises(UserError, match=r"empty text: 1 \(first at .*corpus\.jsonl\.gz:1\)"):
        Collection.open(folder)


def test_judgements_that_cannot_be_met_are_kept_and_told(collection_of: Callable[..., Path]) -> None:
    texts = '{"_id": "1", "text": "one"}\n{"_id": "2", "text": "two"}\n'
    folder = collection_of(texts, texts, test="1\t2\t1\n1\t404\t2\n2\t1\t0\n", dev="1\t1\t0\n1\t2\t-1\n")
    collection = Collection.open(folder)
    assert collection.qrels("test") == {"1": {"2": 1, "404": 2}, "2": {"1": 0}}
    assert list(collection.problems.remarks.values()) == [1, 1] and not collection.problems
    collection.qrels("dev")
    told = "\n".join(collection.problems.lines())
    assert "judged document is not in the corpus" in told and "query without a relevant document" in told
    assert triples(load_pairs(folder, "test")) == [("one", "two", [])]
