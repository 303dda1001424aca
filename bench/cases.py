"""Small inputs whose right value is known, each through the command line: n of n are right.

    python CASES/build_models.py MODELS
    python bench/cases.py CASES MODELS          a table: input, right, found; exit code 1 where one is not right

CASES is a folder of collections, files of pairs and a script that builds tiny models. The right value of a model is
what sentence-transformers' own `encode_query`, `encode_document` and `similarity` give in fp32, each text in a batch of
its own (beside others, some models give it another vector), scored by pytrec_eval.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytrec_eval
import torch
from bad_inputs import run_here
from sentence_transformers import SentenceTransformer

from ragcun.data.collection import Collection

CLOSE = 0.005 + 1e-9  # scores are told to two places

# Models that are no encoders of one vector a text, or not whole: what the refusal says.
REFUSED = {
    "multivector": "a multi-vector",
    "cross-encoder": "a cross-encoder",
    "cross-encoder-st": "a cross-encoder",
    "sparse": "a sparse encoder",
    "no-pooling": "has no pooling",
    "remote-code": "custom_mod",
    "nan-model": "returned NaN or infinity",
    "similarity-manhattan": "manhattan",
}
STATED = {"router": 8.96, "truncate-dim": 3.57, "trunc-right": 6.53, "trunc-left": 9.27, "bow": 7.17}
TOLD = {"prompts-qp": "its prompt 'search document: ' for the passage is not used"}

# Files of pairs: how many pairs they hold, or what the refusal says.
PAIRS: dict[str, int | str] = {
    "tsv-quotes/merge500.tsv": 1002,
    "tsv-quotes/swallow.tsv": 1001,
    "tsv-quotes/merge.tsv": 5,
    "json-two-arrays/two.json": 9,
    "json-two-arrays/array-then-lines.json": 9,
    "pairs/array-missing-comma.json": "a comma is missing after row 1",
    "pairs/both-query-anchor-null.jsonl": 4,
    "pairs/cp1252.csv": "cp1252.csv:2: not UTF-8, probably WINDOWS-1252; convert it: iconv",
    "pairs/dup-header.csv": "names the column 'positive' twice",
    "pairs/flag-pos-neg.jsonl": 4,
    "pairs/inner-quote.tsv": 5,
    "pairs/leading-quote.tsv": 6,
    "pairs/neg-whitespace.jsonl": 4,
    "pairs/noheader.csv": "--columns",
    "pairs/plain.jsonl.gz": 4,
    "pairs/sentence12.jsonl": 4,
    "pairs/space-header.csv": 4,
}

# Collections, searched by BM25: nDCG@10, or what the refusal says; and what is told.
MISSING_DOCUMENT = "judged document is not in the corpus"
COLLECTIONS: dict[str, tuple[float | str, str]] = {
    "bm25-chinese/c": (100.0, ""),
    "gz-corpus/c": (95.32, ""),
    "ids-quote-lone/c": (100.0, ""),
    "parquet-corpus/c": ("corpus.jsonl is missing; the folder has corpus.parquet", ""),
    "qrels-allzero/c": (0.0, "query without a relevant document, which scores 0: 2"),
    "qrels-missing-doc/c": (82.43, MISSING_DOCUMENT),
    "self-retrieval/c": (95.32, "3 of 3 queries are also documents"),
    "windows1252/c": ("not UTF-8, probably WINDOWS-1252; convert it: iconv", ""),
}


@dataclass(frozen=True)
class Outcome:
    """What a command left."""

    code: int
    output: str
    errors: str

    @property
    def refusal(self) -> str:
        """What the only line of an error says; the end of what was printed where there is none, or more than one."""
        lines = [line for line in self.errors.splitlines() if line.startswith(("error: ", "warning: "))]
        return lines[0] if self.code in (1, 2) and len(lines) == 1 else f"exit code {self.code}: {self.errors[-300:]}"


@dataclass(frozen=True)
class Row:
    """One input."""

    name: str
    right: str
    found: str
    holds: bool


def ragcun(*arguments: str) -> Outcome:
    """Run a command in this process."""
    return Outcome(*run_here(arguments))


def scored(collection: Path, model: str, output: Path) -> tuple[float | None, Outcome]:
    """nDCG@10, times 100, by `ragcun eval collection`; None where it was refused."""
    outcome = ragcun("eval", "collection", str(collection), "--model", model, "--output", str(output), "--json")
    if outcome.code:
        return None, outcome
    (result,) = json.loads(outcome.output)["results"]
    return 100 * result["metrics"]["nDCG@10"], outcome


def reference(collection: Path, folder: Path) -> float:
    """nDCG@10, times 100, of what sentence-transformers gives."""
    opened = Collection.open(collection)
    qrels = opened.qrels("test")
    queries = {id_: opened.queries[row] for row, id_ in enumerate(opened.queries.ids()) if id_ in qrels}
    options: dict[str, Any] = {"device": "cpu", "local_files_only": True}
    model = SentenceTransformer(str(folder), model_kwargs={"dtype": torch.float32}, **options)
    documents = list(opened.corpus.ids())
    similarity = model.similarity(
        _encoded(model, model.encode_query, list(queries.values())),
        _encoded(model, model.encode_document, list(opened.corpus)),
    )
    run = {
        query: dict(zip(documents, scores, strict=True))
        for query, scores in zip(queries, similarity.tolist(), strict=True)
    }
    per_query = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"}).evaluate(run)
    return 100 * sum(one["ndcg_cut_10"] for one in per_query.values()) / len(qrels)


def _encoded(model: SentenceTransformer, encode: Callable[..., Any], texts: list[str]) -> torch.Tensor:
    try:
        return torch.as_tensor(encode(texts, batch_size=1, convert_to_tensor=True))
    except ValueError:  # a router that has no route for the role, but a default one
        return torch.as_tensor(model.encode(texts, batch_size=1, convert_to_tensor=True))


def models(cases: Path, folder: Path, output: Path) -> Iterator[Row]:
    """Every model on the collection toy."""
    for model in sorted(path for path in folder.iterdir() if not path.name.startswith(".")):
        found, outcome = scored(cases / "toy", str(model), output)
        if (words := REFUSED.get(model.name)) is not None:
            yield Row(f"model {model.name}", f"refused: {words}", outcome.refusal, words in outcome.refusal)
            continue
        right = reference(cases / "toy", model)
        wanted = f"{STATED.get(model.name, right):.2f}"
        holds = found is not None and abs(found - right) < CLOSE and abs(float(wanted) - found) < 2 * CLOSE
        if (words := TOLD.get(model.name)) is not None:
            wanted, holds = f"{wanted}, told: {words}", holds and words in " ".join(outcome.errors.split())
        yield Row(f"model {model.name}", wanted, outcome.refusal if found is None else f"{found:.2f}", holds)


def pairs(cases: Path) -> Iterator[Row]:
    """Every file of pairs, through `ragcun data audit`, whatever it finds."""
    for name, right in PAIRS.items():
        outcome = ragcun("data", "audit", str(cases / name), "--test", str(cases / "toy"))
        told = " ".join(outcome.errors.split())
        if isinstance(right, str):
            yield Row(name, f"refused: {right}", outcome.refusal, right in outcome.refusal)
        else:
            said = f"{right:,} rows read, {right:,} rows kept, 0 rows left out; {right:,} pairs"
            yield Row(name, said, said if said in told else told[-200:], outcome.code == 0 and said in told)


def collections(cases: Path, output: Path) -> Iterator[Row]:
    """Every collection, by BM25."""
    for name, (right, words) in COLLECTIONS.items():
        found, outcome = scored(cases / name, f"{Path(name).parent.name}=bm25", output)
        if isinstance(right, str):
            yield Row(name, f"refused: {right}", outcome.refusal, right in outcome.refusal)
            continue
        holds = found is not None and abs(found - right) < CLOSE and words in " ".join(outcome.errors.split())
        yield Row(name, f"{right:.2f} {words}", outcome.refusal if found is None else f"{found:.2f}", holds)


def _rows(cases: Path, folder: Path) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as temporary:
        output = Path(temporary)
        variables = {"RAGCUN_CACHE_DIR": str(output / "cache"), "HF_HUB_OFFLINE": "1", "COLUMNS": "400"}
        with mock.patch.dict(os.environ, variables):
            yield from pairs(cases)
            yield from collections(cases, output / "results")
            yield from models(cases, folder, output / "results")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", type=Path)
    parser.add_argument("models", type=Path)
    given = parser.parse_args()
    rows = []
    for row in _rows(given.cases.resolve(), given.models.resolve()):
        rows.append(row)
        print(f"{'right' if row.holds else 'WRONG'}\t{row.name}\t{row.right}\t{row.found}", flush=True)
    print(f"{sum(row.holds for row in rows)} of {len(rows)} are right")
    sys.exit(not all(row.holds for row in rows))
