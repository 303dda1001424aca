"""The outcomes besides nDCG@10 that an ablation can evaluate, by their names in `ragcun ablate --endpoint`.

compress:CODEC            nDCG@10 with document vectors compressed by CODEC; the cells of `ragcun eval compress`
abstain:SCORE             AUROC of SCORE; the cells of `ragcun eval abstain`
neighbours:INDEX=VALUE    recall@10 of INDEX with a value of its parameter; the cells of `ragcun eval neighbours`
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragcun.errors import UserError, did_you_mean
from ragcun.evaluation.endpoint import RANKING, Endpoint
from ragcun.evaluation.tasks import Task

if TYPE_CHECKING:
    from ragcun.retrieval.codecs.spec import CodecSpec


@dataclass(frozen=True)
class Asked:
    """A requested endpoint.

    Attributes:
        measure: the measure's name in results, for `ragcun eval compare --metric`.
        codec: the codec of the documents' vectors; None for full vectors.
        of: makes the endpoint for collections.
    """

    measure: str
    codec: "CodecSpec | None"
    of: Callable[[Sequence[Task]], Endpoint]


def parse_endpoint(name: str) -> Asked:
    """Parse an endpoint's name. Raises `UserError` if there is no such endpoint."""
    kind, found, value = name.partition(":")
    if not found or kind not in _KINDS:
        shown = "compress:CODEC, abstain:SCORE or neighbours:INDEX=VALUE"
        raise UserError(f"--endpoint {name}: must be {shown}, such as compress:trellis48")
    return _KINDS[kind](value, name)


def endpoint_names() -> list[str]:
    """List the endpoints that have a fixed set of names, for completion."""
    from ragcun.retrieval.codecs.registry import CODES

    known = {"compress": [*CODES], "abstain": _scores(), "neighbours": _efforts()}
    return [f"{kind}:{value}" for kind in _KINDS for value in known[kind]]


def _scores() -> list[str]:
    from ragcun.abstain.learned import COMBINED
    from ragcun.abstain.scores import SCORES

    return [*(score.key for score in SCORES), *COMBINED]


def _efforts() -> list[str]:
    from ragcun.neighbours.indexes import INDEXES

    return [f"{kind.key}={effort}" for kind in INDEXES for effort in kind.values]


def _compress(value: str, name: str) -> Asked:
    from ragcun.retrieval.codecs.spec import CodecSpec

    try:
        codec = CodecSpec.parse(value)
    except UserError as error:
        raise UserError(f"--endpoint {name}: {error}") from None
    return Asked("nDCG@10", codec, lambda _: RANKING)


def _abstain(value: str, name: str) -> Asked:
    from ragcun.abstain.run import PARTS, endpoint

    _require(value, _scores(), name)
    return Asked(PARTS + value, None, endpoint)


def _neighbours(value: str, name: str) -> Asked:
    from ragcun.neighbours.run import FOUND, endpoint

    _require(value, _efforts(), name)
    return Asked(FOUND + value, None, endpoint)


def _require(value: str, known: Sequence[str], name: str) -> None:
    if value not in known:
        raise UserError(
            f"--endpoint {name}: no such endpoint{did_you_mean(value, known)}; choose from {', '.join(known)}"
        )


_KINDS: Mapping[str, Callable[[str, str], Asked]] = {
    "compress": _compress,
    "abstain": _abstain,
    "neighbours": _neighbours,
}
