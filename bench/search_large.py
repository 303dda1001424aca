"""Exact search of more vectors than memory holds: resident peak, rate, and FAISS' flat index on a slice that fits.

python bench/search_large.py --folder FOLDER [--documents 10000000] [--dimension 512] [--queries 1000] [--k 100]
    [--memory 4GiB] [--slice DOCUMENTS]

The vectors are drawn from a seeded generator and written to FOLDER in float16 (10 GB by default). Killed
and started again, it goes on where it was, writing and searching. Prints JSON: the rate in queries times documents a
second, of what this process searched, and FAISS' with the same threads on the first DOCUMENTS, as float32 in memory
(as many as take half of what is available, unless `--slice` says otherwise).
"""

import argparse
import json
import os
import resource
import time
from pathlib import Path

import faiss
import numpy as np
import psutil
import torch

from ragcun.console import progress
from ragcun.machine import cores
from ragcun.retrieval.checkpoint import Checkpoints
from ragcun.retrieval.memory import Resources, parse_memory
from ragcun.retrieval.search import search

BLOCK = 50_000


class VectorFile:
    """The float16 vectors of a .npy file as a `Matrix`; counts those that were read in blocks.

    They are read, not mapped, so that only what has been asked for is resident.
    """

    def __init__(self, path: Path) -> None:
        mapped = np.load(path, mmap_mode="r")
        self.shape = mapped.shape
        self.read = 0
        self._start, self._width = mapped.offset, 2 * self.shape[1]
        self._file = os.open(path, os.O_RDONLY)

    def block(self, start: int, stop: int, /) -> np.ndarray:
        self.read += stop - start
        raw = np.empty((stop - start, self.shape[1]), np.float16)
        os.preadv(self._file, [raw.data], self._start + start * self._width)
        return torch.from_numpy(raw).float().numpy()  # a third of NumPy's time

    def rows(self, index: np.ndarray, /) -> np.ndarray:
        raw = np.empty((len(index), self.shape[1]), np.float16)
        for place, row in enumerate(index.tolist()):
            os.preadv(self._file, [raw[place].data], self._start + row * self._width)
        return raw.astype(np.float32)


def draw(seed: int, rows: int, dimension: int) -> np.ndarray:
    return np.random.default_rng([0, seed]).standard_normal((rows, dimension), dtype=np.float32)


def write(path: Path, documents: int, dimension: int) -> None:
    """Write the vectors block by block, each from its own seed; go on after the last whole block that is there."""
    partial = path.with_suffix(".partial")
    partial.touch()
    with partial.open("r+b") as stream, progress("writing", documents, "vectors") as bar:
        header = {"descr": "<f2", "fortran_order": False, "shape": (documents, dimension)}
        np.lib.format.write_array_header_1_0(stream, header)
        start, size = stream.tell(), 2 * dimension * BLOCK
        done = max(0, partial.stat().st_size - start) // size
        stream.seek(start + done * size)
        stream.truncate()
        bar.advance(done * BLOCK)
        for at in range(done * BLOCK, documents, BLOCK):
            rows = min(BLOCK, documents - at)
            draw(1 + at // BLOCK, rows, dimension).astype(np.float16).tofile(stream)
            stream.flush()
            bar.advance(rows)
    partial.rename(path)


def flat_index_rate(vectors: VectorFile, queries: np.ndarray, rows: int, k: int, threads: int) -> float:
    """Queries times documents a second of FAISS' flat index, in float32, of the first `rows` vectors."""
    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatL2(vectors.shape[1])
    for start in range(0, rows, BLOCK):
        index.add(vectors.block(start, min(start + BLOCK, rows)))
    began = time.perf_counter()
    index.search(queries, k)
    return len(queries) * rows / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    for name, default in {"documents": 10_000_000, "dimension": 512, "queries": 1000, "k": 100}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--memory", default="4GiB")
    parser.add_argument("--slice", type=int)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    path = options.folder / f"vectors-{options.documents}x{options.dimension}.npy"
    if not path.is_file():
        write(path, options.documents, options.dimension)
    vectors, queries = VectorFile(path), draw(0, options.queries, options.dimension)
    checkpoints = Checkpoints(options.folder / "searches", path.name)
    began = time.perf_counter()
    resources = Resources(parse_memory(options.memory), checkpoints=checkpoints)
    search(queries, vectors, options.k, "euclidean", resources=resources)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    searched = vectors.read
    rate = options.queries * searched / seconds
    fits = int(0.5 * psutil.virtual_memory().available / (4 * options.dimension))
    rows, threads = min(options.slice or fits, options.documents), cores()
    flat = flat_index_rate(vectors, queries, rows, options.k, threads)
    report = {
        "documents": options.documents,
        "searched by this process": searched,
        "queries": options.queries,
        "threads": threads,
        "seconds": round(seconds, 1),
        "resident peak, MiB": round(peak / 2**20),
        "vectors on disk, MiB": round(path.stat().st_size / 2**20),
        "rate": round(rate),
        "FAISS' flat index: documents": rows,
        "FAISS' flat index: rate": round(flat),
        "rate over FAISS'": round(rate / flat, 2),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
