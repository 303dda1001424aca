"""The preparation of data, and the mechanism that skips finished steps."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ragcun.data.beir import beir_folder
from ragcun.data.finished import finished
from ragcun.data.pydocs import PYDOCS, pydocs_collection
from ragcun.errors import UserError
from ragcun.intact import read_kept, write_record
from ragcun.settings.schema import Settings, Stage, StageSettings

_WIKI_PASSAGES = 1_000_000


def prepare_data(settings: Settings, experiment: Path, stage: Stage = "both") -> Settings:
    """Settings whose training data is a path: `pydocs`, and what stages name as their sources, is made.

    It is in `experiment`/data. `pydocs` is made once: an experiment keeps it where Python is upgraded meanwhile.
    """
    if PYDOCS in settings.data.weights() or PYDOCS in settings.data.general:
        settings = _prepare_pydocs(settings, experiment)
    return _prepare_stages(settings, experiment, stage)


def _prepare_pydocs(settings: Settings, experiment: Path) -> Settings:
    folder = experiment / "data" / PYDOCS
    wanted = {
        "documents": settings.data.pydocs_documents,
        "seed": settings.data.sample_seed,
        "max_words": settings.data.pydocs_max_words,
    }
    if finished(folder, wanted) is None:
        pydocs_collection(folder, wanted["documents"], wanted["seed"], wanted["max_words"])
    made = {
        "train": tuple(
            f"{folder}{text.removeprefix(PYDOCS)}" if name == PYDOCS else text
            for text, name in zip(settings.data.train, settings.data.weights(), strict=True)
        ),
        "general": tuple(str(folder) if name == PYDOCS else name for name in settings.data.general),
    }
    return settings.model_copy(update={"data": settings.data.model_copy(update=made)})


def _prepare_stages(settings: Settings, experiment: Path, stage: Stage) -> Settings:
    """Settings whose stages' sources, where no data is given for them, are prepared in `experiment`/data."""
    data = settings.data
    stages = [
        ("pretrain", None if stage == "finetune" else settings.pretraining, [data.pretrain] if data.pretrain else []),
        ("train", None if stage == "pretrain" and settings.pretraining else settings.training, [*data.weights()]),
    ]
    for path in (path for _, _, given in stages for path in given):  # before anything is downloaded
        if not Path(path).exists():
            raise UserError(f"{path}: no such file or folder of pairs")
    for field, wanted, given in stages:
        if wanted is None or given or wanted.source == "pairs":
            continue
        prepare = _wiki if wanted.source == "wiki" else _msmarco
        train, val = prepare(settings, wanted, experiment)
        held_out = "pretrain_val" if field == "pretrain" else "val"
        data = data.model_copy(
            update={
                field: str(train) if field == "pretrain" else (str(train),),
                held_out: getattr(data, held_out) or str(val),
            }
        )
    return settings.model_copy(update={"data": data})


def _wiki(settings: Settings, stage: StageSettings, experiment: Path) -> tuple[Path, Path]:
    from ragcun.data.wiki import prepare_wiki
    from ragcun.mining.pairs import PairSettings, prepare_pairs
    from ragcun.retrieval.retrievers import RetrieverOptions

    corpus, pairs = experiment / "data" / "wiki", experiment / "data" / "wiki-pairs"
    prepare_wiki(corpus, stage.rows or _WIKI_PASSAGES, stage.passage_chars)
    prepare_pairs(corpus, pairs, PairSettings(seed=settings.data.sample_seed), RetrieverOptions(experiment / "store"))
    return pairs / "train.jsonl", pairs / "val.jsonl"


def _msmarco(settings: Settings, stage: StageSettings, experiment: Path) -> tuple[Path, Path]:
    from ragcun.data.msmarco import prepare_msmarco

    folder = experiment / "data" / "msmarco"
    prepare_msmarco(folder, stage.rows, stage.negatives or 0, settings.data.sample_seed)
    return folder / "train.parquet", folder / "dev.parquet"


def evaluation_folder(settings: Settings) -> Path:
    """The folder of the collections to evaluate on."""
    return Path(settings.evaluation.data_dir) if settings.evaluation.data_dir is not None else beir_folder()


def once(marker: Path, inputs: dict[str, Any], work: Callable[[], Iterable[Path]]) -> None:
    """Do `work` unless `marker` says that it has been done from the same inputs and the files that it made are intact.

    `work` returns these files, which lie below the marker's folder.
    """
    done = read_kept(marker)
    if done is not None and done.get("inputs") == inputs:
        return
    marker.unlink(missing_ok=True)
    write_record(marker, {"inputs": inputs}, work())
