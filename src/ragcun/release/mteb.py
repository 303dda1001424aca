"""A model's entry in MTEB's format (model_meta.json), from its results."""

from collections.abc import Sequence
from typing import Any

from ragcun.evaluation.results import Result, result_record

_SIMILARITIES = ("cosine", "dot", "euclidean")


def model_meta(name: str, results: Sequence[Result]) -> dict[str, Any]:
    """Return the contents of model_meta.json; unknown values are null, as in MTEB.

    Args:
        name: name of the model, ORG/NAME.
        results: results of one model.
    """
    one = results[0]
    settings, retriever = one.settings, result_record(one.path)["inputs"]["retriever"]
    fingerprint = str(retriever.get("files") or retriever.get("run") or "no_revision_available")
    similarity = settings.get("similarity")
    dense = similarity is not None
    prompts = settings.get("prompts") or {}
    return {
        "name": name,
        "revision": fingerprint[:40],
        "release_date": None,
        "languages": ["eng-Latn"],
        "loader": None,
        "n_parameters": settings.get("parameters"),
        "memory_usage_mb": None,
        "max_tokens": settings.get("max_length"),
        "embed_dim": settings.get("dimension"),
        "license": None,
        "open_weights": None,
        "public_training_code": None,
        "public_training_data": None,
        "framework": ["Sentence Transformers", "PyTorch"] if dense else [],
        "similarity_fn_name": similarity if similarity in _SIMILARITIES else None,
        "use_instructions": any(prompts.values()),
        "training_datasets": None,
        "model_type": ["dense"] if dense else [],
    }
