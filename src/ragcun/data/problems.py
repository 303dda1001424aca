"""Problems of a user's data, counted by kind and located; they are refused or skipped, but never silent."""

from dataclasses import dataclass, field
from typing import Any, Literal, Self

from ragcun.errors import UserError

OnError = Literal["refuse", "skip"]

NAMED = 3


@dataclass
class Problems:
    """Counts of what was wrong, with the first few places of each kind.

    Attributes:
        counts: rows that cannot be used.
        notes: what was put right without loss, such as the second of two equal rows.
        remarks: what was kept as it is and a reader must know, such as a judgement of a document that is not there.
        places: the first places of each kind.
    """

    counts: dict[str, int] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)
    remarks: dict[str, int] = field(default_factory=dict)
    places: dict[str, list[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """True where a row had to be left out; notes and remarks do not count."""
        return bool(self.counts)

    def add(self, kind: str, place: str) -> None:
        """Count a row that cannot be used; `place` is file:line and, where it helps, the id."""
        self._count(self.counts, kind, place)

    def note(self, kind: str, place: str) -> None:
        """Count what was put right without loss, such as the second of two equal rows."""
        self._count(self.notes, kind, place)

    def remark(self, kind: str, place: str) -> None:
        """Count what was kept as it is and must be known."""
        self._count(self.remarks, kind, place)

    def _count(self, counts: dict[str, int], kind: str, place: str) -> None:
        counts[kind] = counts.get(kind, 0) + 1
        places = self.places.setdefault(kind, [])
        if len(places) < NAMED:
            places.append(place)

    def merge(self, other: Self) -> None:
        """Add the counts and places of `other` to these."""
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
        """One line a kind, remarks last, for the caller to print: `duplicate id: 2 (corpus.jsonl:7, ...)`."""
        return [
            f"{kind}: {count:,} ({', '.join(self.places[kind])}{', ...' if count > NAMED else ''})"
            for kind, count in [*self.counts.items(), *self.notes.items(), *self.remarks.items()]
        ]

    def settle(self, on_error: OnError) -> None:
        """Raise one `UserError` naming every kind and its first place, where there are problems to refuse."""
        if not self or on_error == "skip":
            return
        kinds = "; ".join(f"{kind}: {n:,} (first at {self.places[kind][0]})" for kind, n in self.counts.items())
        raise UserError(f"{kinds}; correct the file, or use --on-error skip to leave these rows out")

    def to_json(self) -> dict[str, Any]:
        """The same as plain values, for a manifest."""
        return {"counts": self.counts, "notes": self.notes, "remarks": self.remarks, "places": self.places}
