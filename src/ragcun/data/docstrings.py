"""Docstrings as pairs of a summary and the text after it, read from source code with `ast`, without importing it."""

import ast
import re
import warnings
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from ragcun.data.prose import paragraphs

SUMMARY_WORDS = (4, 40)
BODY_WORDS = 12

_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_SIGNATURE = re.compile(r"[\w.]+\(.*\)(?:\s*->.*)?")
_SENTENCE_END = re.compile(r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)(?<!etc\.)(?<!vs\.)\s+(?=[^a-z\s])")
_IDENTIFIER = re.compile(r"(?<![\w-])(?:\w+\.)*(\w+(?:-\w+)*)(?:\([^()]*\))?(?![\w-])")
_NO_SUMMARY = re.compile(r"\W*(?:copyright|authors?|created|licen[cs]e|deprecated|note)\b", re.IGNORECASE)
_LABEL = re.compile(r"\W*\w+\W*?(?::|=|\s--?|\s[\u2013\u2014])\s+")
_LEFT_ALONE = {".", ",", ":", ";", "()", "''", '""'}
_NO_LETTER = re.compile(r"[^A-Za-z ]")


class Docstring(NamedTuple):
    """The docstring of one module, class or function: its dotted `name`, the `summary` and the `body` as prose."""

    name: str
    summary: str
    body: str


def read_docstrings(source: bytes, module: str, max_words: int) -> list[Docstring]:
    """Read the docstrings of a Python file that `split_docstring` can use, in the order of the file.

    `module` is the file's dotted name. A name that is defined twice is read once. Private functions and classes, and
    definitions inside functions, are left out. Raises SyntaxError, ValueError or RecursionError if Python cannot parse
    `source`.
    """
    if b'"""' not in source and b"'''" not in source:
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source)
    found: dict[str, Docstring] = {}
    for name, node in _documented(tree, module):
        docstring = ast.get_docstring(node, clean=False)
        if docstring and name not in found and (texts := split_docstring(docstring, name, max_words)):
            found[name] = Docstring(name, *texts)
    return list(found.values())


def _documented(node: ast.AST, name: str) -> Iterator[tuple[str, _Documented]]:
    if isinstance(node, _Documented):
        yield name, node
    if isinstance(node, ast.Module | ast.ClassDef | ast.If | ast.Try):
        for child in [*node.body, *(node.orelse if isinstance(node, ast.If) else [])]:
            if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _documented(child, name)
            elif not child.name.startswith("_"):
                yield from _documented(child, f"{name}.{child.name}")


def split_docstring(docstring: str, name: str, max_words: int) -> tuple[str, str] | None:
    """Split a docstring into its summary (the first sentence, PEP 257) and the next `max_words` words, as prose.

    The last part of the dotted `name` is removed from both in every spelling of an identifier (`read_csv`, `ReadCSV`,
    `pandas.read_csv(path)`), since it would give the answer away. Returns None if a text is too short or is not English
    prose, if the first sentence is a parameter or a copyright notice, or if it makes no sense without the name.
    """
    texts = paragraphs(docstring)
    first = next((text for text in texts if not _SIGNATURE.fullmatch(text)), "")
    summary, *rest = _SENTENCE_END.split(first, maxsplit=1)
    key = _joined(name.rpartition(".")[2])
    if (label := _LABEL.match(summary)) and _without(key, label[0]) != label[0]:
        summary = summary[label.end() :]
    if not SUMMARY_WORDS[0] <= len(summary.split()) <= SUMMARY_WORDS[1]:
        return None
    if _LABEL.match(summary) or _NO_SUMMARY.match(summary) or not _is_prose(summary):
        return None
    if _without(key, summary) != summary:
        return None
    words: list[str] = []
    for text in chain(rest, texts):
        words += (word for word in _without(key, text).split() if word not in _LEFT_ALONE)
        if len(words) >= max_words:
            break
    body = " ".join(words[:max_words])
    return (summary.rstrip(" .:"), body) if len(words) >= BODY_WORDS and _is_prose(body) else None


def _joined(identifier: str) -> str:
    return identifier.replace("_", "").replace("-", "").lower()


def _without(key: str, text: str) -> str:
    """Remove the identifiers that spell `key`, and their calls, from `text`."""
    return _IDENTIFIER.sub(lambda match: "" if _joined(match[1]) == key else match[0], text)


def _is_prose(text: str) -> bool:
    return text.isprintable() and len(_NO_LETTER.findall(text)) <= 0.15 * len(text)
