"""BM25 beside bm25s as its README runs it (PyStemmer's English stemmer, English stop words): index and search, in turn.

python bench/bm25.py [--collection FOLDER] [--k 100] [--runs 5]

Times are from texts to rankings.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import bm25s
import numpy as np
import Stemmer
from measure import Row, in_turn, of, parser, ragcun, report

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
    options = parser(__doc__, k=100, runs=5, documents=20_000)
    options.add_argument("--collection", type=Path, help="default: documents of Python's documentation")
    given = options.parse_args()
    console.quiet = True
    with TemporaryDirectory() as scratch:
        if given.collection is None:
            given.collection = Path(scratch) / "pydocs"
            ragcun("data", "pydocs", given.collection, "--documents", str(given.documents))
        collection = Collection.open(given.collection)
        corpus, queries = list(collection.corpus), list(collection.queries)
    taken = in_turn(
        {"bm25s": lambda: theirs(corpus, queries, given.k), "ragcun": lambda: ours(corpus, queries, given.k)},
        given.runs,
        warm=False,
    )
    report(
        [
            Row(
                layer="BM25, index and search",
                work=f"{collection.name}: {len(corpus):,} documents, {len(queries):,} queries, k = {given.k}",
                peer=f"{of('bm25s')} as its README runs it, {of('PyStemmer')}, English stop words",
                seconds=taken["ragcun"],
                peer_seconds=taken["bm25s"],
                wanted=1,
            )
        ]
    )


if __name__ == "__main__":
    main()
