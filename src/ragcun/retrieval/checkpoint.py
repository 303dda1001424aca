"""The state of a search on disk, from which a killed search resumes.

FOLDER/DIGEST.safetensors    `keys` (Q, K) of the candidates so far, `done` (1,) the documents that were searched

The digest is that of all that determines the candidates. A file stays when its search is done, in case what follows is
killed; those not touched for a week are removed when a new search begins.
"""

import contextlib
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from ragcun.console import say
from ragcun.intact import DamagedError, check_safetensors, write_safetensors
from ragcun.retrieval.topk import EMPTY, Floats, Keys, Rows

_WEEK = 7 * 86_400


@dataclass(frozen=True)
class Checkpoints:
    """Where a search keeps what it has found.

    Attributes:
        folder: of all checkpoints.
        documents: equal only for equal documents' vectors.
        seconds: of work between two writings; a search that is shorter writes nothing.
    """

    folder: Path
    documents: str
    seconds: float = 20.0

    def of(self, settings: str, queries_QD: Floats, id_ranks: Rows, exclude: Rows) -> "Checkpoint":
        """The checkpoint of one search of these documents."""
        digest = hashlib.sha256(f"{self.documents}\n{settings}\n".encode())
        for array in (queries_QD, id_ranks, exclude):
            digest.update(np.ascontiguousarray(array).data)
        for path in self.folder.glob("*.safetensors"):
            with contextlib.suppress(FileNotFoundError):  # several processes begin a search together
                if time.time() - path.stat().st_mtime > _WEEK:
                    path.unlink()
        return Checkpoint(self.folder / f"{digest.hexdigest()[:32]}.safetensors", self.seconds)


class Checkpoint:
    """The checkpoint of one search."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._path = path
        self._seconds = seconds
        self._since = time.monotonic()

    def load(self, n_queries: int, keep: int) -> tuple[int, Keys]:
        """How many documents have been searched, and the keys of the candidates among them, (Q, K).

        A damaged checkpoint is reported and removed, and the search starts again.
        """
        try:
            check_safetensors(self._path)
        except FileNotFoundError:
            return 0, np.full((n_queries, keep), EMPTY)
        except DamagedError as error:
            say(f"{error}; removed, the search begins anew")
            self._path.unlink(missing_ok=True)
            return 0, np.full((n_queries, keep), EMPTY)
        stored = load_file(self._path)
        return int(stored["done"][0]), stored["keys"]

    def due(self) -> bool:
        """Whether there is so much new that it should be saved."""
        return time.monotonic() - self._since >= self._seconds

    def save(self, done: int, keys_QK: Keys) -> None:
        """Write the state, whole or not at all."""
        tensors = {"done": np.array([done]), "keys": np.ascontiguousarray(keys_QK)}
        write_safetensors(self._path, lambda temporary, metadata: save_file(tensors, temporary, metadata), {})
        self._since = time.monotonic()
