"""Notes below a table on the settings of each retriever: prompts, length, pooling, similarity, precision."""

from collections.abc import Iterable, Mapping
from typing import Any

_SHOWN = {
    "run": "scored from the run {}",
    "endpoint": "{}",
    "dimensions": "{} dimensions",
    "pooling": "{} pooling",
    "max_length": "{} tokens",
    "max_characters": "first {} characters",
    "precision": "{}",
    "similarity": "{} similarity",
    "k1": "k1 = {}",
    "b": "b = {}",
    "stemmer": "{} stemmer",
    "stop_words": "{} stop words",
    "title": "title {}",
}
_SPELLING = {"euclidean": "Euclidean", "porter": "Porter", "lasttoken": "last-token", "cls": "CLS"}


def footnotes(settings: Iterable[tuple[str, Mapping[str, Any]]]) -> list[tuple[list[str], str]]:
    """Group retrievers by their settings; return labels and the text of their settings without a full stop.

    `settings` yields labels and results of the retrievers' `describe`; repetitions are allowed.
    """
    labels: dict[str, dict[str, None]] = {}
    for label, described in settings:
        if text := settings_text(described):
            labels.setdefault(text, {})[label] = None
    return [(list(names), text) for text, names in labels.items()]


def settings_text(settings: Mapping[str, Any]) -> str:
    """Write the settings that determine a ranking in one line; empty if they are unknown."""
    if inputs := settings.get("inputs"):
        parts = [f"{one['label']} ({settings_text(one)})" for one in inputs]
        return f"{settings['model']}, k = {settings['k']}, to depth {settings['depth']}, of {' and '.join(parts)}"
    prompts = settings.get("prompts") or {}
    shown = [f"{role} prompt “{prompt.strip()}”" for role, prompt in prompts.items() if prompt]
    for key, form in _SHOWN.items():
        if (value := settings.get(key)) is not None:
            shown.append(form.format(_SPELLING.get(value, value)))
    if index := settings.get("index"):
        recall = ", ".join(f"recall@{depth} {value:.3f}" for depth, value in index["recall"].items())
        shown.append(f"{index['kind']} index of {index['documents']:,} documents, {recall} against exact search")
    return ", ".join(shown)
