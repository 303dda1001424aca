"""Saving of an encoder as a plain sentence-transformers model, which loads without ragcun."""

from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer

from ragcun.embedding.base import split
from ragcun.embedding.load import load_model
from ragcun.embedding.resolve import resolve_model
from ragcun.errors import UserError
from ragcun.files import atomic_folder
from ragcun.heads.layers import Head


def save_encoder(base: SentenceTransformer, head: Head, path: Path, card: str) -> None:
    """Save base and head as one sentence-transformers model with Euclidean similarity, completely or not at all.

    `card` is the text of the README.md.
    """
    encoder = SentenceTransformer(
        modules=[*base, *head.modules_to_save()],
        device="cpu",
        prompts=base.prompts,
        default_prompt_name=base.default_prompt_name,
        similarity_fn_name="euclidean",
    )
    with atomic_folder(path, replace=True) as folder:
        encoder.save(str(folder), create_model_card=False)
        (folder / "README.md").write_text(card, encoding="utf-8")


def load_head_weights(name: str, head: Head) -> None:
    """Load the weights of `head` from the saved encoder or experiment `name`.

    Raises:
        UserError: the encoder has no head, or one of another shape.
    """
    layers = head.layers()
    _, saved = split(load_model(resolve_model(name), device="cpu"), most=len(layers))
    shapes = [tuple(layer.weight.shape) for layer in layers]
    dense: list[Any] = [] if saved is None else list(saved)
    found = [tuple(module.linear.weight.shape) for module in dense]
    if shapes != found:
        raise UserError(f"{name}: its head has weights of shape {found}, but {shapes} are needed")
    head.load([module.linear for module in dense])
