"""Run as a process that may be killed: a slow search with a checkpoint after each block.

resumed_search.py FOLDER: prints the first document that was read as a block and writes FOLDER/found.npz.
"""

import sys
import time
from pathlib import Path

import numpy as np

from ragcun.retrieval.checkpoint import Checkpoints
from ragcun.retrieval.memory import Resources
from ragcun.retrieval.search import search

BLOCK = 128


class Slow:
    """Vectors of which a block takes its time."""

    def __init__(self) -> None:
        vectors = np.random.default_rng(0).integers(-2, 3, (40 * BLOCK, 8)).astype(np.float32)
        self.vectors = vectors[np.random.default_rng(1).permutation(len(vectors))]
        self.shape = self.vectors.shape
        self.read: list[int] = []

    def block(self, start: int, stop: int) -> np.ndarray:
        self.read.append(start)
        time.sleep(0.02)
        return self.vectors[start:stop]

    def rows(self, index: np.ndarray) -> np.ndarray:
        return self.vectors[index]


def main(folder: Path) -> None:
    documents = Slow()
    queries = np.random.default_rng(2).integers(-2, 3, (30, 8)).astype(np.float32)
    kept = Checkpoints(folder / "searches", "slow", seconds=0)
    found = search(
        queries, documents, 50, "euclidean", resources=Resources(checkpoints=kept, query_block=11, document_block=BLOCK)
    )
    np.savez(folder / "found.npz", rows=found.rows, scores=found.scores)
    print(documents.read[1])  # the first is the sample of which the mean is taken


if __name__ == "__main__":
    main(Path(sys.argv[1]))
