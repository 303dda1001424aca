"""Problems in a user's data, with counts and positions by kind; they are refused or reported, never ignored."""

from dataclasses import dataclass, field
from typing import Any, Literal, Self

from ragcun.errors import UserError

OnError = Literal["refuse", "skip"]

NAMED = 3


@dataclass
class Problems:
    """Counts of problems by kind, with the first few positions of each.

    Attributes:
        counts: the counts of unusable rows.
        notes: the counts of problems that were corrected without loss, such as repeated rows.
        remarks: the counts of rows that were kept but must be reported, such as judgements of unknown documents.
        places: the first positions of each kind.
    """

    counts: dict[str, int] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)
    remarks: dict[str, int] = field(default_factory=dict)
    places: dict[str, list[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Return whether a row had to be left out; notes and remarks do not count."""
        return bool(self.counts)

    def add(self, kind: str, place: str) -> None:
        """Count an unusable row; `place` is file:line and, if useful, the id."""
        self._count(self.counts, kind, place)

    def note(self, kind: str, place: str) -> None:
        """Count a problem that was corrected without loss, such as a repeated row."""
        self._count(self.notes, kind, place)

    def remark(self, kind: str, place: str) -> None:
        """Count a row that was kept but must be reported."""
        self._count(self.remarks, kind, place)

    def _count(self, counts: dict[str, int], kind: str, place: str) -> None:
        counts[kind] = counts.get(kind, 0) + 1
        places = self.places.setdefault(kind, [])
        if len(places) < NAMED:
            places.append(place)

    def merge(self, other: Self) -> None:
        """Add the counts and positions of `other`."""
        for mine, theirs in (
            (self.counts, other.counts),
            (self.notes, other.notes),
            (self.remarks, other.remarks),
        ):
            for kind, count in theirs.items():
                mine[kind] = mine.get(kind, 0) + count
        for kind, places in other.places.items():
            self.places[kind] = (self.places.get(kind, []) + places)[:NAMED]

    def lines(self) -> list[str]:
        """Return one line per kind, remarks last, such as `duplicate id: 2 (corpus.jsonl:7, ...)`."""
        return [
            f"{kind}: {count:,} ({', '.join(self.places[kind])}{', ...' if count > NAMED else ''})"
            for kind, count in [*self.counts.items(), *self.notes.items(), *self.remarks.items()]
        ]

    def told_rows(self, kept: int) -> str:
        """How many rows of a file were read, kept and left out, which add up; nothing if all were kept."""
        left = sum(self.counts.values()) + sum(self.notes.values())
        return f"{kept + left:,} rows read, {kept:,} rows kept, {left:,} rows left out" if left else ""

    def settle(self, on_error: OnError) -> None:
        """Raise one `UserError` with every kind and its first position, if there are problems to refuse."""
        if not self or on_error == "skip":
            return
        kinds = "; ".join(f"{kind}: {n:,} (first at {self.places[kind][0]})" for kind, n in self.counts.items())
        raise UserError(f"{kinds}; correct the file, or use --on-error skip to leave these rows out")

    def to_json(self) -> dict[str, Any]:
        """Return the counts and positions as JSON, for a manifest."""
        return {"counts": self.counts, "notes": self.notes, "remarks": self.remarks, "places": self.places}
