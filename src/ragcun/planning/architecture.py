"""The size of a base, and its FLOPs and bytes.

A multiplication and an addition are two FLOPs. Each token costs 2 FLOPs per weight of the layers, and 4 T h FLOPs per
layer for attention to the T tokens of its text, with h hidden dimensions; embeddings are looked up. A backward pass
costs twice as much as the forward pass of the same layers. (Kaplan et al., arXiv 2001.08361, Table 1.)
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors import safe_open

from ragcun.embedding.known import find_known
from ragcun.embedding.model_files import check_model_files
from ragcun.embedding.resolve import resolve_model
from ragcun.embedding.width import embedding_width, fit_output_dim
from ragcun.errors import RagcunError, UserError
from ragcun.files import read_json
from ragcun.pipeline.grid import Cell


@dataclass(frozen=True)
class Architecture:
    """The size of a base.

    Attributes:
        weights: the number of parameters without the token embeddings.
        embeddings: the number of parameters of the token embeddings.
        layers, hidden, heads: the numbers of layers, hidden dimensions and attention heads of the transformer.
        dimension: the width of the embeddings.
        max_length: the maximum number of tokens of a text.
    """

    weights: int
    embeddings: int
    layers: int
    hidden: int
    heads: int
    dimension: int
    max_length: int

    @property
    def parameters(self) -> int:
        """The number of all parameters."""
        return self.weights + self.embeddings

    def forward(self, tokens: float) -> float:
        """Return the FLOPs for a text of `tokens` tokens."""
        return tokens * (2 * self.weights + 4 * tokens * self.hidden * self.layers)

    def backward(self, tokens: float, frozen_layers: int = 0) -> float:
        """Return the FLOPs of the backward pass for a text, which stops at the frozen early layers."""
        return 2 * self.forward(tokens) * (self.layers - frozen_layers) / self.layers

    def trained(self, frozen_layers: int = 0) -> int:
        """Return the number of trained parameters; freezing any layer also freezes the embeddings."""
        if not frozen_layers:
            return self.parameters
        return self.weights * (self.layers - frozen_layers) // self.layers

    def activations(self, texts: int, tokens: float, frozen_layers: int = 0, checkpointing: bool = False) -> float:
        """Return the bytes of activations for the backward pass, in 16 bits (Korthikanti et al., arXiv 2205.05198)."""
        layers = self.layers - frozen_layers
        inputs = texts * tokens * self.hidden
        kept = inputs * (34 + 5 * self.heads * tokens / self.hidden)
        return 2 * inputs * layers + kept if checkpointing else kept * layers


# The bases of the presets, so that a plan needs no download.
KNOWN = {
    "google/embeddinggemma-300m": Architecture(106_255_104, 201_326_592, 24, 768, 3, 768, 2_048),
    "sentence-transformers/all-mpnet-base-v2": Architecture(85_645_440, 23_841_538, 12, 768, 12, 768, 384),
    "sentence-transformers/all-MiniLM-L6-v2": Architecture(10_794_624, 11_919_104, 6, 384, 12, 384, 256),
}


def find_architecture(base: str, revision: str | None = None) -> Architecture:
    """Return the size of the base `base`: an entry of `KNOWN`, or read from the headers of its files.

    Raises as `resolve_model` does, and a `RagcunError` if its configuration does not state the layers.
    """
    base = base if (known := find_known(base)) is None else known.hub
    if base in KNOWN:
        return KNOWN[base]
    try:
        resolved = resolve_model(base, revision, offline=True)
    except UserError:
        raise
    except RagcunError:
        raise UserError(
            f"{base}: not in the local cache, and a plan downloads nothing; download the model first (hf download "
            f"{base}), or give its folder or one of {', '.join(KNOWN)}"
        ) from None
    check_model_files(resolved.path, resolved.source)
    folder = resolved.path
    configs = [path for path in (folder / "config.json", *sorted(folder.glob("*/config.json"))) if path.is_file()]
    config = read_json(configs[0]) if configs else {}
    config = config.get("text_config", config) if isinstance(config, dict) else {}
    weights, embeddings = _count(folder)
    try:
        hidden, layers, heads = (
            int(config[name]) for name in ("hidden_size", "num_hidden_layers", "num_attention_heads")
        )
    except KeyError as error:
        raise RagcunError(f"{base}: its config.json has no {error}, so its size is unknown") from None
    width = embedding_width(folder) or hidden
    return Architecture(weights, embeddings, layers, hidden, heads, width, _max_length(folder, config))


def fitted(cells: Sequence[Cell], base: Architecture) -> list[Cell]:
    """Set the output dimension of cells to fit their base. Raises as `fit_output_dim` does."""
    name = cells[0].settings.model.base
    return [replace(cell, settings=fit_output_dim(cell.settings, base.dimension, name)) for cell in cells]


def _count(folder: Path) -> tuple[int, int]:
    weights = embeddings = 0
    for path in sorted(folder.rglob("*.safetensors")):
        with safe_open(path, framework="np") as stream:
            for name in stream.keys():  # noqa: SIM118
                size = math.prod(stream.get_slice(name).get_shape())
                if "embed" in name.lower():
                    embeddings += size
                else:
                    weights += size
    return weights, embeddings


def _max_length(folder: Path, config: dict[str, object]) -> int:
    stated = folder / "sentence_bert_config.json"
    if stated.is_file():
        length = json.loads(stated.read_text(encoding="utf-8")).get("max_seq_length")
        if length is not None:
            return int(length)
    return int(str(config.get("max_position_embeddings", 512)))
