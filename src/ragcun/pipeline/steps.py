"""The first step of the chain, and how a step is not done twice."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ragcun.errors import UserError
from ragcun.files import read_json, write_json
from ragcun.settings.schema import Settings

PYDOCS = "pydocs"


def prepare_data(settings: Settings, experiment: Path) -> Settings:
    """Settings whose training data is a path: `pydocs` becomes the collection in `experiment`/data/pydocs.

    The collection is made once; an experiment keeps its data even where packages are upgraded meanwhile.
    """
    if settings.data.train != PYDOCS:
        return settings
    folder = experiment / "data" / PYDOCS
    wanted = {
        "documents": settings.data.pydocs_documents,
        "seed": settings.seed,
        "max_words": settings.data.pydocs_max_words,
    }
    source = folder / "source.json"
    if not source.is_file():
        from ragcun.data.pydocs import pydocs_collection

        pydocs_collection(folder, wanted["documents"], wanted["seed"], wanted["max_words"])
    elif read_json(source)["settings"] != wanted:
        raise UserError(
            f"{folder}: made with other settings ({read_json(source)['settings']}); choose another --output-dir"
        )
    return settings.model_copy(update={"data": settings.data.model_copy(update={"train": str(folder)})})


def once(marker: Path, inputs: dict[str, Any], work: Callable[[], None]) -> None:
    """Do `work` unless `marker` says that it has been done from the same inputs."""
    if marker.is_file() and read_json(marker) == inputs:
        return
    marker.unlink(missing_ok=True)
    work()
    write_json(marker, inputs)
