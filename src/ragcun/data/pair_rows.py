"""Conversion of a file's row to the texts of training pairs, by common names of columns.

sentence-transformers: anchor, positive, negative; sentence1, sentence2. FlagEmbedding: query, pos, neg (lists).
Tevatron: query, positive_passages, negative_passages (lists of title and text). ragcun: query, positive, negatives.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ragcun.errors import UserError

QUERY = ("query", "anchor", "sentence1")
POSITIVE = ("positive", "positives", "pos", "positive_passages", "sentence2")
_NEGATIVE = re.compile(r"negatives?|negative_?[0-9]+|neg|negative_passages")


_NO_TEXT = re.compile(r"(.*_)?(ids?|labels?|scores?|similarity|relevance|grade|url|index|split|)", re.IGNORECASE)
_WORDS = 2  # of a column's name, at most


class Pair(NamedTuple):
    """The texts of one pair, negatives in the order of their columns."""

    query: str
    positive: str
    negatives: list[str]


@dataclass(frozen=True)
class Columns:
    """The names of the columns with queries, positives and negatives; the first column with a text is used.

    `by_order` is set if the names were not given or recognised, but the table has exactly two columns.
    """

    query: tuple[str, ...] = QUERY
    positive: tuple[str, ...] = POSITIVE
    negative: tuple[str, ...] = ()
    by_order: bool = False

    def used(self, name: str) -> bool:
        """Return whether the column is used."""
        return name in self.query or name in self.positive or self.holds_negatives(name)

    def holds_negatives(self, name: str) -> bool:
        """Return whether the column contains negatives: it is one of `negative` or has a common name of negatives."""
        return name in self.negative if self.negative else _NEGATIVE.fullmatch(name) is not None


def parse_columns(text: str | None) -> Columns:
    """Parse `query=question,positive=answer,negative=wrong`; roles that are left out keep the common names.

    Raises:
        UserError: a role is not query, positive or negative, or a name is missing.
    """
    named: dict[str, tuple[str, ...]] = {}
    for option in [] if text is None else text.split(","):
        role, _, column = option.strip().partition("=")
        if role not in {"query", "positive", "negative"} or not column.strip():
            raise UserError(f"--columns {text}: must be query=NAME,positive=NAME,negative=NAME, or a part of it")
        named[role] = (*named.get(role, ()), column.strip())
    return Columns(named.get("query", QUERY), named.get("positive", POSITIVE), named.get("negative", ()))


def columns_of(row: Any, columns: Columns) -> Columns:
    """Return `columns`, or the two columns of a table with other names: the query, then the positive.

    The order is not used if a name shows that its column has no text, or if a name is itself a text, as in the first
    line of a table without a header.
    """
    names = list(row) if isinstance(row, Mapping) else []
    nameless = not any(columns.used(name) or _NO_TEXT.fullmatch(name) or _no_name(name) for name in names)
    if columns == Columns() and len(names) == 2 and nameless:
        return Columns((names[0],), (names[1],), by_order=True)
    return columns


def parse_pairs(row: Any, columns: Columns) -> list[Pair]:
    """Parse the pairs of a row of `read_rows`, one for each of its positives.

    Positives and negatives are texts, or lists of texts or of passages with a title and a text. A negative that is
    null, empty or white space is ignored. Raises `ValueError` with the kind of problem if the row is unusable.
    """
    if isinstance(row, ValueError):
        raise row
    if not isinstance(row, Mapping):
        raise ValueError("not a JSON object")
    query = _text(_either(columns.query), _cell(row, columns.query))
    name = _either(columns.positive)
    positives = [_text(name, cell) for cell in _cells(_cell(row, columns.positive))]
    if not positives:
        raise ValueError(f"no {name}")
    negatives = [
        _text(column, cell)
        for column, value in row.items()
        if columns.holds_negatives(column)
        for cell in _cells(value)
        if not _absent(cell)
    ]
    if any(query.strip() == positive.strip() for positive in positives):
        raise ValueError("query equals positive")
    return [Pair(query, positive, negatives) for positive in dict.fromkeys(positives)]


def _cell(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    """Return the value of the first of the columns that is not empty, otherwise that of the first that exists."""
    values = [row[name] for name in names if name in row]
    filled = [value for value in values if not _absent(value)]
    return next(iter(filled or values), None)


def _cells(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _absent(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "text" in value and all(_absent(value.get(part)) for part in ("title", "text"))
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def _no_name(name: str) -> bool:
    return len(name.split()) > _WORDS


def unread_label(name: str) -> bool:
    """Whether a column that plays no part seems to say how good a pair is."""
    return re.fullmatch(r"labels?|scores?|similarity|relevance|grade|gold_label", name.lower()) is not None


def _either(names: Sequence[str]) -> str:
    return " or ".join(names[:2]) if tuple(names) == QUERY else names[0]


def _text(name: str, value: Any) -> str:
    if isinstance(value, Mapping) and isinstance(value.get("text"), str):  # a passage, joined as BEIR joins it
        title = value.get("title")
        if title is not None and not isinstance(title, str):
            raise ValueError(f"a title of {name} is not a string")
        value = f"{title or ''} {value['text']}".strip()
    if value is None:
        raise ValueError(f"no {name}")
    if not isinstance(value, str):
        raise ValueError(f"{name} is not a string")
    if not value or value.isspace():
        raise ValueError(f"empty {name}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("half a surrogate pair") from None
    return value
