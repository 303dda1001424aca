"""Pairs from documents: nothing in two splits, negatives that are none of the positives, whole or absent."""

import json
import subprocess
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from children import ragcun
from ragcun.data.collection import Collection
from ragcun.data.pairs import load_pairs
from ragcun.data.problems import Problems
from ragcun.errors import UserError
from ragcun.mining.negatives import Filter, Mining, mined_negatives
from ragcun.mining.pairs import PairSettings, prepare_pairs
from ragcun.mining.passages import Passage, read_passages
from ragcun.retrieval.bm25 import BM25
from ragcun.retrieval.retrievers import RetrieverOptions

ANIMALS = ["owl", "bear", "cat", "dog", "eagle", "fish", "frog", "hawk", "horse", "lion", "wolf", "ant"]
PLACES = ["river", "wood", "sea", "sun", "snow"]


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """Sixty passages, a line each, and five that repeat others but for case."""
    lines = [
        f"The {animal} by the {place} is number {i}. It likes the {place} at night and eats what the {animal} can find."
        for i, (animal, place) in enumerate(product(ANIMALS, PLACES))
    ]
    path = tmp_path / "passages.txt"
    path.write_text("\n".join([*lines, "", *(line.upper() for line in lines[:5])]) + "\n", encoding="utf-8")
    return path


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_no_text_is_in_two_splits_and_all_load(tmp_path: Path, documents: Path) -> None:
    found = prepare_pairs(documents, tmp_path / "out", PairSettings(), RetrieverOptions(tmp_path / "store"))

    assert found["pairs"] == {"train": 48, "val": 6, "test": 6}
    assert found["skipped"] == {"repeats another": 5}
    train, val = (rows(tmp_path / "out" / f"{name}.jsonl") for name in ("train", "val"))
    test = Collection.open(tmp_path / "out" / "test")
    texts = [{row["query"] for row in train}, {row["query"] for row in val}, set(test.queries)]
    assert [len(split) for split in texts] == [48, 6, 6]
    assert len(set.union(*texts)) == 60
    assert len(test.corpus) == 60
    assert len(load_pairs(tmp_path / "out" / "train.jsonl")) == 48


def test_the_same_command_gives_the_same_files_and_leaves_them(tmp_path: Path, documents: Path) -> None:
    settings, encoding = (
        PairSettings(pairs=30, negatives=Mining("random"), seed=3),
        RetrieverOptions(tmp_path / "store"),
    )
    first = prepare_pairs(documents, tmp_path / "a", settings, encoding)
    second = prepare_pairs(documents, tmp_path / "b", settings, encoding)
    assert first["sha256"] == second["sha256"]
    assert sum(first["pairs"].values()) == 30
    written = (tmp_path / "a" / "train.jsonl").stat().st_mtime_ns
    assert prepare_pairs(documents, tmp_path / "a", settings, encoding) == first
    assert (tmp_path / "a" / "train.jsonl").stat().st_mtime_ns == written
    with pytest.raises(UserError, match="other settings"):
        prepare_pairs(documents, tmp_path / "a", replace(settings, seed=4), encoding)
    (tmp_path / "b" / "source.json").unlink()  # as if it had been killed before it was complete
    assert prepare_pairs(documents, tmp_path / "b", settings, encoding) == first


def test_pairs_with_one_query_are_in_one_split(tmp_path: Path) -> None:
    path = tmp_path / "titled.jsonl"
    titled = [
        {"title": f"the {animal}", "text": f"It is found by the {place}, said {animal} number {i}."}
        for i, (animal, place) in enumerate(product(ANIMALS, PLACES))
    ]
    path.write_text("\n".join(map(json.dumps, titled)), encoding="utf-8")

    found = prepare_pairs(
        path, tmp_path / "out", PairSettings(query="title", split=(0.5, 0.25, 0.25)), RetrieverOptions(tmp_path)
    )

    assert sum(found["pairs"].values()) == 60
    splits = [{row["query"] for row in rows(tmp_path / "out" / f"{name}.jsonl")} for name in ("train", "val")]
    splits.append(set(Collection.open(tmp_path / "out" / "test").queries))
    assert sum(map(len, splits)) == len(set.union(*splits)) == 12


@pytest.mark.long
@pytest.mark.parametrize("negatives", ["random", "bm25", "dense"])
def test_negatives_are_no_positives(tmp_path: Path, documents: Path, tiny_model: Path, negatives: Any) -> None:
    model = str(tiny_model) if negatives == "dense" else None
    settings = PairSettings(negatives=Mining(negatives, model, 2, Filter(percentage=1.0)))
    prepare_pairs(documents, tmp_path / "out", settings, RetrieverOptions(tmp_path / "store"))

    train = rows(tmp_path / "out" / "train.jsonl")
    assert sum(len(row["negatives"]) for row in train) > 20
    assert all(row["positive"] not in row["negatives"] for row in train)
    positives = {row["positive"] for row in train}
    assert all(text in positives for row in train for text in row["negatives"])
    assert all(len(set(row["negatives"])) == len(row["negatives"]) for row in train)
    assert load_pairs(tmp_path / "out" / "train.jsonl").negatives.shape == (48, 2)
    assert not list((tmp_path / "out").glob(".*"))


def test_likely_positives_are_filtered(tmp_path: Path, documents: Path) -> None:
    prepare_pairs(documents, tmp_path / "out", PairSettings(), RetrieverOptions(tmp_path / "store"))
    pairs = load_pairs(tmp_path / "out" / "train.jsonl")
    queries = [pairs.queries[int(row)] for row in pairs.anchor]
    top = BM25().rank(pairs.documents, queries, 48, np.arange(48), np.full(48, -1))
    score = [dict(zip(r.tolist(), s.tolist(), strict=True)) for r, s in zip(top.rows, top.scores, strict=True)]

    own = [(row, positive) for row, positive in enumerate(pairs.positive.tolist()) if positive in score[row]]
    best = [max(s for n, s in score[row].items() if n != positive) / score[row][positive] for row, positive in own]
    percentage = float(np.median(best))

    found = mined_negatives(pairs, BM25(), 1, Filter(percentage=percentage))

    assert (found >= 0).any()
    for row, (positive, negatives) in enumerate(zip(pairs.positive.tolist(), found.tolist(), strict=True)):
        assert all(score[row][n] <= percentage * score[row][positive] + 1e-4 for n in negatives if n >= 0)
    hardest = mined_negatives(pairs, BM25(), 1, Filter(percentage=1.0))
    assert (hardest != found).any()


def test_passages_of_every_format(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "a.txt").write_text("first\n\nsecond\n", encoding="utf-8")
    (folder / "b.jsonl").write_text(
        '{"title": "T", "text": "third"}\n{"passage": "fourth"}\nnot json\n{"x": 1}\n', encoding="utf-8"
    )
    (folder / "c.csv").write_text("title,text\n,fifth\n", encoding="utf-8")
    pq.write_table(pa.table({"content": ["sixth"]}), folder / "d.parquet")
    problems = Problems()

    found = list(read_passages(folder, problems))

    assert found == [("", "first"), ("", "second"), Passage("T", "third"), ("", "fourth"), ("", "fifth"), ("", "sixth")]
    assert problems.counts == {"bad JSON": 1, "no column text, passage, document, content or contents": 1}
    with pytest.raises(UserError, match="no such file"):
        list(read_passages(tmp_path / "absent", problems))
    with pytest.raises(UserError, match="contains no file"):
        (tmp_path / "empty").mkdir()
        list(read_passages(tmp_path / "empty", problems))


@pytest.mark.long
def test_doc2query_writes_once_and_goes_on_where_it_stopped(tmp_path: Path, documents: Path, tiny_t5: Path) -> None:
    from ragcun.mining.doc2query import Doc2Query

    passages = list(read_passages(documents, Problems()))[:40]
    kept = tmp_path / "cut.jsonl"
    whole = Doc2Query(str(tiny_t5), 0, tmp_path / "whole.jsonl")
    whole.write(passages)
    assert len(whole.queries) == 40
    lines = (tmp_path / "whole.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    for batches, half in ((1, 100), (2, 7)):  # interrupted twice, within a batch
        kept.write_text("".join(lines[:batches]) + lines[batches][:half], encoding="utf-8")
        resumed = Doc2Query(str(tiny_t5), 0, kept)
        assert len(resumed.queries) == 16 * batches
        resumed.write(passages)
        assert resumed.queries == whole.queries
        assert kept.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    for place in (40, len(lines[0]) + 60):  # a bit that flipped, in the first and in the second batch
        damaged = bytearray((tmp_path / "whole.jsonl").read_bytes())
        damaged[place] ^= 1
        kept.write_bytes(damaged)
        resumed = Doc2Query(str(tiny_t5), 0, kept)
        assert len(resumed.queries) == (0 if place < len(lines[0]) else 16)
        resumed.write(passages)
        assert kept.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    other = Doc2Query(str(tiny_t5), 1, kept)
    other.write(passages)
    fresh = Doc2Query(str(tiny_t5), 1, tmp_path / "fresh.jsonl")
    fresh.write(passages)
    assert other.queries == fresh.queries != whole.queries


@pytest.fixture
def tiny_t5(tmp_path: Path, tiny_model: Path) -> Path:
    """A T5 with random weights and the tiny model's tokenizer."""
    import torch
    from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    torch.manual_seed(0)
    size = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    special = {"decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 3}
    config = T5Config(vocab_size=len(tokenizer), **size, **special)
    T5ForConditionalGeneration(config).save_pretrained(tmp_path / "t5")
    tokenizer.save_pretrained(tmp_path / "t5")
    return tmp_path / "t5"


@pytest.mark.long
def test_pairs_as_users_meet_them(tmp_path: Path, documents: Path) -> None:
    command = ["data", "pairs", "--documents", str(documents)]
    done = ragcun(*command, "--output", tmp_path / "o", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["pairs"]["train"] == 48
    for wrong in (
        ["--split", "0.5,0.1,0.1"],
        ["--split", "half"],
        ["--negatives", "dense"],
        ["--documents", "none.txt"],
    ):
        refused = ragcun(*command, "--output", tmp_path / "p", *wrong)
        assert refused.returncode == 2, refused.stderr
        assert len(refused.stderr.splitlines()) == 1


def test_negatives_are_mined_for_pairs_that_there_are(tmp_path: Path, documents: Path) -> None:
    prepare_pairs(documents, tmp_path / "made", PairSettings(), RetrieverOptions(tmp_path / "store"))

    def mine(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return ragcun("data", "negatives", *arguments, "--negatives-per-pair", "2")

    bare = str(tmp_path / "made" / "train.jsonl")
    done = mine(bare, "--output", str(tmp_path / "hard" / "train.jsonl"), "--percentage", "1", "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["pairs"] == 48
    before, after = rows(Path(bare)), rows(tmp_path / "hard" / "train.jsonl")
    assert [(row["query"], row["positive"]) for row in after] == [(row["query"], row["positive"]) for row in before]
    positives = {row["positive"] for row in before}
    assert sum(len(row["negatives"]) for row in after) > 48
    assert all(set(row["negatives"]) <= positives - {row["positive"]} for row in after)

    whole = mine(str(tmp_path / "made" / "test"), "--split", "test", "--output", str(tmp_path / "test.jsonl"))
    assert whole.returncode == 0, whole.stderr
    outside = {text for row in rows(tmp_path / "test.jsonl") for text in row["negatives"]}
    assert outside & positives, "a collection's negatives come from its whole corpus"
    unchanged = Path(bare).read_bytes()
    for wrong in (["--output", "x.parquet"], ["--output", "x.jsonl", "--negatives", "dense"], ["--output", bare]):
        refused = mine(bare, *wrong)
        assert refused.returncode == 2, refused.stderr
        assert len(refused.stderr.splitlines()) == 1
    assert Path(bare).read_bytes() == unchanged, "what a record lists would look damaged"
