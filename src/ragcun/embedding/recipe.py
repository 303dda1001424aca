"""Settings of an encoder's use that complement or override its own files. Imports nothing heavy."""

from dataclasses import dataclass

POOLINGS = ("mean", "cls", "max", "lasttoken", "weightedmean", "mean_sqrt_len_tokens")


@dataclass(frozen=True)
class Recipe:
    """Settings of an encoder's use; None keeps the model's own.

    A model without sentence-transformers' files has mean pooling, no normalisation and cosine similarity.

    Attributes:
        pooling: one of `POOLINGS`.
        similarity: "euclidean", "cosine" or "dot".
        max_length: tokens a text is cut to.
        truncate_dim: dimensions that are kept of a vector, the first ones.
        query, document: prompts put before a text.
    """

    pooling: str | None = None
    similarity: str | None = None
    max_length: int | None = None
    truncate_dim: int | None = None
    query: str | None = None
    document: str | None = None
