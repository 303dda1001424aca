"""Runs of other systems in TREC's format, matched with a collection."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from ragcun.data.collection import Collection
from ragcun.errors import UserError
from ragcun.retrieval.runs import Run, ranked, read_run
from ragcun.retrieval.topk import Rows


@dataclass(frozen=True)
class ForeignRun:
    """A run on the queries of a split, with the ids of the collection.

    Attributes:
        run: query id -> document id -> score, for the judged queries in the file.
        facts: counts of what the file contains, as JSON.
    """

    run: Run
    facts: dict[str, int | str]

    def remarks(self) -> list[str]:
        """Describe in words what a reader should know about the file."""
        said = []
        missing = int(self.facts["judged_queries"]) - int(self.facts["answered_queries"])
        if missing:
            said.append(f"{missing:,} of {self.facts['judged_queries']:,} judged queries have no results and score 0")
        if other := self.facts["unknown_queries"]:
            said.append(f"{other:,} queries are not in the collection and are left out")
        if unknown := self.facts["unknown_documents"]:
            said.append(
                f"{unknown:,} results are documents that are not in the corpus, such as "
                f"{self.facts['unknown_document']!r}; they keep their ranks, as in trec_eval"
            )
        if self.facts["shallowest"] != self.facts["deepest"]:
            said.append(f"{self.facts['shallowest']:,} to {self.facts['deepest']:,} results per query")
        else:
            said.append(f"{self.facts['deepest']:,} results per query")
        return said


def read_foreign(path: Path, collection: Collection, split: str, own: Mapping[str, str], depth: int) -> ForeignRun:
    """Read a run of another system, and match it with the collection.

    Ids are used as they are or, if the collection does not have them, percent-decoded, because ragcun encodes white
    space in ids. The `depth` best documents of each query are kept by their scores, independent of the ranks in the
    file. The document `own[query]` is removed, if the benchmark excludes it.

    Raises:
        UserError: the file is malformed, contains no judged query, or none of its documents is in the corpus.
    """
    judged = collection.qrels(split)
    raw = read_run(path, escaped=False)
    queries = dict(zip(raw, _ids(list(raw), collection.queries.rows), strict=True))
    found = {id_: raw[name] for name, id_ in queries.items() if id_ is not None and id_ in judged}
    if not found:
        example = next(iter(raw), "")
        raise UserError(
            f"{path}: has no judged query of {collection.name} ({split}); its queries are called, for example, "
            f"{example!r}, the collection's {next(iter(judged))!r}"
        )
    names = list({name for scores in found.values() for name in scores})
    documents = dict(zip(names, _ids(names, collection.corpus.rows), strict=True))
    unknown = {name for name, id_ in documents.items() if id_ is None}
    if len(unknown) == len(names):
        raise UserError(
            f"{path}: none of its documents is in the corpus of {collection.name}; they are called, for example, "
            f"{names[0]!r}, the corpus' {collection.corpus.id(0)!r}"
        )
    run = {
        query: dict(_best({documents[name] or name: score for name, score in scores.items()}, own.get(query), depth))
        for query, scores in found.items()
    }
    facts: dict[str, int | str] = {
        "judged_queries": len(judged),
        "answered_queries": len(run),
        "unknown_queries": sum(id_ is None for id_ in queries.values()),
        "unknown_documents": sum(name in unknown for scores in found.values() for name in scores),
        "shallowest": min(map(len, found.values())),
        "deepest": max(map(len, found.values())),
    }
    if unknown:
        facts["unknown_document"] = min(unknown)
    return ForeignRun(run, facts)


def _best(scores: Mapping[str, float], own: str | None, depth: int) -> list[tuple[str, float]]:
    return ranked({document: score for document, score in scores.items() if document != own})[:depth]


def _ids(names: list[str], rows: Callable[[Iterable[str]], Rows]) -> list[str | None]:
    """Return the collection's ids of `names`; None if it has neither spelling."""
    decoded = [unquote(name) for name in names]
    return [
        name if row >= 0 else other if other_row >= 0 else None
        for name, other, row, other_row in zip(
            names, decoded, rows(names).tolist(), rows(decoded).tolist(), strict=True
        )
    ]
