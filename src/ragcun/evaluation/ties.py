"""The range of a score over all orders of documents with equal scores.

A run breaks ties by document id, which is arbitrary. The range of a measure over all orders is given by the two orders
in which, among tied documents, relevant ones come last and first.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from ragcun.evaluation.metrics import Qrels, score
from ragcun.evaluation.results import Result, check_part
from ragcun.intact import checksum, read_kept, write_record

DEPTH = 10
MEASURE = f"nDCG@{DEPTH}"

Range = tuple[float, float]


def tie_range(result: Result, qrels: Qrels) -> Range:
    """Return the lowest and the highest mean of `MEASURE` over all orders of the run's tied documents, 0 to 1.

    The result is cached next to the run. A tie that continues beyond the end of the run is used up to its end.
    """
    kept = result.path.with_name("ties.json")
    check_part(result.run)
    of = checksum(result.run)
    found = read_kept(kept)
    if found is None or found["run"] != of:
        low, high = _range(result, qrels)
        found = write_record(kept, {"run": of, "measure": MEASURE, "low": low, "high": high})
    return float(found["low"]), float(found["high"])


def _range(result: Result, qrels: Qrels) -> Range:
    scores = pq.read_table(result.scores, columns=["query_id", MEASURE])
    values = dict(zip(scores["query_id"].to_pylist(), scores[MEASURE].to_pylist(), strict=True))
    means = []
    tied = {query: documents for query, documents in _tied(result.run).items() if query in qrels}
    judged = {query: qrels[query] for query in tied}
    for first in (-1, 1):
        ordered = {query: _ordered(documents, judged[query], first) for query, documents in tied.items()}
        changed = score(judged, ordered, [MEASURE]) if tied else None
        moved = {} if changed is None else dict(zip(changed.queries, changed.values[MEASURE], strict=True))
        means.append(sum({**values, **moved}.values()) / len(values))
    return means[0], means[1]


def _ordered(documents: Mapping[str, float], grades: Mapping[str, int], first: int) -> dict[str, float]:
    """Sort documents by score, highest first, and tied ones by grade, the highest first (1) or last (-1)."""
    order = sorted(documents, key=lambda one: (-documents[one], -first * grades.get(one, 0)))
    return {document: float(-rank) for rank, document in enumerate(order)}


def _tied(run: Path) -> dict[str, dict[str, float]]:
    """Read the queries with ties among the first `DEPTH` documents or at this depth, with all tied documents."""
    table = csv.read_csv(
        run,
        csv.ReadOptions(column_names=["query", "q0", "document", "rank", "score", "tag"]),
        csv.ParseOptions(delimiter=" ", quote_char=False),
        csv.ConvertOptions(
            include_columns=["query", "document", "score"],
            column_types={"query": pa.string(), "document": pa.string(), "score": pa.float32()},
        ),
    ).combine_chunks()
    if not len(table):
        return {}
    queries = table["query"].dictionary_encode().combine_chunks()
    codes, values = queries.indices.to_numpy(), table["score"].to_numpy()
    starts = np.concatenate([[0], np.flatnonzero(np.diff(codes)) + 1, [len(codes)]])
    found = {}
    for start, stop in pairwise(starts.tolist()):
        mine = values[start:stop]
        kept = int((mine >= mine[min(DEPTH, len(mine)) - 1]).sum())
        if kept < 2 or not (np.diff(mine[:kept]) == 0).any():
            continue
        documents = table["document"].slice(start, kept).to_pylist()
        query = unquote(queries.dictionary[int(codes[start])].as_py())
        found[query] = dict(zip(map(unquote, documents), mine[:kept].tolist(), strict=True))
    return found
