"""Names that complete in the shell. Nothing is imported until somebody presses the tab key."""

from collections.abc import Callable, Iterable


def presets() -> list[str]:
    """The presets."""
    from ragcun.settings.load import preset_names

    return preset_names()


def datasets() -> list[str]:
    """The benchmark's datasets and groups of them, and pydocs."""
    from ragcun.data.benchmark import GROUPS, datasets

    return [*GROUPS, *datasets(), "pydocs"]


def bases() -> list[str]:
    """The models that go by a short name."""
    from ragcun.embedding.known import KNOWN

    return list(KNOWN)


def models() -> list[str]:
    """The retrievers that go by a short name."""
    return ["bm25", *bases()]


def runtimes() -> list[str]:
    """The runtimes that compute a base."""
    from ragcun.embedding.runtimes import AUTO, RUNTIMES

    return [AUTO, *(runtime.name for runtime in RUNTIMES)]


def measures() -> list[str]:
    """The measures of retrieval."""
    from ragcun.evaluation.metrics import MEASURES

    return list(MEASURES)


def codes() -> list[str]:
    """The codecs of vectors."""
    from ragcun.retrieval.codecs.spec import CODES

    return list(CODES)


def gpus() -> list[str]:
    """The machines that a plan knows."""
    from ragcun.planning.machines import HERE, MACHINES

    return [*MACHINES, HERE]


# As the schema calls them.
NAMES: dict[str, Callable[[], Iterable[str]]] = {
    "bases": bases,
    "datasets": datasets,
    "models": models,
    "runtimes": runtimes,
}


def complete(names: Callable[[], Iterable[str]] | Iterable[str]) -> Callable[[str], list[str]]:
    """A completion that offers those of `names` that continue what is typed, after its last comma."""

    def offer(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [before + comma + name for name in (names() if callable(names) else names) if name.startswith(last)]

    return offer
