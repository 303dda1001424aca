"""Exact search against FAISS' flat index: the same vectors, the same threads (OMP_NUM_THREADS), runs taken in turn.

python bench/search.py [--queries 1000] [--documents 200000] [--dimension 384] [--k 100] [--runs 5]

Prints JSON: seconds of each run, medians, ragcun's median over FAISS', and the share of places with the same document.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np

from ragcun.console import console
from ragcun.retrieval.search import search


def timed(work: Callable[[], Any], seconds: list[float]) -> Any:
    """What `work` gives; its wall time is added to `seconds`."""
    began = time.perf_counter()
    result = work()
    seconds.append(time.perf_counter() - began)
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    sizes = {"queries": 1000, "documents": 200_000, "dimension": 384, "k": 100, "runs": 5}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    console.quiet = True
    draw = np.random.default_rng(0)
    queries = draw.standard_normal((options.queries, options.dimension), dtype=np.float32)
    documents = draw.standard_normal((options.documents, options.dimension), dtype=np.float32)
    report: dict[str, Any] = {"settings": vars(options)}
    for similarity, index in (
        ("euclidean", faiss.IndexFlatL2(options.dimension)),
        ("dot", faiss.IndexFlatIP(options.dimension)),
    ):
        index.add(documents)
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(options.runs):
            _, rows = timed(lambda index=index: index.search(queries, options.k), theirs)
            found = timed(lambda name=similarity: search(queries, documents, options.k, name), ours)
        report[similarity] = {
            "ragcun": [round(seconds, 2) for seconds in ours],
            "faiss": [round(seconds, 2) for seconds in theirs],
            "ratio of medians": round(statistics.median(ours) / statistics.median(theirs), 2),
            "ratio of minima": round(min(ours) / min(theirs), 2),
            "same document": round(float((found.rows == rows).mean()), 5),
        }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
