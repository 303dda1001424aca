"""Methods of making a query and its relevant document from a passage."""

import hashlib
import random
from collections.abc import Callable

from ragcun.mining.passages import Passage
from ragcun.mining.sentences import sentences

_LEAST_WORDS = 3  # the minimum length of a query
_MOST_WORDS = 64
_LEAST_REST = 5  # the minimum length of a document, in words
_KEPT = 0.1  # the share of inverse-cloze pairs whose document keeps the query


class Skip(ValueError):  # noqa: N818
    """The passage gives no pair; the message is the reason."""


Pair = tuple[str, str]


def first_sentence(passage: Passage, _seed: int) -> Pair:
    """The first sentence is the query; the rest is the document."""
    found = sentences(passage.text)
    if len(found) < 2:
        raise Skip("one sentence only")
    return checked(found[0], " ".join(found[1:]))


def title(passage: Passage, _seed: int) -> Pair:
    """The title is the query; the text is the document, without a repeated title at its start."""
    if not passage.title:
        raise Skip("no title")
    text = passage.text
    if text.lower().startswith(passage.title.lower()):
        text = text[len(passage.title) :].lstrip(" .,;:-\u2013\u2014\n")
    return checked(passage.title, text, least=1)


def inverse_cloze(passage: Passage, seed: int) -> Pair:
    """A random sentence is the query; the rest is the document, which keeps the sentence in one of ten cases.

    The Inverse Cloze Task of Lee, Chang and Toutanova (arXiv 1906.00300, section 4).
    """
    found = sentences(passage.text)
    if len(found) < 2:
        raise Skip("one sentence only")
    digest = hashlib.blake2b(f"{seed}\0{passage.text}".encode(), digest_size=8).digest()
    draw = random.Random(digest)  # noqa: S311
    chosen = draw.randrange(len(found))
    rest = found if draw.random() < _KEPT else found[:chosen] + found[chosen + 1 :]
    return checked(found[chosen], " ".join(rest))


METHODS: dict[str, Callable[[Passage, int], Pair]] = {
    "first-sentence": first_sentence,
    "title": title,
    "inverse-cloze": inverse_cloze,
}


def checked(query: str, document: str, least: int = _LEAST_WORDS) -> Pair:
    """Return the pair. Raises `Skip` if its query has too few or too many words, or its document too few."""
    words = len(query.split())
    if words < least:
        raise Skip("query too short")
    if words > _MOST_WORDS:
        raise Skip("query too long")
    if len(document.split()) < _LEAST_REST:
        raise Skip("document too short")
    return query, document
