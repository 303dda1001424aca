"""`ragcun data msmarco`: the passage-ranking task as training pairs, joined without loading the corpus.

The judgements determine the passages and queries that are needed. The corpus is streamed once, and only the needed
passages are written to disk.
"""

import csv
from collections.abc import Iterable
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ragcun.console import progress, warn
from ragcun.data.finished import SOURCE, made_once
from ragcun.data.hub import HubFiles, Snapshot, fetch
from ragcun.data.hub_rows import LINES, TABLES, hub_rows, json_lines
from ragcun.data.table import ArrowTexts
from ragcun.errors import RagcunError
from ragcun.files import atomic_path, file_sha256
from ragcun.intact import write_record

CORPUS = HubFiles("BeIR/msmarco", TABLES, otherwise=LINES)
QRELS = HubFiles("BeIR/msmarco-qrels", ("*.tsv",))
HARD_NEGATIVES = HubFiles("sentence-transformers/msmarco-hard-negatives", ("msmarco-hard-negatives.jsonl.gz",))
# The counts of the whole task: passages, judgements and queries of train, queries of dev.
COUNTS = {"documents": 8_841_823, "train": 532_751, "train queries": 502_939, "dev queries": 6_980}
_ROWS = 4_096
_TEXT = pa.schema([("text", pa.string())])

Judgement = tuple[str, str]


def prepare_msmarco(
    output: Path, pairs: int | None, hard_negatives: int = 0, seed: int = 0, offline: bool = False
) -> dict[str, Any]:
    """Write train.parquet and dev.parquet into `output`, and return the content of source.json.

    The columns are query, positive and, for `hard_negatives` n, negative_1 .. negative_n. These are taken from the
    published set, from the systems that found them in turn. `pairs` pairs are drawn at random from the train split;
    with None, all are used, and their counts are compared with the task's. A training pair whose query is also a dev
    query is left out.

    Raises:
        UserError: `output` was made with other settings.
        RagcunError: a download failed, or the counts of the whole task are wrong.
    """
    wanted = {"pairs": pairs, "hard_negatives": hard_negatives, "seed": seed}
    return made_once(
        output, wanted, "ragcun data msmarco", lambda: _make(output, wanted, pairs, hard_negatives, seed, offline)
    )


def _make(
    output: Path, wanted: dict[str, Any], pairs: int | None, hard_negatives: int, seed: int, offline: bool
) -> dict[str, Any]:
    qrels, texts = fetch(QRELS, offline), fetch(CORPUS, offline)
    judged = {"train": _judgements(qrels, "train"), "dev": _judgements(qrels, "validation", "dev")}
    queries = _queries(texts, {query for split in judged.values() for query, _ in split})
    apart, shared = _apart(judged, queries)
    train = _draw(apart, pairs, seed)
    negatives: dict[str, list[str]] = {}
    commits = {CORPUS.repo: texts.commit, QRELS.repo: qrels.commit}
    if hard_negatives:
        mined = fetch(HARD_NEGATIVES, offline)
        commits[HARD_NEGATIVES.repo] = mined.commit
        negatives = _hard_negatives(mined, {query for query, _ in train}, hard_negatives)
    chosen = {"train": train, "dev": judged["dev"]}
    documents = {document for split in chosen.values() for _, document in split}
    documents.update(document for found in negatives.values() for document in found)
    output.mkdir(parents=True, exist_ok=True)
    with atomic_path(output / "passages.arrow") as kept:
        row_of, total = _keep(texts, documents, kept)
        passages = ArrowTexts(kept)
        for split, judgements in chosen.items():
            columns = hard_negatives if split == "train" else 0
            _write(output / f"{split}.parquet", judgements, queries, passages, row_of, negatives, columns)
    (output / "passages.arrow").unlink()
    counts = {
        "documents": total,
        "train": len(judged["train"]),
        "train queries": len({query for query, _ in judged["train"]}),
        "dev queries": len({query for query, _ in judged["dev"]}),
    }
    if pairs is None and counts != COUNTS:
        raise RagcunError(
            f"{CORPUS.repo}: has the counts {counts} instead of {COUNTS}; the download may be another version"
        )
    missing = len(documents) - len(row_of)
    if missing:
        warn(f"{missing:,} judged passages are not in the corpus; their pairs are left out")
    result = {
        "settings": wanted,
        "commits": commits,
        "counts": counts,
        "pairs": {split: pq.read_metadata(output / f"{split}.parquet").num_rows for split in chosen},
        "queries shared with dev, left out of train": shared,
        "passages that are missing": missing,
        "sha256": {split: file_sha256(output / f"{split}.parquet") for split in chosen},
    }
    return write_record(output / SOURCE, result, [output / f"{split}.parquet" for split in chosen])


def _judgements(qrels: Snapshot, *names: str) -> list[Judgement]:
    """Return (query id, document id) of the judgements above 0 of a split, which has one of these names."""
    path = next((qrels.folder / f"{name}.tsv" for name in names if (qrels.folder / f"{name}.tsv").is_file()), None)
    if path is None:
        raise RagcunError(f"{QRELS.repo}: has no {names[0]}.tsv, but {', '.join(qrels.names)}")
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.reader(stream, delimiter="\t")
        next(rows)
        return [(query, document) for query, document, grade in rows if float(grade) > 0]


def _queries(texts: Snapshot, wanted: set[str]) -> dict[str, str]:
    return {row["_id"]: row["text"] for row in hub_rows(texts, "queries", ["_id", "text"]) if row["_id"] in wanted}


def _apart(judged: dict[str, list[Judgement]], queries: dict[str, str]) -> tuple[list[Judgement], int]:
    """Return train's judgements without those of dev queries (same id or words), and the number left out."""
    dev = {query for query, _ in judged["dev"]}
    asked = {_folded(queries[query]) for query in dev if query in queries}
    kept = [
        (query, document)
        for query, document in judged["train"]
        if query in queries and query not in dev and _folded(queries[query]) not in asked
    ]
    return kept, len(judged["train"]) - len(kept)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _draw(judgements: list[Judgement], pairs: int | None, seed: int) -> list[Judgement]:
    if pairs is None or pairs >= len(judgements):
        return judgements
    drawn = np.sort(np.random.default_rng(seed).permutation(len(judgements))[:pairs])
    return [judgements[row] for row in drawn.tolist()]


def _hard_negatives(mined: Snapshot, wanted: set[str], count: int) -> dict[str, list[str]]:
    """Return for each query id the ids of `count` negatives, from the systems in turn."""
    found: dict[str, list[str]] = {}
    for row in json_lines(mined.folder / mined.names[0]):
        query = str(row["qid"])
        if query not in wanted:
            continue
        positives = {str(document) for document in row["pos"]}
        systems = [list(map(str, ranked)) for ranked in row["neg"].values()]
        turns = (document for turn in zip_longest(*systems) for document in turn if document is not None)
        found[query] = list(islice(dict.fromkeys(d for d in turns if d not in positives), count))
    return found


def _keep(texts: Snapshot, wanted: set[str], path: Path) -> tuple[dict[str, int], int]:
    """Write the wanted passages to an Arrow file; return the row of each, and the size of the corpus."""
    row_of: dict[str, int] = {}
    total = 0
    waiting: list[str] = []
    with pa.ipc.new_file(str(path), _TEXT) as writer, progress("reading the corpus", None, "passages") as bar:

        def flush() -> None:
            writer.write_batch(pa.record_batch([pa.array(waiting, pa.string())], schema=_TEXT))
            waiting.clear()

        for row in hub_rows(texts, "corpus", ["_id", "title", "text"]):
            total += 1
            bar.advance()
            if row["_id"] in wanted and row["_id"] not in row_of:
                row_of[row["_id"]] = len(row_of)
                waiting.append(f"{row.get('title') or ''} {row['text']}".strip())
            if len(waiting) == _ROWS:
                flush()
        flush()
    return row_of, total


def _write(
    path: Path,
    judgements: Iterable[Judgement],
    queries: dict[str, str],
    passages: ArrowTexts,
    row_of: dict[str, int],
    negatives: dict[str, list[str]],
    columns: int,
) -> None:
    names = ["query", "positive", *(f"negative_{i}" for i in range(1, columns + 1))]
    schema = pa.schema([(name, pa.string()) for name in names])
    there = ((query, document) for query, document in judgements if document in row_of)
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        while batch := list(islice(there, _ROWS)):
            rows = []
            for query, document in batch:
                found = [passages[row_of[d]] for d in negatives.get(query, [])[:columns] if d in row_of]
                padded = [*found, *[None] * (columns - len(found))]
                rows.append([queries[query], passages[row_of[document]], *padded])
            writer.write_table(pa.table([list(column) for column in zip(*rows, strict=True)], schema=schema))
