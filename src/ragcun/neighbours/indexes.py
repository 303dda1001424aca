"""The registry of indexes, with the parameter of each that trades recall for speed.

To add an index, add one entry to `INDEXES`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import faiss

_TO_TRAIN = 39  # training vectors per centroid, below which FAISS warns
M, CONSTRUCTION = 32, 100  # HNSW's M and efConstruction


@dataclass(frozen=True)
class Kind:
    """A kind of index.

    Attributes:
        key: the name in files and options.
        name: the name in tables.
        parameter: the name of the parameter.
        values: the values of the parameter, the least effort first.
        build: makes an empty index for a dimension, a number of documents, and a metric of FAISS.
        set: sets the parameter; None if the parameter is the number of exactly scored candidates, divided by k.
        source: the publication.
    """

    key: str
    name: str
    parameter: str
    values: Sequence[int]
    build: Callable[[int, int, int], Any]
    set: Callable[[Any, int], None] | None
    source: str


def _hnsw(dimension: int, _: int, metric: int) -> Any:
    index: Any = faiss.IndexHNSWFlat(dimension, M, metric)
    index.hnsw.efConstruction = CONSTRUCTION
    return index


def _set_effort(index: Any, value: int) -> None:
    index.hnsw.efSearch = value


def _ivf(dimension: int, documents: int, metric: int) -> Any:
    lists = max(1, min(int(4 * math.sqrt(documents)), documents // _TO_TRAIN))
    index: Any = faiss.index_factory(dimension, f"IVF{lists},Flat", metric)
    index.cp.min_points_per_centroid = 1  # prevents a warning for few documents
    return index


def _set_probes(index: Any, value: int) -> None:
    index.nprobe = min(value, index.nlist)


def _pq(dimension: int, documents: int, metric: int) -> Any:
    bits = max(1, min(8, int(math.log2(max(2, documents / _TO_TRAIN)))))
    parts = max(part for part in range(1, max(1, dimension // 8) + 1) if dimension % part == 0)
    index: Any = faiss.index_factory(dimension, f"PQ{parts}x{bits}np", metric)
    index.pq.cp.min_points_per_centroid = 1
    return index


def _factory(description: str) -> Callable[[int, int, int], Any]:
    return lambda dimension, _, metric: faiss.index_factory(dimension, description, metric)


_EFFORTS = (10, 20, 40, 80, 160, 320)
_PROBES = (1, 2, 4, 8, 16, 32, 64)
_CANDIDATES = (1, 2, 4, 8, 16)

INDEXES = (
    Kind("exact", "exact", "", (1,), _factory("Flat"), None, "every vector is compared"),
    Kind("hnsw", "HNSW", "efSearch", _EFFORTS, _hnsw, _set_effort, "Malkov and Yashunin, 1603.09320"),
    Kind("ivf", "IVF", "nprobe", _PROBES, _ivf, _set_probes, "Sivic and Zisserman (2003)"),
    Kind("sq8", "8-bit codes", "candidates / k", _CANDIDATES, _factory("SQ8"), None, "FAISS' scalar quantizer"),
    Kind("sq4", "4-bit codes", "candidates / k", _CANDIDATES, _factory("SQ4"), None, "FAISS' scalar quantizer"),
    Kind("pq", "product codes", "candidates / k", _CANDIDATES, _pq, None, "Jegou et al., TPAMI 2011"),
    Kind("rabitq", "RaBitQ codes", "candidates / k", _CANDIDATES, _factory("RR,RaBitQ"), None, "2405.12497"),
)
