"""Names of settings in words and symbols. A Greek letter with _word is a symbol with a subscript."""

import re
from collections.abc import Mapping

from ragcun.losses.terms import TERMS

_SYMBOLS = {"temperature": "τ", "output_dim": "d", "whiten_power": "power"}
_WORDS = {
    "temperature": "temperature of the contrastive loss",
    "output_dim": "dimensions of the embeddings",
    "head": "projection head",
    "init": "initial weights of the head",
    "learning_rate": "learning rate",
    "batch_size": "pairs per batch",
    "interpolate": "interpolation between the initial and the trained weights",
    "target_power": "power by which the base's spectrum is flattened as the target of regularisers",
    "treat": "embeddings to which regularisers are applied",
    "rows": "training pairs",
}
_INDEXED = re.compile(r"([α-ω])_([a-z]+)")


def _of_term(symbol: str) -> str:
    r"""`\lambda_\mathrm{iso}` as λ_iso."""
    return re.sub(r"\\lambda_\\mathrm\{(\w+)\}", r"λ_\1", symbol)


_TERMS = {term.weight: (_of_term(term.symbol), term.help) for term in TERMS}


def symbol(setting: str) -> str:
    """Return the symbol of a setting, or its name with spaces, such as λ_iso for training.lambda_isotropy."""
    name = setting.rpartition(".")[2]
    return _TERMS[name][0] if name in _TERMS else _SYMBOLS.get(name, name.replace("_", " "))


def words(setting: str) -> str:
    """Describe a setting in words, without a full stop."""
    name = setting.rpartition(".")[2]
    if name in _TERMS:
        text = _TERMS[name][1].rstrip(".")
        return text[:1].lower() + text[1:]
    return _WORDS.get(name, name.replace("_", " "))


def setting_name(values: Mapping[str, object]) -> str:
    """Write settings and their values in one line, such as λ_cov = 0, τ = 38."""
    return ", ".join(f"{symbol(name)} = {value}" for name, value in values.items())


def label_in_symbols(label: str) -> str:
    """Write an ablation's label (NAME=VALUE,NAME=VALUE, perhaps with " seed N") in symbols; return others unchanged."""
    named, seed, number = label.partition(" seed ")
    pairs = [part.partition("=") for part in named.split(",")]
    if not all(re.fullmatch(r"[a-z_]+", name) and found and value for name, found, value in pairs):
        return label
    return setting_name({name: value for name, _, value in pairs}) + (f", seed {number}" if seed else "")


def mathematics(text: str) -> str:
    """Turn symbols with a subscript in `text` into matplotlib's mathematics."""
    return _INDEXED.sub(r"$\1_\\mathrm{\2}$", text)
