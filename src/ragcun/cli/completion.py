"""Shell completion of names. Nothing is imported until a user presses the tab key."""

from collections.abc import Callable, Iterable


def presets() -> list[str]:
    """List the presets."""
    from ragcun.settings.load import preset_names

    return preset_names()


def datasets() -> list[str]:
    """List the benchmark's datasets and their groups."""
    from ragcun.data.benchmark import GROUPS, datasets

    return [*GROUPS, *datasets()]


def datasets_and_pydocs() -> list[str]:
    """List the same, and the collection that training commands make."""
    from ragcun.data.pydocs import PYDOCS

    return [*datasets(), PYDOCS]


def bases() -> list[str]:
    """List the models that have a short name."""
    from ragcun.embedding.known import KNOWN

    return list(KNOWN)


def models() -> list[str]:
    """List the retrievers that have a short name."""
    return ["bm25", *bases()]


def runtimes() -> list[str]:
    """List the runtimes that can encode with a base."""
    from ragcun.embedding.runtimes import AUTO, RUNTIMES

    return [AUTO, *(runtime.name for runtime in RUNTIMES)]


def measures() -> list[str]:
    """List the measures of retrieval quality."""
    from ragcun.evaluation.metrics import MEASURES

    return list(MEASURES)


def claims() -> list[str]:
    """List the claims of the literature."""
    from ragcun.claims.registry import CLAIMS

    return [claim.key for claim in CLAIMS]


def isotropy_measures() -> list[str]:
    """List the measures of isotropy."""
    from ragcun.analysis.measures import MEASURES

    return [measure.key for measure in MEASURES]


def averages() -> list[str]:
    """List the averages of a paper's main table."""
    from ragcun.report.paper.scores import AVERAGES

    return ["shown", *AVERAGES, "none"]


def published(fact: str) -> list[str]:
    """List the retrievers, or the datasets, that have published scores."""
    from ragcun.evaluation.verify import published as scores

    return list(dict.fromkeys(getattr(score, fact) for score in scores()))


def endpoints() -> list[str]:
    """List the endpoints of an ablation."""
    from ragcun.pipeline.endpoints import endpoint_names

    return endpoint_names()


def grid() -> list[str]:
    """List the settings of an ablation's grid, each with an equals sign."""
    from ragcun.pipeline.grid import grid_names

    return [f"{name}=" for name in grid_names()]


def codes() -> list[str]:
    """List the codecs of vectors."""
    from ragcun.retrieval.codecs.registry import CODES

    return list(CODES)


def gpus() -> list[str]:
    """List the machines that `ragcun plan` has figures for."""
    from ragcun.planning.machines import HERE, MACHINES

    return [*MACHINES, HERE]


# The keys are the values of `names` in the settings' schema.
NAMES: dict[str, Callable[[], Iterable[str]]] = {
    "bases": bases,
    "datasets": datasets_and_pydocs,
    "models": models,
    "runtimes": runtimes,
}


def complete(names: Callable[[], Iterable[str]] | Iterable[str]) -> Callable[[str], list[str]]:
    """Make a completion function that offers the names that start with the text behind the last comma."""

    def offer(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [before + comma + name for name in (names() if callable(names) else names) if name.startswith(last)]

    return offer
