"""BM25 beside bm25s as its README runs it (PyStemmer's English stemmer, English stop words): index and search, in turn.

python bench/bm25.py --collection FOLDER [--k 100] [--runs 5]

Prints JSON: seconds of each run from texts to rankings, by the clock and of the processor, and the ratios of ragcun's
medians to bm25s'.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import bm25s
import numpy as np
import Stemmer

from ragcun.console import console
from ragcun.data.collection import Collection
from ragcun.retrieval.bm25 import BM25


def theirs(corpus: list[str], queries: list[str], k: int) -> None:
    """Index and search as bm25s' README does."""
    stemmer = Stemmer.Stemmer("english")
    index = bm25s.BM25()
    index.index(bm25s.tokenize(corpus, stopwords="en", stemmer=stemmer, show_progress=False), show_progress=False)
    asked = bm25s.tokenize(queries, stopwords="en", stemmer=stemmer, show_progress=False)
    index.retrieve(asked, k=k, show_progress=False)


def ours(corpus: list[str], queries: list[str], k: int) -> None:
    """The same by ragcun's retriever."""
    BM25().rank(corpus, queries, k, np.arange(len(corpus)), np.full(len(queries), -1))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collection", type=Path, required=True)
    parser.add_argument("--k", type=int, default=100)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    console.quiet = True
    collection = Collection.open(options.collection)
    corpus, queries = list(collection.corpus), list(collection.queries)
    clocks = {"seconds": time.perf_counter, "processor seconds": time.process_time}
    taken: dict[str, dict[str, list[float]]] = {clock: {"ragcun": [], "bm25s": []} for clock in clocks}
    for _ in range(options.runs):
        for name, work in (("bm25s", theirs), ("ragcun", ours)):
            began = {clock: now() for clock, now in clocks.items()}
            work(corpus, queries, options.k)
            for clock, now in clocks.items():
                taken[clock][name].append(round(now() - began[clock], 2))
    ratios = {
        clock: round(statistics.median(runs["ragcun"]) / statistics.median(runs["bm25s"]), 2)
        for clock, runs in taken.items()
    }
    report = {"documents": len(corpus), "queries": len(queries), "k": options.k}
    print(json.dumps(report | taken | {"ratios of medians": ratios}, indent=2))


if __name__ == "__main__":
    main()
