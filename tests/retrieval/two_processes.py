"""Run as a process of a gloo group: searches that it shares with the other, written to a file.

two_processes.py FOLDER RANK
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch.distributed as dist

from ragcun.errors import RagcunError
from ragcun.retrieval.checkpoint import Checkpoints
from ragcun.retrieval.matrices import as_matrix
from ragcun.retrieval.sharing import search_together
from ragcun.retrieval.topk import TopK


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
            "places": draw.permutation(301),
            "exclude": draw.integers(-1, 301, 9),
        }
        for name, vectors in (("ties", ties), ("normal", normal))
        for similarity in ("euclidean", "cosine", "dot")
    }
    few = {"documents": as_matrix(normal[1][:1]), "places": np.arange(1), "exclude": np.full(9, -1)}
    return found | {"one document": found["normal dot"] | few}


def main(folder: Path, rank: int) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    kept = Checkpoints(folder / "searches", "these", seconds=0)
    found: dict[str, TopK] = {name: search_together(**case, checkpoints=kept) for name, case in cases().items()}
    other = cases()["normal dot"] | {"k": 20 + rank}
    try:
        search_together(**other)
    except RagcunError as error:
        print(error)
    np.savez(
        folder / f"rank{rank}.npz",
        **{f"{name}/rows": top.rows for name, top in found.items()},
        **{f"{name}/scores": top.scores for name, top in found.items()},
    )
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
