"""Exact search against FAISS' flat index: the same vectors, the same threads, runs taken in turn.

python bench/search.py [--queries 1000] [--documents 1000000] [--dimension 512] [--k 100] [--runs 5]
"""

from functools import partial
from typing import Any

import faiss
import numpy as np
from measure import Row, in_turn, of, parser, report

from ragcun.console import console
from ragcun.machine import cores
from ragcun.retrieval.search import search


def main() -> None:
    """Measure and print."""
    options = parser(__doc__, queries=1000, documents=1_000_000, dimension=512, k=100, runs=5).parse_args()
    console.quiet = True
    draw = np.random.default_rng(0)
    queries = draw.standard_normal((options.queries, options.dimension), dtype=np.float32)
    documents = draw.standard_normal((options.documents, options.dimension), dtype=np.float32)
    faiss.omp_set_num_threads(cores())
    index: Any = faiss.IndexFlatL2(options.dimension)
    index.add(documents)
    found: dict[str, Any] = {}

    def theirs() -> None:
        found["faiss"] = index.search(queries, options.k)[1]

    def ours() -> None:
        found["ragcun"] = search(queries, documents, options.k, "euclidean").rows

    taken = in_turn({"faiss": partial(theirs), "ragcun": partial(ours)}, options.runs, warm=False)
    flops = 2 * options.queries * options.documents * options.dimension
    same = float((found["faiss"] == found["ragcun"]).mean())
    report(
        [
            Row(
                layer=f"Exact search, {options.documents / 1e6:g}M x {options.dimension}",
                work=f"{options.queries:,} queries, k = {options.k}, fp32, in memory",
                peer=f"{of('faiss-cpu')}, IndexFlatL2, {cores()} threads",
                seconds=taken["ragcun"],
                peer_seconds=taken["faiss"],
                wanted=1,
                least=(flops, "fp32"),
                least_of="products of queries and documents",
                notes=[f"{same:.2%} of places hold FAISS' document."],
            )
        ]
    )


if __name__ == "__main__":
    main()
