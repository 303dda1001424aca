import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ragcun.data import pydocs
from ragcun.data.collection import Collection
from ragcun.data.pydocs import (
    SHARES,
    Pair,
    distinct,
    pydocs_collection,
    read_documentation,
    sample,
    source_files,
    split_by_part,
)
from ragcun.errors import UserError
from ragcun.files import read_json, tree_sha256
from ragcun.lock import only_writer

WORDS = ["amber", "birch", "cedar", "dune", "elm", "fern", "grove", "heath", "iris", "kelp", "lotus", "moss", "oak"]
TOPIC = """The "{word}" statement
*******************

The "{word}" statement asks for one thing of its own.  What it does with {word}
is said here, in twelve words or more, as a paragraph that follows.

   {word}_stmt ::= "{word}" suite

Too short.  It is.
"""


def docstring(module: int, item: int) -> str:
    """A summary and a body that no other (module, item) has."""
    a, b = WORDS[module], WORDS[item]
    return f"Tell how {b} grows beside {a} in time.\n\n{b} {a} {'soil and water ' * 5}are what a plant needs to grow."


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, sizes: dict[str, int], topics: dict[str, str]) -> None:
    """A standard library of a module for each name, with so many docstrings, and topics."""
    folder.mkdir()
    files = {}
    for index, (name, items) in enumerate(sizes.items()):
        files[name] = folder / f"{name}.py"
        functions = [f'def item{i}():\n    """{docstring(index, i)}"""\n' for i in range(items)]
        files[name].write_text("\n".join(functions), encoding="utf-8")
    monkeypatch.setattr(pydocs, "source_files", lambda: files)
    monkeypatch.setattr(pydocs, "topics", lambda: topics)


def rows_of(collection: Path) -> dict[str, dict[str, dict[str, int]]]:
    opened = Collection.open(collection)
    return {split: opened.qrels(split) for split in SHARES}


def test_the_files_of_the_standard_library_without_its_tests() -> None:
    files = source_files(["unittest", "argparse", "no_such_module"])
    assert {"argparse", "unittest", "unittest.mock"} <= files.keys()
    assert list(files) == sorted(files)
    assert all(path.suffix == ".py" and path.is_file() for path in files.values())
    assert not any(".test" in module for module in files)


def test_a_paragraph_of_a_topic_is_a_query_and_what_follows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "library", monkeypatch, {}, {word: TOPIC.format(word=word) for word in ("elm", "birch")})
    first, second = read_documentation(100)
    assert (first.part, first.id) == ("topics.birch", "topics.birch.paragraph1")
    assert first.query == 'The "birch" statement asks for one thing of its own'
    assert first.document.startswith("What it does with birch is said here")
    assert (second.part, "stmt" in second.document) == ("topics.elm", False)


def test_each_pair_belongs_to_itself_alone() -> None:
    def pair(name: str, query: str, document: str) -> Pair:
        return Pair("p", name, query, document)

    opening = "the opening of a document is made of twenty words and these are they so that it is long enough"
    alone = pair("alone", "Only here", "A document of its own.")
    copies = [pair("copy.1", "Said twice", f"{opening}, once."), pair("copy.2", "said, twice!", f"{opening} again.")]
    ambiguous = [pair("a.1", "Return it", "This is one thing."), pair("a.2", "Return it.", "That is another.")]
    shared = [pair("s.1", "Add one", "Parameters: x: A number."), pair("s.2", "Subtract", "Parameters: x: A number.")]
    renamed = [pair("same", "One name", "First of that name."), pair("same", "The name again", "Second of that name.")]
    assert distinct([alone, *copies, *ambiguous, *shared, *renamed]) == [alone, copies[0], renamed[0]]


@pytest.mark.parametrize("sizes", [[1, 1, 1], [500, 3, 2], [40] * 3 + [5] * 20 + [1] * 100, [7] * 60])
def test_no_part_is_in_two_splits(sizes: list[int]) -> None:
    pairs = [Pair(f"p{p}", f"p{p}.{i}", "", "") for p, size in enumerate(sizes) for i in range(size)]
    splits = split_by_part(pairs)
    assert sorted(pair.id for rows in splits.values() for pair in rows) == sorted(pair.id for pair in pairs)
    parts = [{pair.part for pair in rows} for rows in splits.values()]
    assert all(parts)
    assert sum(map(len, parts)) == len(sizes)
    if len(sizes) > 3:
        for split, share in SHARES.items():
            assert len(splits[split]) / len(pairs) == pytest.approx(share, abs=0.02)


def test_fewer_than_three_parts_are_refused() -> None:
    with pytest.raises(UserError, match=r"in 2 modules .* at least 3"):
        split_by_part([Pair("a", "a.1", "", ""), Pair("b", "b.1", "", "")])


def test_a_sample_keeps_the_shares_and_follows_the_seed() -> None:
    splits = {split: [Pair(split, f"{split}.{i:03}", "", "") for i in range(200)] for split in SHARES}
    chosen = sample(splits, 100, seed=0)
    assert {split: len(rows) for split, rows in chosen.items()} == {"train": 70, "dev": 10, "test": 20}
    assert all(rows == sorted(rows, key=lambda pair: pair.id) for rows in chosen.values())
    shuffled = {split: rows[::-1] for split, rows in splits.items()}
    assert sample(shuffled, 100, seed=0) == chosen
    assert sample(splits, 100, seed=1) != chosen
    assert {split: set(rows) for split, rows in sample(splits, None, 0).items()} == {
        split: set(rows) for split, rows in splits.items()
    }
    with pytest.raises(UserError, match="3 documents leave the dev split empty"):
        sample(splits, 3, seed=0)


def test_the_collection_is_one_that_ragcun_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    topics = {"birch": TOPIC.format(word="birch")}
    install(tmp_path / "library", monkeypatch, {"one": 12, "two": 5, "three": 4, "four": 3}, topics)
    folder = pydocs_collection(tmp_path / "out" / "pydocs", max_words=13)
    collection = Collection.open(folder)
    assert (len(collection.corpus), len(collection.queries), sorted(collection.splits())) == (25, 25, sorted(SHARES))
    described = read_json(folder / "source.json")
    assert described["documents"] == described["queries"] == sum(described["splits"].values()) == 25
    assert described["settings"] == {"documents": None, "seed": 0, "max_words": 13}
    assert described["python"].endswith(sys.version.split()[0])
    split_of = {part: split for split, parts in described["parts"].items() for part in parts}
    assert set(split_of) == {"one", "two", "three", "four", "topics.birch"}
    ids = dict(zip(collection.corpus.ids(), collection.corpus, strict=True))
    for split, qrels in rows_of(folder).items():
        for query, documents in qrels.items():
            (document,) = documents
            assert query not in ids
            assert split_of[document.rpartition(".")[0]] == split
            assert len(ids[document].split()) == 13
    assert ids["two.item3"].startswith("dune birch soil and water")


def test_a_folder_is_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(tmp_path / "library", monkeypatch, {"one": 12, "two": 5, "three": 4}, {})
    folder = tmp_path / "pydocs"
    folder.mkdir()
    pydocs_collection(folder)
    before = tree_sha256(folder)
    capsys.readouterr()
    assert pydocs_collection(folder) == folder
    assert "is already complete" in capsys.readouterr().err
    with pytest.raises(UserError, match="with other settings"):
        pydocs_collection(folder, max_words=12)
    assert tree_sha256(folder) == before
    with (
        only_writer(tmp_path, "ragcun data pydocs", part="other"),
        pytest.raises(UserError, match=r"other: .* is writing this folder"),
    ):
        pydocs_collection(tmp_path / "other")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(UserError, match="mine: exists and is not a collection"):
        pydocs_collection(tmp_path / "mine")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["library", "mine", "pydocs"]


def test_the_same_python_gives_the_same_bytes_and_starts_no_process(tmp_path: Path) -> None:
    code = (
        "import sys; from ragcun.data import pydocs\n"
        "files = pydocs.source_files(['argparse', 'asyncio', 'email', 'http', 'logging', 'unittest'])\n"
        "pydocs.source_files = lambda: files\n"
        "pydocs.pydocs_collection(sys.argv[1], 100)\n"
        "assert not {'multiprocessing', 'unittest.mock', 'http.cookiejar'} & sys.modules.keys()"
    )
    sums = []
    for hash_seed in ("1", "2"):
        folder = tmp_path / f"out{hash_seed}"
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run([sys.executable, "-c", code, str(folder)], env=environment, check=True)
        sums.append(tree_sha256(folder))
    assert sums[0] == sums[1]
    assert read_json(folder / "source.json")["splits"] == {"train": 70, "dev": 10, "test": 20}


def test_the_real_documentation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = source_files(["argparse", "asyncio", "email", "http", "json", "logging", "unittest", "urllib"])
    monkeypatch.setattr(pydocs, "source_files", lambda: files)
    texts = {pair.id: pair.document for pair in read_documentation(100)}
    assert "argparse.FileType" in texts
    assert sum(name.startswith("topics.") for name in texts) > 200
    folder = pydocs_collection(tmp_path / "pydocs", 100)
    rows = [json.loads(line) for line in (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 100
    assert all(texts[row["_id"]] == row["text"] for row in rows)
