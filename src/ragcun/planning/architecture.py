"""The size of a base, and the FLOPs and bytes that follow from it.

A multiplication and an addition are two FLOPs. A token passes each weight of the layers once (2 FLOPs a weight) and
attends to the T tokens of its text (4 T h FLOPs a layer, of h hidden dimensions); embeddings are looked up. A backward
pass costs twice the forward pass of the layers that it goes through. (Kaplan et al., arXiv 2001.08361, Table 1.)
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors import safe_open

from ragcun.embedding.model_files import check_model_files
from ragcun.embedding.resolve import resolve_model
from ragcun.embedding.width import embedding_width, fit_output_dim
from ragcun.errors import RagcunError
from ragcun.files import read_json
from ragcun.pipeline.grid import Cell


@dataclass(frozen=True)
class Architecture:
    """The size of a base.

    Attributes:
        weights: number of parameters without the token embeddings.
        embeddings: number of parameters of the token embeddings.
        layers, hidden, heads: of the transformer.
        dimension: width of its embeddings.
        max_length: maximum number of tokens of a text.
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
        """Number of all parameters."""
        return self.weights + self.embeddings

    def forward(self, tokens: float) -> float:
        """FLOPs of a text of `tokens` tokens."""
        return tokens * (2 * self.weights + 4 * tokens * self.hidden * self.layers)

    def backward(self, tokens: float, frozen_layers: int = 0) -> float:
        """FLOPs of the gradients of a text, which stop at the frozen early layers."""
        return 2 * self.forward(tokens) * (self.layers - frozen_layers) / self.layers

    def trained(self, frozen_layers: int = 0) -> int:
        """Parameters that training changes; freezing any layer freezes the embeddings."""
        if not frozen_layers:
            return self.parameters
        return self.weights * (self.layers - frozen_layers) // self.layers

    def activations(self, texts: int, tokens: float, frozen_layers: int = 0, checkpointing: bool = False) -> float:
        """Bytes that the forward pass keeps for the backward pass, at 16 bit (Korthikanti et al., arXiv 2205.05198)."""
        layers = self.layers - frozen_layers
        inputs = texts * tokens * self.hidden
        kept = inputs * (34 + 5 * self.heads * tokens / self.hidden)
        return 2 * inputs * layers + kept if checkpointing else kept * layers


# Bases of the presets, so that a plan needs no download.
KNOWN = {
    "google/embeddinggemma-300m": Architecture(106_255_104, 201_326_592, 24, 768, 3, 768, 2_048),
    "sentence-transformers/all-mpnet-base-v2": Architecture(85_645_440, 23_841_538, 12, 768, 12, 768, 384),
    "sentence-transformers/all-MiniLM-L6-v2": Architecture(10_794_624, 11_919_104, 6, 384, 12, 384, 256),
}


def find_architecture(base: str) -> Architecture:
    """The size of the base called `base`: a key of `KNOWN`, or read from its files' headers.

    Raises as `resolve_model` does, and a `RagcunError` where its configuration names no layers.
    """
    if base in KNOWN:
        return KNOWN[base]
    resolved = resolve_model(base)
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
        raise RagcunError(f"{base}: its config.json does not name {error}, so it cannot be planned with") from None
    width = embedding_width(folder) or hidden
    return Architecture(weights, embeddings, layers, hidden, heads, width, _max_length(folder, config))


def fitted(cells: Sequence[Cell], base: Architecture) -> list[Cell]:
    """The cells with an output dimension that fits their base. Raises as `fit_output_dim` does."""
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
