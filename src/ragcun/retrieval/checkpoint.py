"""The state of a search on disk, from which a killed search resumes.

FOLDER/DIGEST.safetensors    `keys` (Q, K) of the candidates so far, `done` (1,) the number of documents searched

The digest identifies everything that determines the candidates. A file is kept after its search, in case the next step
is killed. Files that were not used for a week are removed when a new search begins.
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
    """The checkpoints of searches in the same documents.

    Attributes:
        folder: the folder of all checkpoints.
        documents: a fingerprint of the documents' vectors.
        seconds: the time between two writes; a shorter search writes nothing.
    """

    folder: Path
    documents: str
    seconds: float = 20.0

    def of(self, settings: str, queries_QD: Floats, id_ranks: Rows, exclude: Rows) -> "Checkpoint":
        """Return the checkpoint of one search in these documents."""
        digest = hashlib.sha256(f"{self.documents}\n{settings}\n".encode())
        for array in (queries_QD, id_ranks, exclude):
            digest.update(np.ascontiguousarray(array).data)
        for path in self.folder.glob("*.safetensors"):
            with contextlib.suppress(FileNotFoundError):  # other processes may remove files at the same time
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
        """Return the number of documents that were searched, and the keys of the candidates among them, (Q, K).

        A damaged checkpoint is reported and removed, and the search starts again.
        """
        try:
            check_safetensors(self._path)
        except FileNotFoundError:
            return 0, np.full((n_queries, keep), EMPTY)
        except DamagedError as error:
            say(f"{error}; it is removed, and the search starts again")
            self._path.unlink(missing_ok=True)
            return 0, np.full((n_queries, keep), EMPTY)
        stored = load_file(self._path)
        return int(stored["done"][0]), stored["keys"]

    def due(self) -> bool:
        """Return whether it is time to save the state."""
        return time.monotonic() - self._since >= self._seconds

    def save(self, done: int, keys_QK: Keys) -> None:
        """Write the state, completely or not at all."""
        tensors = {"done": np.array([done]), "keys": np.ascontiguousarray(keys_QK)}
        write_safetensors(self._path, lambda temporary, metadata: save_file(tensors, temporary, metadata), {})
        self._since = time.monotonic()
