"""How time and memory grow with documents, dimensions, batch, slices and processes.

    python bench/growth.py [NAME ...] [--folder FOLDER]

Each point is measured in a process of its own, forked from one that has imported what it needs: seconds of one core,
which other work on the machine hardly changes, and the peak of resident memory less what was there before (Linux). Of
quick work the best of three counts. The slope is that of the logarithms by least
squares: 1 where the cost is proportional. Keeps bench/results/growth.json, which `bench/page.py` draws; a NAME is
measured again alone.
"""

import json
import multiprocessing
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import Work, parser, process
from opening import write
from step import stepper
from threadpoolctl import threadpool_limits

from ragcun.console import console
from ragcun.data import index
from ragcun.data.collection import Collection
from ragcun.distributed import join_processes
from ragcun.distributed.collectives import wait_for_all
from ragcun.embedding.embedder import Embedder
from ragcun.embedding.store import digest_texts
from ragcun.files import read_json, write_json
from ragcun.losses import SIGReg
from ragcun.retrieval.bm25 import BM25
from ragcun.retrieval.distributed import distributed_search
from ragcun.retrieval.matrices import as_matrix
from ragcun.retrieval.memory import Resources
from ragcun.retrieval.search import search
from ragcun.retrieval.topk import rank_ids

RESULTS = Path(__file__).parent / "results" / "growth.json"
MIB = 2**20


@dataclass(frozen=True)
class Growth:
    """A cost: its sizes, what gives the work of a size, and where that repeats what others take too."""

    what: str
    size: str
    sizes: tuple[int, ...]
    make: Callable[[int, Path], Work]
    times: int = 3


def _vectors(rows: int, dimension: int) -> np.ndarray:
    return np.random.default_rng(rows).standard_normal((rows, dimension), dtype=np.float32)


def _collection(documents: int, scratch: Path) -> Path:
    folder = scratch / f"documents-{documents}"
    if not folder.is_dir():
        write(folder, documents)
    return folder


def _indexing(documents: int, scratch: Path) -> Work:
    folder = _collection(documents, scratch)
    index.LARGE = 0

    def work() -> None:
        os.environ["RAGCUN_CACHE_DIR"] = tempfile.mkdtemp(dir=scratch)
        Collection.open(folder)

    return work


def _reading(documents: int, scratch: Path) -> Work:
    """What an evaluation does with each document besides searching: texts are read and identified, ids are ranked."""
    folder = _collection(documents, scratch)
    index.LARGE = 0
    os.environ["RAGCUN_CACHE_DIR"] = str(scratch / "prepared")
    corpus = Collection.open(folder).corpus

    def work() -> None:
        digest_texts(corpus)
        rank_ids(corpus.ids())

    return work


def _bm25(documents: int, scratch: Path) -> Work:
    corpus = list(Collection.open(_collection(documents, scratch)).corpus)
    queries = [" ".join(text.split()[:6]) for text in corpus[:100]]
    return lambda: BM25().rank(corpus, queries, 100, np.arange(documents), np.full(len(queries), -1))


def _search(documents: int, dimension: int) -> Work:
    queries, vectors = _vectors(500, dimension), _vectors(documents, dimension)
    return lambda: search(queries, vectors, 100, "euclidean")


def _encoding(documents: int, scratch: Path) -> Work:
    corpus = list(Collection.open(_collection(5_000, scratch)).corpus)[:documents]
    embedder = Embedder("sentence-transformers/all-MiniLM-L6-v2", scratch, device="cpu")

    def work() -> None:
        embedder._root = Path(tempfile.mkdtemp(dir=scratch))
        embedder.documents(corpus)

    return work


def _sigreg(rows: int, dimension: int, slices: int) -> Work:
    regulariser = SIGReg(slices)
    embeddings_ND = torch.randn(rows, dimension, requires_grad=True)
    return lambda: regulariser(embeddings_ND, step=0).backward()


GROWTHS = {
    "indexing": Growth("opening a collection first", "documents", (20_000, 60_000, 180_000), _indexing, 1),
    "reading": Growth("reading it again, ids ranked", "documents", (20_000, 60_000, 180_000), _reading, 1),
    "bm25": Growth("BM25, index and 100 queries", "documents", (5_000, 20_000, 60_000), _bm25, 1),
    "encoding": Growth("encoding, MiniLM", "documents", (50, 150, 450), _encoding, 1),
    "search": Growth(
        "exact search, 500 queries, d = 256", "documents", (50_000, 150_000, 450_000), lambda n, _: _search(n, 256)
    ),
    "dimensions": Growth(
        "exact search, 500 queries, 100,000 documents",
        "dimensions",
        (64, 128, 256, 512, 1024),
        lambda d, _: _search(100_000, d),
    ),
    "batch": Growth("a step of head training", "batch", (128, 256, 512, 1024, 2048), stepper),
    "rows": Growth("SIGReg, d = 512, 1,024 slices", "rows", (256, 1024, 4096), lambda n, _: _sigreg(n, 512, 1024)),
    "width": Growth(
        "SIGReg, 1,024 rows, 1,024 slices", "dimensions", (128, 256, 512, 1024), lambda d, _: _sigreg(1024, d, 1024)
    ),
    "slices": Growth(
        "SIGReg, 1,024 rows, d = 512", "slices", (256, 512, 1024, 2048, 4096), lambda k, _: _sigreg(1024, 512, k)
    ),
}
PROCESSES = "processes"


def _status(field: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def _point(growth: Growth, size: int, scratch: Path, told: Any) -> None:
    console.quiet = True
    torch.set_num_threads(1)
    threadpool_limits(1)
    work = growth.make(size, scratch)
    if growth.times > 1:
        work()
    Path("/proc/self/clear_refs").write_text("5")
    before, taken = _status("VmRSS"), []
    for _ in range(growth.times):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    told.put((min(taken), _status("VmHWM") - before))


def measured(growth: Growth, scratch: Path) -> list[tuple[int, float, float]]:
    """Size, seconds and MiB of each point."""
    fork, points = multiprocessing.get_context("fork"), []
    for size in growth.sizes:
        told = fork.SimpleQueue()
        child = fork.Process(target=_point, args=(growth, size, scratch, told))
        child.start()
        child.join()
        if child.exitcode:
            raise SystemExit(f"{growth.what}, {size}: exit code {child.exitcode}")
        points.append((size, *told.get()))
    return points


def slope(points: list[tuple[int, float, float]], column: int) -> float | None:
    """The slope of the logarithms; None where there is nothing to speak of."""
    sizes, values = ([point[at] for point in points] for at in (0, column))
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0]) if min(values) > 1e-6 else None


def search_of_one_process() -> None:
    """In each of the launched processes: search together, and print the seconds."""
    join_processes()
    console.quiet = True
    queries, vectors = _vectors(500, 256), _vectors(200_000, 256)
    taken = []
    for _ in range(4):
        wait_for_all()
        began = time.process_time()
        distributed_search(
            as_matrix(queries),
            as_matrix(vectors),
            100,
            "euclidean",
            id_ranks=np.arange(len(vectors)),
            exclude=np.full(len(queries), -1),
            resources=Resources(),
        )
        taken.append(time.process_time() - began)
    print(f"seconds {min(taken[1:])}")


def of_processes() -> list[tuple[int, float, float]]:
    """The same search by one process and by several, of one thread each: the seconds of the slowest."""
    points = []
    for count in (1, 2, 4):
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count), __file__, "--one"]
        _, peak, printed = process(command, OMP_NUM_THREADS="1")
        points.append((count, max(map(float, re.findall(r"seconds (\S+)", printed))), peak))
    return points


def main() -> None:
    """Measure what is asked for and keep it."""
    options = parser(__doc__)
    options.add_argument("names", nargs="*", metavar="NAME", help=", ".join([*GROWTHS, PROCESSES]))
    options.add_argument("--folder", type=Path, help="scratch; default: a temporary folder")
    options.add_argument("--one", action="store_true", help="be one of the launched processes")
    given = options.parse_args()
    if given.one:
        search_of_one_process()
        return
    found = read_json(RESULTS) if RESULTS.is_file() else {}
    with tempfile.TemporaryDirectory() as temporary:
        scratch = given.folder or Path(temporary)
        scratch.mkdir(parents=True, exist_ok=True)
        for name in given.names or [*GROWTHS, PROCESSES]:
            if name == PROCESSES:
                what, size, points = "exact search, one thread a process", "processes", of_processes()
            else:
                what, size, points = GROWTHS[name].what, GROWTHS[name].size, measured(GROWTHS[name], scratch)
            slopes = {"seconds": slope(points, 1), "mebibytes": slope(points, 2)}
            found[name] = {"what": what, "size": size, "points": points, "slopes": slopes}
            print(json.dumps({name: found[name]}), file=sys.stderr)
            write_json(RESULTS, found)


if __name__ == "__main__":
    main()
