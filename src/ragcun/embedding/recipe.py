"""Settings that complement or override an encoder's own files, without heavy imports."""

from dataclasses import dataclass

POOLINGS = ("mean", "cls", "max", "lasttoken", "weightedmean", "mean_sqrt_len_tokens")


@dataclass(frozen=True)
class Recipe:
    """Settings that override those in an encoder's files; None keeps the model's own.

    A model without sentence-transformers' files has mean pooling, no normalisation and cosine similarity.

    Attributes:
        pooling: the pooling, one of `POOLINGS`.
        similarity: the similarity, "euclidean", "cosine" or "dot".
        max_length: the maximum number of tokens of a text.
        truncate_dim: the number of leading dimensions of a vector that are kept.
        query, document: the prompts before a query and before a document.
    """

    pooling: str | None = None
    similarity: str | None = None
    max_length: int | None = None
    truncate_dim: int | None = None
    query: str | None = None
    document: str | None = None
