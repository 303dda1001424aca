"""References of a paper: the entries for the datasets, models, methods and measures that it uses."""

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from ragcun.data.benchmark import find_dataset
from ragcun.evaluation.systems import System
from ragcun.losses.terms import TERMS
from ragcun.report.paper.inputs import Training

BENCHMARK = "Thakur2021Beir"
_ENTRY = re.compile(r"^@\w+\{([\w-]+),.*$", re.MULTILINE)
_DATASETS = {
    "pubmedqa-l": "Jin2019PubMedQA",
    "xquad-en": "Artetxe2020Xquad",
    "medquad": "BenAbacha2019Medquad",
    "limit-small": "Weller2025Limit",
}
# Words in a model's name, and the references to cite for it.
_MODELS = {
    "bm25": ("Robertson2009Bm25",),
    "minilm": ("Wang2020MiniLM", "Reimers2019Sbert"),
    "mpnet": ("Song2020MPNet", "Reimers2019Sbert"),
    "contriever": ("Izacard2022Contriever",),
    "rrf": ("Cormack2009Rrf",),
}
_TERMS = {"isotropy": "Balestriero2025Lejepa", "axes": "Balestriero2025Lejepa", "orthogonality": "Zhang2017Gor"}
_MEASURES = {"nDCG": "Jarvelin2002Ndcg"}
TESTS = ("Smucker2007Tests", "Holm1979", "Hall1988Bootstrap", "Weerahandi1993")
ISOTROPY = (
    "Gao2017Participation",
    "Rudman2022Isoscore",
    "Balestriero2025Lejepa",
    "Ethayarajh2019Contextual",
    "Radovanovic2010Hubs",
)


@cache
def entries() -> dict[str, str]:
    """Return all entries of references.bib by key."""
    text = (files("ragcun.report.paper") / "references.bib").read_text(encoding="utf-8")
    return {found[1]: found[0] for found in _ENTRY.finditer(text)}


def bibliography(keys: Iterable[str]) -> str:
    """Return the contents of refs.bib for these keys, sorted by key."""
    return "".join(f"{entries()[key]}\n\n" for key in sorted(set(keys)))


def of_datasets(names: Iterable[str]) -> list[str]:
    """Return the keys of datasets; datasets without an entry are left out."""
    found = []
    for name in names:
        known = find_dataset(name)
        key = known.citation if known is not None else _DATASETS.get(name)
        if key in entries():
            found.append(str(key))
    return list(dict.fromkeys(found))


def of_systems(systems: Iterable[System], trainings: Iterable[Training]) -> list[str]:
    """Return the keys of the models of systems, found by their names, and of the bases of trainings."""
    names = [system.label for system in systems]
    names += [str(training.manifest["base"]["model"]) for training in trainings]
    found = [key for name in names for word, keys in _MODELS.items() if word in name.lower() for key in keys]
    return list(dict.fromkeys(found))


def of_trainings(trainings: Iterable[Training]) -> list[str]:
    """Return the keys of the methods of trainings."""
    found = []
    for training in trainings:
        settings = training.manifest["settings"]["training"]
        found += ["Oord2018Infonce", "Loshchilov2019Adamw"]
        found += [key for name, key in _TERMS.items() if any(t.name == name and settings.get(t.weight) for t in TERMS)]
        if settings.get("interpolate") not in (None, 1, 1.0):
            found.append("Wortsman2022Wiseft")
    return list(dict.fromkeys(found))


def of_measure(metric: str) -> list[str]:
    """Return the keys of a measure."""
    return [key for word, key in _MEASURES.items() if metric.startswith(word)]
