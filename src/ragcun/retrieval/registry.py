"""From the name that a user types to a retriever. To add one is to add one entry to `BUILT_IN`.

bm25, bm25:k1=1.2,b=0.75                a built-in one, with other settings than its own
FOLDER, HUB-ID, HUB-ID@REVISION         an encoder
HUB-ID:pooling=cls,query=query: ,...    an encoder that is used otherwise than its files say
openai:MODEL, openai:MODEL@512          an embeddings API's model, at 512 dimensions
rrf:A+B                                 the fusion of two of the above
"""

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ragcun.embedding.recipe import Recipe
from ragcun.errors import UserError
from ragcun.retrieval.entries import ApiModel, Encoder, Fusion, Lexical
from ragcun.retrieval.retrievers import Entry, Identity, Retriever, RetrieverOptions

# As facebookresearch/contriever has it: src/contriever.py (the mean, not normalised), src/beir_utils.py (dot product,
# 512 tokens, title and text joined by a space). Its repositories on the hub hold a pickle alone; the revisions below
# are pull requests there in which the hub's own bot adds the same weights as safetensors, and which nobody has merged.
_CONTRIEVER = Recipe(pooling="mean", similarity="dot", max_length=512)

BUILT_IN: dict[str, Lexical | Encoder] = {
    "bm25": Lexical(),
    "minilm": Encoder("sentence-transformers/all-MiniLM-L6-v2"),
    "mpnet": Encoder("sentence-transformers/all-mpnet-base-v2"),
    "contriever": Encoder("facebook/contriever", "970b380340c2e3fac6eba814e23e906e3635c8ae", _CONTRIEVER),
    "contriever-msmarco": Encoder(
        "facebook/contriever-msmarco", "287db3b2d7662e688c051c351a0739de4ef2d6d7", _CONTRIEVER
    ),
}

_API = "openai:"
_FUSION = "rrf:"
_OPTIONS = re.compile(r"(?P<name>.+?):(?P<options>\w+=.*)", re.DOTALL)
_REVISION = re.compile(r"(?P<model>[\w.-]+/[\w.-]+)@(?P<revision>[\w./-]+)")
_TYPES = {"k1": float, "b": float, "max_length": int}


def entry(name: str) -> Entry:
    """What `name` stands for; nothing is looked for. Raises `UserError` where nothing can be called so."""
    if name.startswith(_FUSION):
        inputs = name.removeprefix(_FUSION).split("+")
        if len(inputs) != 2 or not all(inputs):
            raise UserError(f"{name}: fusion takes two retrievers, as in {_FUSION}bm25+minilm")
        return Fusion(entry(inputs[0]), entry(inputs[1]))
    options = ""
    if not _is_folder(name) and (found := _OPTIONS.fullmatch(name)):
        name, options = found["name"], found["options"]
    plain = _plain(name)
    if isinstance(plain, Lexical):
        return replace(plain, **_values(name, options, [field.name for field in fields(plain)]))
    not_there = {"pooling"} if isinstance(plain, ApiModel) else set()
    values = _values(name, options, [field.name for field in fields(Recipe) if field.name not in not_there])
    note = f" ({', '.join(f'{key} = {value}' for key, value in values.items())})" if values else ""
    return replace(plain, recipe=replace(plain.recipe, **values), note=plain.note + note)


def identify(name: str, encoding: RetrieverOptions) -> Identity:
    """What the retriever called `name` is.

    Raises:
        UserError: there is no such retriever, or one of its options is unknown.
        RagcunError: a hub did not answer.
    """
    return entry(name).identify(encoding)


def load_retriever(name: str, encoding: RetrieverOptions) -> Retriever:
    """The retriever called `name`, ready to rank. Raises as `identify` does."""
    return entry(name).load(encoding)


def encoder(name: str) -> Encoder | None:
    """The encoder called `name`; None where it is another kind of retriever. Raises as `identify` does."""
    found = entry(name)
    return found if isinstance(found, Encoder) else None


def _plain(name: str) -> Lexical | Encoder | ApiModel:
    if name in BUILT_IN:
        return BUILT_IN[name]
    if name.startswith(_API):
        model, _, dimensions = name.removeprefix(_API).partition("@")
        if not model or (dimensions and not dimensions.isdecimal()):
            raise UserError(f"{name}: not {_API}MODEL or {_API}MODEL@DIMENSIONS")
        return ApiModel(model, int(dimensions) if dimensions else None)
    if not _is_folder(name) and (found := _REVISION.fullmatch(name)):
        return Encoder(found["model"], found["revision"], note=f"@{found['revision']}")
    return Encoder(name)


def _is_folder(name: str) -> bool:
    try:
        return Path(name).expanduser().is_dir()
    except OSError:  # a long prompt is no file name
        return False


def _values(name: str, options: str, known: list[str]) -> dict[str, Any]:
    """The options as values. A comma ends one only where the name of the next follows: a prompt may hold commas."""
    if not options:
        return {}
    values: dict[str, Any] = {}
    for option in re.split(rf",(?=(?:{'|'.join(known)})=)", options):
        key, _, value = option.partition("=")
        if key not in known:
            raise UserError(f"{name}: no option {key!r}; it takes {', '.join(known)}")
        try:
            values[key] = _TYPES.get(key, str)(value)
        except ValueError:
            raise UserError(f"{name}: {key}={value} is not a number") from None
    return values
