"""Run as one of two processes that a launcher started: `ragcun ARGUMENTS`, then searches shared with the other.

two_processes.py FOLDER ARGUMENTS writes FOLDER/rankRANK.npz.
"""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ragcun.cli.main import app
from ragcun.errors import RagcunError
from ragcun.retrieval.checkpoint import Checkpoints
from ragcun.retrieval.distributed import distributed_search
from ragcun.retrieval.matrices import as_matrix
from ragcun.retrieval.memory import Resources


def cases() -> dict[str, dict[str, Any]]:
    draw = np.random.default_rng(0)
    ties = [draw.integers(-1, 2, (n, 4)).astype(np.float32) for n in (9, 301)]
    normal = [draw.standard_normal((n, 16), dtype=np.float32) for n in (9, 301)]
    found = {
        f"{name} {similarity}": {
            "queries": as_matrix(vectors[0]),
            "documents": as_matrix(vectors[1]),
            "k": 20,
            "similarity": similarity,
            "id_ranks": draw.permutation(301),
            "exclude": draw.integers(-1, 301, 9),
        }
        for name, vectors in (("ties", ties), ("normal", normal))
        for similarity in ("euclidean", "cosine", "dot")
    }
    few = {"documents": as_matrix(normal[1][:1]), "id_ranks": np.arange(1), "exclude": np.full(9, -1)}
    return found | {"one document": found["normal dot"] | few}


def main(folder: Path, arguments: list[str]) -> None:
    assert not app(arguments, standalone_mode=False)
    kept = Checkpoints(folder / "searches", "these", seconds=0)
    found: dict[str, Any] = {}
    for name, case in cases().items():
        top = distributed_search(**case, resources=Resources(checkpoints=kept))
        found |= {f"{name}/rows": top.rows, f"{name}/scores": top.scores}
    try:
        distributed_search(**cases()["normal dot"] | {"k": 20 + int(os.environ["RANK"])}, resources=Resources())
    except RagcunError as error:
        found["refused"] = str(error)
    np.savez(folder / f"rank{os.environ['RANK']}.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
