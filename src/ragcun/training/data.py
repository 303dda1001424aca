"""Training data and held-out data. The module does not import torch, so that invalid data is refused early."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ragcun.console import say
from ragcun.data.collection import CORPUS, Collection
from ragcun.data.jsonl import JsonlTexts
from ragcun.data.pairs import Pairs, load_pairs, mix
from ragcun.data.texts import Joined, Selected, Texts
from ragcun.errors import UserError
from ragcun.files import file_sha256
from ragcun.settings.schema import DataSettings, Settings, Stage

PRETRAINING = "pretraining"  # the folder of stage 1 in an experiment

_HELD_OUT = 0.05
_MOST_HELD_OUT = 1_000
_MOST_DOCUMENTS = 20_000


@dataclass(frozen=True)
class DevTexts:
    """Held-out queries and the documents that are ranked for them; `qrels` refers to both by row.

    `notes` are lines that describe how they were chosen.
    """

    queries: Texts
    documents: Texts
    qrels: dict[str, dict[str, int]]
    source: dict[str, object]
    notes: tuple[str, ...] = ()


def dev_from_collection(path: Path, split: str, data: DataSettings) -> DevTexts:
    """Read a collection's held-out split: at most `data.dev_rows` queries and at most 20,000 documents.

    A larger corpus is represented by the judged documents and a random sample of the others, which is reported.
    """
    collection = Collection.open(path, on_error=data.on_error)
    judged = collection.qrels(split)
    chosen = sorted(judged)
    if len(chosen) > data.dev_rows:
        chosen = sorted(
            np.random.default_rng(data.sample_seed).permutation(np.array(chosen, dtype=object))[: data.dev_rows]
        )
    query_rows = collection.queries.rows(chosen)
    wanted = sorted({document for query in chosen for document in judged[query]})
    judged_rows = collection.corpus.rows(wanted)
    row_of = dict(zip(wanted, judged_rows.tolist(), strict=True))
    judged_rows = judged_rows[judged_rows >= 0]  # a missing judged document only counts in the ideal ranking
    rows = np.arange(len(collection.corpus))
    notes: list[str] = []
    if len(rows) > _MOST_DOCUMENTS:
        others = np.setdiff1d(rows, judged_rows)
        sampled = np.random.default_rng(data.sample_seed).permutation(others)[
            : max(0, _MOST_DOCUMENTS - len(judged_rows))
        ]
        rows = np.sort(np.concatenate([np.unique(judged_rows), sampled]))
        notes.append(
            f"dev: {len(rows):,} of {len(collection.corpus):,} documents of {path.name}, including all judged ones"
        )
    place = {int(row): str(i) for i, row in enumerate(rows)}
    qrels = {
        str(i): {place.get(row_of[document], f"missing {document}"): grade for document, grade in judged[query].items()}
        for i, query in enumerate(chosen)
    }
    source = {"path": str(path), "split": split, "sha256": collection.fingerprint(split)}
    source["texts"] = collection.texts_fingerprint()
    return DevTexts(
        Selected(collection.queries, query_rows),
        Selected(collection.corpus, rows),
        qrels,
        {**source, "queries": len(chosen), "documents": len(rows)},
        tuple(notes),
    )


def dev_from_pairs(pairs: Pairs, data: DataSettings) -> DevTexts:
    """Make held-out data from pairs: at most `data.dev_rows` queries, with all positives and negatives as documents."""
    if len(pairs) < 2:
        raise UserError("dev: at least two held-out pairs are needed")
    queries = np.unique(pairs.anchor)
    notes: list[str] = []
    if len(queries) > data.dev_rows:
        chosen = np.random.default_rng(data.sample_seed).permutation(queries)[: data.dev_rows]
        pairs = pairs.where(np.isin(pairs.anchor, chosen))
        notes.append(f"dev: {data.dev_rows:,} of {len(queries):,} held-out queries, with their documents")
    query_rows, query_of = np.unique(pairs.anchor, return_inverse=True)
    documents = np.unique(np.concatenate([pairs.positive, pairs.negatives[pairs.negatives >= 0]]))
    positive = np.searchsorted(documents, pairs.positive)
    qrels: dict[str, dict[str, int]] = {}
    for query, document in zip(query_of.tolist(), positive.tolist(), strict=True):
        qrels.setdefault(str(query), {})[str(document)] = 1
    return DevTexts(
        Selected(pairs.queries, query_rows),
        Selected(pairs.documents, documents),
        qrels,
        {**pairs.source, "queries": len(query_rows), "documents": len(documents)},
        tuple(notes),
    )


def trainings(settings: Settings, stage: Stage = "both", load_checkpoint: str | None = None) -> dict[str, Settings]:
    """Return the stages to train, "pretrain" and "finetune", each with its own settings.

    Settings without a stage 1 have only stage 2; `stage` must then be "both".

    Raises:
        UserError: there is no such stage, or it has no data, or stage 2 alone has no encoder to start from.
    """
    first, second = settings.pretraining, settings.model_copy(update={"pretraining": None})
    if first is None and stage != "both":
        raise UserError(f"--stage {stage}: these settings have only one stage, because they have no [pretraining]")
    if first is None:
        stage = "finetune"
    elif stage == "finetune" and load_checkpoint is None:
        raise UserError("stage 2 alone needs an encoder to start from; give --load-checkpoint")
    found = {}
    if first is not None and stage != "finetune":
        train = () if settings.data.pretrain is None else (settings.data.pretrain,)
        data = settings.data.model_copy(update={"train": train, "val": settings.data.pretrain_val})
        found["pretrain"] = second.model_copy(update={"training": first, "data": data})
        if not data.train and first.source == "pairs":
            raise UserError("stage 1 has no data; give --pretrain-data a file of pairs or a collection's folder")
    if stage != "pretrain":
        found["finetune"] = second
        if not settings.data.train and settings.training.source == "pairs":
            raise UserError("there is no training data; give --train-data a file of pairs or a collection's folder")
    return found


def training_data(settings: Settings) -> tuple[Pairs, DevTexts]:
    """Load the training pairs, and the held-out data for scoring checkpoints.

    Raises:
        UserError: data is missing, malformed or insufficient.
    """
    data = settings.data
    if not data.train:
        raise UserError("there is no training data; give --train-data a file of pairs or a collection's folder")
    weights = data.weights()
    if len(weights) > 1 and data.val is not None:
        raise UserError("--val-data: several --train-data are scored on their own dev splits; leave it out")
    loaded = [_training_data(Path(path), settings) for path in weights]
    if len(loaded) == 1:
        return loaded[0]
    return mix([pairs for pairs, _ in loaded], list(weights.values())), _joined([dev for _, dev in loaded])


def _training_data(path: Path, settings: Settings) -> tuple[Pairs, DevTexts]:
    data = settings.data
    pairs = limit_negatives(load_pairs(path, "train", data.on_error, data.columns), settings.training.negatives)
    if settings.training.rows is not None:
        pairs = pairs.take(settings.training.rows, data.sample_seed)
    if data.val is not None:
        val = Path(data.val)
        if val.is_dir():
            return pairs, dev_from_collection(val, "dev", data)
        return pairs, dev_from_pairs(load_pairs(val, "dev", data.on_error, data.columns), data)
    if path.is_dir() and (path / "qrels" / "dev.tsv").is_file():
        return pairs, dev_from_collection(path, "dev", data)
    return _hold_out(pairs, data)


def _joined(devs: Sequence[DevTexts]) -> DevTexts:
    """Join the queries of several sources, with the documents of all."""
    queries, documents = Joined([dev.queries for dev in devs]), Joined([dev.documents for dev in devs])
    qrels = {
        str(int(query) + int(first_query)): {
            str(int(document) + int(first)) if document.isdecimal() else document: grade
            for document, grade in judged.items()
        }
        for dev, first_query, first in zip(devs, queries.starts, documents.starts, strict=False)
        for query, judged in dev.qrels.items()
    }
    source = {"parts": [dev.source for dev in devs], "queries": len(queries), "documents": len(documents)}
    return DevTexts(queries, documents, qrels, source, tuple(note for dev in devs for note in dev.notes))


def limit_negatives(pairs: Pairs, count: int | None) -> Pairs:
    """Keep the first `count` negatives of each pair; None keeps all."""
    return pairs if count is None else replace(pairs, negatives=pairs.negatives[:, :count])


def _hold_out(pairs: Pairs, data: DataSettings) -> tuple[Pairs, DevTexts]:
    queries = np.unique(pairs.anchor)
    count = min(_MOST_HELD_OUT, max(2, int(_HELD_OUT * len(queries))))
    if len(queries) < 2 * count:
        raise UserError(f"train: {len(queries)} queries are too few to hold some out; give --val-data")
    held = np.isin(pairs.anchor, np.random.default_rng(data.sample_seed).permutation(queries)[:count])
    note = f"there is no validation data; {count:,} of {len(queries):,} training queries are held out"
    dev = dev_from_pairs(pairs.where(held), data)
    return pairs.where(~held), replace(dev, notes=(note, *dev.notes))


def out_of_domain_texts(path: Path, data: DataSettings) -> DevTexts:
    """Read the dev queries of an out-of-domain collection, or its train queries, but never test queries.

    Raises:
        UserError: it has neither.
    """
    splits = Collection.open(path, on_error=data.on_error).splits()
    split = next((name for name in ("dev", "train") if name in splits), None)
    if split is None:
        raise UserError(
            f"--out-of-domain {path}: it has neither a dev nor a train split on which the weights can be chosen"
        )
    return dev_from_collection(path, split, data)


def general_texts(data: DataSettings) -> dict[str, list[JsonlTexts]]:
    """Open the general texts by source: a JSON Lines file, or a folder's corpus and, if it has any, queries.

    Raises:
        UserError: a source is missing or malformed.
    """
    found = {}
    for name in data.general:
        path = Path(name)
        if not path.exists():
            raise UserError(f"--general-data {name}: no such file or folder; give JSON Lines, or a collection")
        queries = path / "queries.jsonl"
        found[name] = [JsonlTexts(path if path.is_file() else path / CORPUS, titled=True, on_error=data.on_error)]
        if queries.is_file():
            found[name].append(JsonlTexts(queries, on_error=data.on_error))
    return found


def general_sources(general: dict[str, list[JsonlTexts]]) -> list[dict[str, object]]:
    """Return the entry on general texts for a manifest."""
    return [
        {
            "path": path,
            "split": "general",
            "rows": sum(map(len, parts)),
            "sha256": [file_sha256(part.path) for part in parts],
        }
        for path, parts in general.items()
    ]


def tell(texts: Iterable[DevTexts]) -> None:
    """Print how held-out queries and documents were chosen."""
    for note in (note for one in texts for note in one.notes):
        say(note)
