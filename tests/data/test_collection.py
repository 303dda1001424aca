import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragcun.data.collection import Collection, write_collection
from ragcun.errors import UserError

Write = Callable[..., Path]

CORPUS = (
    '{"_id": "d1", "title": "Sun", "text": "A star."}\n'
    '{"_id": "d2", "title": "", "text": " Moon. "}\n'
    '{"_id": "d3", "text": "Earth."}\n'
)
QUERIES = '{"_id": "q1", "text": "what shines"}\n{"_id": "q2", "text": "what is round"}\n'
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq2\td2\t1\nq2\td1\t0\n"


def test_reads_what_beir_reads(collection_of: Write) -> None:
    collection = Collection.open(collection_of(CORPUS, QUERIES, test=QRELS, dev="q1\td1\t1\n"))
    assert collection.name == "toy"
    assert list(collection.corpus) == ["Sun A star.", "Moon.", "Earth."]
    assert list(collection.queries) == ["what shines", "what is round"]
    assert collection.splits() == ["dev", "test"]
    assert collection.qrels("test") == {"q1": {"d1": 2}, "q2": {"d2": 1, "d1": 0}}
    assert collection.qrels("dev") == {"q1": {"d1": 1}}
    assert not collection.problems


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_beir_reads_what_is_written(tmp_path: Path) -> None:
    from beir.datasets.data_loader import GenericDataLoader

    folder = write_collection(
        tmp_path / "toy",
        [('d"1', "A title", 'Quotes ", a tab\t and\na line end'), ("d 2", "", "Plain")],
        [("q1", "Why?"), ('"q2"', "Über?")],
        {"test": [("q1", 'd"1', 2), ('"q2"', "d 2", 1)]},
    )
    corpus, queries, qrels = GenericDataLoader(str(folder)).load(split="test")
    assert corpus['d"1'] == {"title": "A title", "text": 'Quotes ", a tab\t and\na line end'}
    assert queries == {"q1": "Why?", '"q2"': "Über?"}
    assert qrels == Collection.open(folder).qrels("test") == {"q1": {'d"1': 2}, '"q2"': {"d 2": 1}}


IDS = st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r"), min_size=1, max_size=8)
TEXTS = st.text(max_size=30).filter(lambda text: bool(text.strip()))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    corpus=st.dictionaries(IDS, st.tuples(st.text(max_size=10), TEXTS), min_size=1, max_size=6),
    queries=st.dictionaries(IDS, TEXTS, min_size=1, max_size=6),
    grades=st.lists(st.integers(-2, 4), min_size=1, max_size=12),
)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    corpus: dict[str, tuple[str, str]],
    queries: dict[str, str],
    grades: list[int],
) -> None:
    pairs = [(query, document) for query in queries for document in corpus]
    judged = [(query, document, grade) for (query, document), grade in zip(pairs, grades, strict=False)]
    folder = write_collection(
        tmp_path_factory.mktemp("written") / "c",
        ((id_, title, text) for id_, (title, text) in corpus.items()),
        queries.items(),
        {"test": judged},
    )
    collection = Collection.open(folder)
    assert list(collection.corpus.ids()) == list(corpus)
    assert list(collection.corpus) == [f"{title} {text}".strip() for title, text in corpus.values()]
    assert dict(zip(collection.queries.ids(), collection.queries, strict=True)) == queries
    assert collection.corpus.rows([*reversed(corpus), "no such id"]).tolist() == [*reversed(range(len(corpus))), -1]
    qrels = collection.qrels("test")
    assert [(query, document, grade) for query in qrels for document, grade in qrels[query].items()] == judged


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ('{"_id": "d9", "text": ', "bad JSON"),
        ('["d9", "text"]', "not a JSON object"),
        ('{"text": "x"}', "missing _id"),
        ('{"_id": null, "text": "x"}', "missing _id"),
        ('{"_id": "", "text": "x"}', "missing _id"),
        ('{"_id": 1.5, "text": "x"}', "_id is not a string"),
        ('{"_id": true, "text": "x"}', "_id is not a string"),
        ('{"_id": "d1", "text": "again"}', "duplicate _id"),
        ('{"_id": "d9", "title": " ", "text": "\\n"}', "empty text"),
        ('{"_id": "d9"}', "empty text"),
        ('{"_id": "d9", "text": ["x"]}', "text is not a string"),
        ('{"_id": "d9", "title": 3, "text": "x"}', "title is not a string"),
        ('{"_id": "d9", "text": "\\ud800"}', "half a surrogate pair"),
        ("[" * 100_000, "bad JSON"),
    ],
)
def test_bad_document_is_named_then_refused_or_skipped(collection_of: Write, line: str, kind: str) -> None:
    folder = collection_of(line.join([CORPUS, '\n{"_id": "d4", "text": "Mars."}\n']), QUERIES, test=QRELS)
    with pytest.raises(UserError) as refusal:
        Collection.open(folder)
    message = str(refusal.value)
    assert f"{kind}: 1 (first at {folder / 'corpus.jsonl'}:4" in message
    assert "--on-error skip" in message and "\n" not in message
    collection = Collection.open(folder, on_error="skip")
    assert collection.problems.counts == {kind: 1}
    assert list(collection.corpus.ids()) == ["d1", "d2", "d3", "d4"]
    assert next(iter(collection.corpus)) == "Sun A star."


def test_invalid_utf8_is_a_bad_line(collection_of: Write) -> None:
    folder = collection_of(CORPUS.encode() + b'{"_id": "d4", "text": "\xff"}\n', QUERIES, test=QRELS)
    assert Collection.open(folder, on_error="skip").problems.counts == {
        "not UTF-8, probably WINDOWS-1252; convert it: iconv -f WINDOWS-1252 -t UTF-8": 1
    }


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("q1\td3", "malformed line"),
        ("q1\t\t1", "malformed line"),
        ("q1\t0\td3\t1\textra", "malformed line"),
        ('"q1\td3\t1', "judged query is not among the queries"),
        ("q1\td3\thigh", "grade is not a whole number"),
        ("q1\td3\t1.5", "grade is not a whole number"),
        ("q1\td3\t", "grade is not a whole number"),
        ("q9\td3\t1", "judged query is not among the queries"),
        ("q1\td1\t1", "contradictory judgement"),
    ],
)
def test_bad_judgement_is_named_then_refused_or_skipped(collection_of: Write, line: str, kind: str) -> None:
    folder = collection_of(CORPUS, QUERIES, test=f"{QRELS}{line}\n", dev=QRELS)
    refusing = Collection.open(folder)
    assert len(refusing.qrels("dev")) == 2
    with pytest.raises(UserError, match=rf"{kind}: 1 \(first at \S*test\.tsv:5"):
        refusing.qrels("test")
    skipping = Collection.open(folder, on_error="skip")
    assert not skipping.problems
    assert skipping.qrels("test") == refusing.qrels("dev")
    skipping.qrels("test")
    assert skipping.problems.counts == {kind: 1}


def test_every_kind_is_counted_and_the_first_places_named(collection_of: Write) -> None:
    bad = "".join(f'{{"_id": "x{i}", "text": ""}}\n' for i in range(5)) + "{\n"
    folder = collection_of(CORPUS + bad, QUERIES, test=QRELS)
    with pytest.raises(UserError, match=r"empty text: 5 .*:4\); bad JSON: 1 .*:9\)"):
        Collection.open(folder)
    printed = Collection.open(folder, on_error="skip").problems.lines()
    file = folder / "corpus.jsonl"
    assert printed == [f"empty text: 5 ({file}:4, {file}:5, {file}:6, ...)", f"bad JSON: 1 ({file}:9)"]


def test_repeated_judgement_is_only_noted(collection_of: Write) -> None:
    collection = Collection.open(collection_of(CORPUS, QUERIES, test=QRELS + "q1\td1\t2\n"))
    assert collection.qrels("test")["q1"] == {"d1": 2}
    assert collection.problems.notes == {"repeated judgement": 1}
    assert not collection.problems


@pytest.mark.parametrize(
    "qrels",
    [
        QRELS.replace("\n", "\r\n"),
        "\ufeff" + QRELS,
        QRELS.rstrip("\n"),
        QRELS.split("\n", 1)[1],
        "q1 0 d1 2\nq2 0 d2 1\nq2 0 d1 0\n",
        "q1\tQ0\td1\t2\nq2\tQ0\td2\t1\nq2\tQ0\td1\t0\n",
        QRELS.replace("\t2\n", "\t2.0\n") + "\n",
        QRELS.replace("q1", '"q1"'),
    ],
    ids=["crlf", "bom", "no last line end", "no heading", "trec", "trec with tabs", "float grades", "quoted"],
)
def test_qrels_in_the_wild(collection_of: Write, qrels: str) -> None:
    collection = Collection.open(collection_of(CORPUS, QUERIES, test=qrels))
    assert collection.qrels("test") == {"q1": {"d1": 2}, "q2": {"d2": 1, "d1": 0}}
    assert not collection.problems


def test_jsonl_in_the_wild(collection_of: Write) -> None:
    corpus = '\ufeff{"_id": 7, "title": null, "text": "a\u2028b"}\r\n\r\n{"_id": "8", "text": "c"}'
    collection = Collection.open(collection_of(corpus, QUERIES, test="q1\t7\t1\n"))
    assert list(collection.corpus.ids()) == ["7", "8"]
    assert list(collection.corpus) == ["a\u2028b", "c"]
    assert collection.qrels("test") == {"q1": {"7": 1}}


def test_missing_parts_say_what_there_is(collection_of: Write, tmp_path: Path) -> None:
    folder = collection_of(CORPUS, QUERIES, test=QRELS)
    with pytest.raises(UserError, match=r"has no split 'train'; its splits are test"):
        Collection.open(folder).qrels("train")
    with pytest.raises(UserError, match=r"no such folder; .* has toy"):
        Collection.open(tmp_path / "toys")
    (folder / "queries.jsonl").unlink()
    with pytest.raises(UserError, match=r"queries.jsonl is missing; the folder has corpus.jsonl, qrels"):
        Collection.open(folder)


@pytest.mark.parametrize("on_error", ["refuse", "skip"])
def test_nothing_usable_is_an_error(collection_of: Write, on_error: str) -> None:
    folder = collection_of(CORPUS, QUERIES, test="query-id\tcorpus-id\tscore\n")
    with pytest.raises(UserError, match="has no usable judgement: the file is empty"):
        Collection.open(folder, on_error).qrels("test")  # type: ignore[arg-type]
    (folder / "corpus.jsonl").write_text("")
    with pytest.raises(UserError, match="has no usable row: the file is empty"):
        Collection.open(folder, on_error)  # type: ignore[arg-type]


def test_fingerprint_follows_the_bytes_of_its_split(collection_of: Write) -> None:
    folder = collection_of(CORPUS, QUERIES, test=QRELS, dev=QRELS)
    collection = Collection.open(folder)
    test, dev = collection.fingerprint("test"), collection.fingerprint("dev")
    assert test == dev and len(test) == 64
    file = folder / "qrels" / "test.tsv"
    file.write_text(QRELS.replace("\t2\n", "\t3\n"))
    os.utime(file, ns=(1, 1))
    assert Collection.open(folder).fingerprint("test") != test
    assert Collection.open(folder).fingerprint("dev") == dev
    (folder / "corpus.jsonl").write_text(CORPUS + "\n")
    assert Collection.open(folder).fingerprint("dev") != dev


def test_writing_is_whole_or_absent(tmp_path: Path) -> None:
    def failing() -> object:
        yield ("q1", "text")
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        write_collection(tmp_path / "toy", [("d1", "", "x")], failing(), {})  # type: ignore[arg-type]
    with pytest.raises(UserError, match="tab or a line break"):
        write_collection(tmp_path / "toy", [("d\t1", "", "x")], [], {})
    with pytest.raises(UserError, match="'d1' contains half a surrogate pair"):
        write_collection(tmp_path / "toy", [("d1", "", "\ud800")], [], {})
    assert not list(tmp_path.iterdir())
    folder = write_collection(tmp_path / "toy", [("d1", "", "x")], [("q1", "y")], {"dev": [("q1", "d1", 1)]})
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]
    assert json.loads((folder / "corpus.jsonl").read_text()) == {"_id": "d1", "title": "", "text": "x"}
    with pytest.raises(UserError, match="already exists"):
        write_collection(folder, [], [], {})
    assert len(Collection.open(folder).corpus) == 1


@pytest.mark.collections
def test_real_collections_open_and_are_sound() -> None:
    root = os.environ.get("RAGCUN_COLLECTIONS")
    if not root:
        pytest.skip("RAGCUN_COLLECTIONS is not set: no real collections to read")
    opened = 0
    for file in sorted(Path(root).glob("*/queries.jsonl")):
        collection = Collection.open(file.parent)
        for split in collection.splits():
            assert collection.qrels(split)
        assert not collection.problems
        opened += 1
    assert opened > 0
    scifact = Collection.open(Path(root) / "scifact")
    assert (len(scifact.corpus), len(scifact.qrels("test"))) == (5183, 300)


def test_a_quotation_mark_that_nothing_closes_is_part_of_an_id(tmp_path: Path) -> None:
    folder = write_collection(tmp_path / "c", [('"d1', "", "a text")], [('"q1', "a query")], {})
    (folder / "qrels" / "test.tsv").write_text('query-id\tcorpus-id\tscore\n"q1\t"d1\t1\n', encoding="utf-8")
    assert Collection.open(folder).qrels("test") == {'"q1': {'"d1': 1}}
