"""Extraction of prose from docstrings in reStructuredText, numpydoc, Google style or Markdown."""

import inspect
import re
from collections.abc import Iterator
from itertools import pairwise

_RULE = re.compile(r"([-=~^\"'`#*+])\1{2,}")
_TABLE = re.compile(r"[-=~^+|*_#:.]{2,}[\s\-=~^+|*_#:.]*|[|+].*")
_HEADER = re.compile(
    r"(?:(?:other |keyword )?(?:args|arguments|parameters)|attributes|returns?|raises|yields|notes?|warnings?):",
    re.IGNORECASE,
)
_SKIPPED = re.compile(
    r"[#*]*\s*(?:(?:usage |code )?examples?|(?:example )?usage|see also|references?|sources?|shapes?)\s*[:*]*",
    re.IGNORECASE,
)
_ADMONITION = re.compile(r"\.\. (?:note|warning|tip|hint|important|caution|attention|admonition|rubric)::\s*(.*)")
_DROPPED = re.compile(r"\.\.(?:\s|$)|[:@](?:type|rtype|vartype|orphan)\b|\[\[")
_FIELD = re.compile(
    r"[:@](?:param|parameter|arg|argument|key|keyword|ivar|cvar|var|raises?)\s(?:[^:]*\s)?(\S+?):\s*(.*)"
)
_RETURNS = re.compile(r"[:@](returns?|yields?)\b[^:]*:\s*(.*)")
_TYPED = re.compile(r"([`*\w][`\w, *.\\]*?)\s+:(?:\s.*)?")
_TYPED_INLINE = re.compile(r"(?:[-*]\s+)?[`*]*(\w+)[`*]*\s+\((?:[^()]|\([^()]*\))*\)\s*(?::|--?|\u2014)\s*(.*)")
_BULLET = re.compile(r"(?:[-*+\u2022]|\d+[.)])\s+(.*)")
_MARKED = re.compile(r"[`<\[*\\]|https?:|%\(")
_INLINE = [
    (re.compile(r"(?<=`)\\\s?(?=\w)"), ""),
    (re.compile(r"`~[\w.]*?(\w+)(?:\(\))?`"), r"`\1`"),
    (re.compile(r":[\w:+-]+:(?=`)"), ""),
    (re.compile(r"`([^`<]+?)\s*<[^`>]*>`_*"), r"\1"),
    (re.compile(r"\[`?~?([^\]`]+)`?\]\([^)]*\)|\[`~?([^\]`]+)`\]"), r"\1\2"),
    (re.compile(r"\s?\[[^\[\]\s]+\]_"), ""),
    (re.compile(r"</?[A-Za-z][^<>]*>|<?https?://[^\s>)]+>?|%\(\w+\)s"), ""),
    (re.compile(r"``?[~.!]?(?=\S)([^`]*)``?_*"), r"\1"),
    (re.compile(r"(?<![\w*])\*\*?(?=\w)([^*]+?)(?<=[\w.:])\*\*?(?![\w*])"), r"\1"),
    (re.compile(r"\\(?=[*_|`\\ ])"), ""),
]


def paragraphs(docstring: str) -> Iterator[str]:
    """Yield the paragraphs of a docstring in order, each as one line of text.

    Left out: code (doctests, fences, literal blocks), tables and rules, directives other than admonitions, the
    types of parameters, and sections of examples and references. Headings and names of parameters end in a colon.
    """
    block: list[str] = []
    for text, starts_block in _lines(docstring):
        if starts_block and block:
            yield from _inline(block)
            block = []
        block.append(text)
    yield from _inline(block)


def _lines(docstring: str) -> Iterator[tuple[str, bool]]:
    """Yield the lines of text without the markup at their start, and whether each starts a paragraph."""
    lines = inspect.cleandoc(docstring).splitlines()
    deeper_than: int | None = None
    in_fence = in_doctest = in_skipped_section = False
    starts = True
    for raw, following in pairwise([*lines, ""]):
        line = raw.strip()
        indent = len(raw) - len(raw.lstrip())
        if line.startswith(("```", "~~~")) and not _RULE.fullmatch(line[3:]):
            in_fence, starts = not in_fence, True
            continue
        if not line:
            in_doctest, starts = False, True
        if not line or in_fence or (deeper_than is not None and indent > deeper_than):
            continue
        deeper_than = None
        if _RULE.fullmatch(following.strip()) and len(following.strip()) >= min(4, len(line)):
            in_skipped_section, starts = _SKIPPED.fullmatch(line) is not None, True
            if not in_skipped_section:
                yield f"{line.rstrip(' :')}:", True
            continue
        in_doctest = in_doctest or line.startswith(">>>")
        if in_skipped_section or in_doctest or _TABLE.fullmatch(line):
            starts = True
            continue
        if _SKIPPED.fullmatch(line) or (_DROPPED.match(line) and not _ADMONITION.match(line)):
            deeper_than, starts = indent, True
            continue
        text = _labelled(line, described=len(following) - len(following.lstrip()) > indent)
        if text is None:
            text = line
        else:
            starts = True
        if text.endswith("::"):
            deeper_than, text = indent, text[:-1]
        yield text, starts
        starts = _HEADER.fullmatch(line) is not None


def _labelled(line: str, described: bool) -> str | None:
    """Return the text of a line that starts a list item, a parameter or an admonition; None for any other line."""
    if match := _FIELD.match(line) or _TYPED_INLINE.match(line) or _RETURNS.match(line):
        return f"{match[1]}: {match[2]}"
    if described and (match := _TYPED.fullmatch(line)):
        return f"{match[1]}:"
    if match := _BULLET.match(line):
        return f"- {match[1]}"
    if match := _ADMONITION.match(line):
        return match[1]
    return line if _HEADER.fullmatch(line) else None


def _inline(block: list[str]) -> Iterator[str]:
    text = " ".join(block)
    if _MARKED.search(text):
        for pattern, replacement in _INLINE:
            text = pattern.sub(replacement, text)
    text = " ".join(text.split())
    if text:
        yield text
