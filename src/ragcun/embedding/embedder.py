"""Encoders for retrieval and analysis, which read base embeddings from the store."""

import hashlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import nn

from ragcun.console import say
from ragcun.data.texts import Texts
from ragcun.embedding.base import Precision, Role, has_routes, length_limit, prompt_of, split
from ragcun.embedding.encode import encode_missing
from ragcun.embedding.identity import base_key, weights_sha256
from ragcun.embedding.load import load_model, one_line
from ragcun.embedding.model_files import architecture
from ragcun.embedding.padding import depends_on_padding, width_of
from ragcun.embedding.recipe import Recipe
from ragcun.embedding.resolve import resolve_model
from ragcun.embedding.runtimes import AUTO, Engine, choose_runtime
from ragcun.embedding.store import EmbeddingStore, Floats, Rows
from ragcun.errors import UserError
from ragcun.slices import slices

_BLOCK = 8_192
_PORTION = 256  # vectors per call of the head


class Vectors:
    """Embeddings of n texts, (n, d) float32, block by block: the head applied to base embeddings from the store.

    Attributes:
        shape: (n, d).
    """

    def __init__(self, store: EmbeddingStore, rows: Rows, head: nn.Sequential | None, dimension: int) -> None:
        self._store = store
        self._rows = rows
        self._head = head
        self.shape = (len(rows), dimension)

    def __len__(self) -> int:
        return len(self._rows)

    @cached_property
    def fingerprint(self) -> str:
        """Return the SHA-256 of what determines the vectors: the stored base embeddings, and the head."""
        determining = [self._store.fingerprint(self._rows)]
        if self._head is not None:
            determining += [repr(self._head), weights_sha256(self._head)]
        return hashlib.sha256("\n".join(determining).encode()).hexdigest()

    def block(self, start: int, stop: int) -> Floats:
        """Return rows start .. stop-1, C-contiguous."""
        return self._finished(self._store.read(self._rows[start:stop]))

    def rows(self, index: npt.NDArray[np.int64]) -> Floats:
        """Return the rows at `index`, in this order."""
        return self._finished(self._store.read(self._rows[index]))

    def blocks(self, size: int = _BLOCK) -> Iterator[Floats]:
        """Yield all rows, `size` at a time."""
        for part in slices(len(self), size):
            yield self.block(part.start, part.stop)

    def _finished(self, base_NB: Floats) -> Floats:
        """Apply the head, and truncate to the dimensions that the model's files set (`truncate_dim`)."""
        return np.ascontiguousarray(self._project(base_NB)[:, : self.shape[1]])

    @torch.no_grad()
    def _project(self, base_NB: Floats) -> Floats:
        """Apply the head in padded portions of equal size, because the last bit depends on the size."""
        if self._head is None:
            return base_NB
        parameter = next(self._head.parameters())
        last: Any = self._head[-1]
        width = int(last.get_embedding_dimension())
        projected_ND = np.empty((len(base_NB), width), np.float32)
        for part in slices(len(base_NB), _PORTION):
            some = base_NB[part]
            filled = torch.zeros(_PORTION, some.shape[1])
            filled[: len(some)] = torch.from_numpy(some)
            features = {"sentence_embedding": filled.to(parameter.device, parameter.dtype)}
            portion = self._head(features)["sentence_embedding"].float().cpu().numpy()
            projected_ND[part] = portion[: len(some)]
        return projected_ND


@torch.no_grad()
def _width_behind(head: nn.Sequential | None, width: int) -> int:
    """The dimension of what the head makes of vectors of this width."""
    if head is None:
        return width
    parameter = next(head.parameters())
    features = {"sentence_embedding": torch.zeros(1, width, device=parameter.device, dtype=parameter.dtype)}
    return int(head(features)["sentence_embedding"].shape[1])


class Embedder:
    """A sentence-transformers model whose base embeddings go through the embedding store.

    The head is the `Dense` modules at the end, and the base is all other modules. All encoders on the same base, and
    the base itself, share the same store.

    Args:
        name: a model's folder, an experiment's folder, or a hub id.
        store: the folder of all stores.
        precision: the precision of the base's computation. Vectors and the head are fp32.
        max_length: the maximum number of tokens; None is the model's own.
        device: the device, as torch names it; None is the fastest one.
        revision: the revision of a hub id.
        recipe: settings that override the model's files.
        runtime: the runtime that computes the base: a name of `runtimes.RUNTIMES`, or "auto".
        label: the user's name for the model in tables, if any.

    Raises:
        UserError: there is no such model, or the runtime does not support it here.
    """

    def __init__(
        self,
        name: str,
        store: Path,
        precision: Precision = "fp32",
        max_length: int | None = None,
        device: str | None = None,
        revision: str | None = None,
        recipe: Recipe | None = None,
        runtime: str = AUTO,
        label: str | None = None,
    ) -> None:
        self.resolved = resolve_model(name, revision)
        self.label = label or self.resolved.label
        model = load_model(self.resolved, max_length, device, recipe)
        self.similarity: str = model.similarity_fn_name or "cosine"
        self.dimension = int(model.get_embedding_dimension() or 0)
        self.parameters = sum(p.numel() for p in model.parameters())
        self.base, self.head = split(model)
        self.base_dimension = int(self.base.get_embedding_dimension() or 0)
        self.precision = precision
        self._root = store
        chosen = choose_runtime(runtime, architecture(self.resolved.path), precision, str(self.base.device))
        if chosen.note is not None:
            say(f"{self.label}: computed by {chosen.runtime.name}, because {chosen.note}")
        self._runtime = chosen.runtime
        try:
            self._padded = not depends_on_padding(self.base)
            width = _width_behind(self.head, width_of(self.base))
        except torch.OutOfMemoryError:
            raise
        except (KeyError, IndexError, ValueError, TypeError, AttributeError, RuntimeError) as error:
            why = f"{type(error).__name__}: {one_line(error)}"
            raise UserError(f"{self.resolved.source}: its modules cannot compute a vector ({why})") from error
        if self.dimension != min(width, model.truncate_dim or width):
            raise UserError(
                f"{self.resolved.source}: its vectors have {width:,} dimensions, but its files say "
                f"{self.dimension:,}; correct the config.json of its modules"
            )
        if not self._padded:
            say(f"{self.label}: its vectors depend on padding, so each text is encoded as if it were alone")
        self._key = {**base_key(self.base, precision), **self._runtime.determines()}
        self._key |= {} if self._padded else {"padding": "none"}

    @cached_property
    def _engine(self) -> Engine:
        return self._runtime.load(self.base, self.precision)

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of the model's files."""
        return self.resolved.fingerprint

    def documents(self, texts: Texts, description: str = "encoding documents") -> Vectors:
        """Embed documents with the model's prompt for them."""
        return self._embed(texts, "document", description)

    def queries(self, texts: Texts, description: str = "encoding queries") -> Vectors:
        """Embed queries with the model's prompt for them."""
        return self._embed(texts, "query", description)

    def _embed(self, texts: Texts, role: Role, description: str) -> Vectors:
        prompt = prompt_of(self.base, role)
        way = {"role": role} if has_routes(self.base) else {}
        store = EmbeddingStore(self._root, {**self._key, "prompt": prompt, **way}, self.resolved.label)
        digests = encode_missing(self.base, lambda: self._engine, texts, store, prompt, role, description, self._padded)
        return Vectors(store, store.find(digests), self.head, self.dimension)

    def describe(self) -> dict[str, Any]:
        """Return everything that is needed to reproduce the embeddings, as JSON."""
        return {
            "model": self.resolved.source,
            "dimension": self.dimension,
            "parameters": self.parameters,
            "max_length": length_limit(self.base),
            "prompts": {"query": prompt_of(self.base, "query"), "document": prompt_of(self.base, "document")},
            "pooling": next((module.pooling_mode for module in self.base if isinstance(module, Pooling)), None),
            "modules": [type(module).__name__ for module in self.base]
            + ([] if self.head is None else [type(module).__name__ for module in self.head]),
            "precision": self.precision,
            "runtime": {"name": self._runtime.name, **self._runtime.determines()},
            "similarity": self.similarity,
            "title": "joined with the text",
            "device": str(self.base.device),
        }
