"""Segmentation of English prose into sentences."""

import re

_END = re.compile(r"[.!?][\"'”’)\]]*(?=\s+[\"'“‘(\[]*[A-Z0-9])|[.!?][\"'”’)\]]*$")
_ABBREVIATIONS = frozenset(
    """mr mrs ms dr prof sr jr st mt vs etc e.g i.e cf al approx no vol pp ca fig figs eq eqs sec ed eds rev gen col
    capt lt sgt gov sen rep inc ltd co corp dept univ jan feb mar apr jun jul aug sep sept oct nov dec
    u.s u.k ph.d b.c a.d
    """.split()  # noqa: SIM905
)
_LAST_WORD = re.compile(r"([\w.]+)\.$")


def sentences(text: str) -> list[str]:
    """Split a text into sentences. Joined by spaces, they are the text with single spaces.

    A sentence ends at a full stop, exclamation or question mark before a capital letter or digit, but not after an
    abbreviation or an initial ("J. Smith"), and not inside a number.
    """
    text = " ".join(text.split())
    found, start = [], 0
    for end in _END.finditer(text):
        sentence = text[start : end.end()]
        if end.end() < len(text) and _abbreviated(sentence):
            continue
        found.append(sentence.strip())
        start = end.end()
    if text[start:].strip():
        found.append(text[start:].strip())
    return found


def _abbreviated(sentence: str) -> bool:
    word = _LAST_WORD.search(sentence)
    return word is not None and (word[1].lower() in _ABBREVIATIONS or (len(word[1]) == 1 and word[1].isupper()))
