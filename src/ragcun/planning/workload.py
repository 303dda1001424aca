"""The numbers of texts and tokens of a configuration. Data on disk are counted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ragcun.data.benchmark import Dataset, datasets
from ragcun.data.collection import Collection, is_collection
from ragcun.data.pairs import Pairs, load_pairs
from ragcun.data.pydocs import PYDOCS, SHARES
from ragcun.data.texts import Texts
from ragcun.errors import UserError
from ragcun.evaluation.tasks import OWN_SPLIT
from ragcun.mining.pairs import PairSettings
from ragcun.pipeline.steps import evaluation_folder
from ragcun.settings.schema import DataSettings, Settings, StageSettings
from ragcun.training.data import general_texts, limit_negatives

TOKENS_PER_WORD = 1.35  # for English with the presets' tokenizers
_SAMPLE = 500
_PASSAGE_QUERIES = 1_000
_DEV_SHARE = 0.05
_MOST_DEV = 1_000  # the maximum number of held-out queries
_MOST_RANKED = 20_000  # the maximum number of dev documents


@dataclass(frozen=True)
class TextLoad:
    """The number of distinct texts, and their mean number of tokens."""

    count: int
    tokens: float


@dataclass(frozen=True)
class PairLoad:
    """Training data.

    Attributes:
        queries, documents: the distinct texts in the pairs.
        negatives: the maximum number of negatives per pair.
        held_out: the queries and documents of dev.
        others: the texts of `held_out` that are not in the pairs.
        download: the bytes to download.
    """

    pairs: int
    queries: TextLoad
    documents: TextLoad
    held_out: tuple[TextLoad, TextLoad]
    others: tuple[TextLoad, TextLoad]
    download: int
    source: str
    negatives: int = 0

    @property
    def row(self) -> list[TextLoad]:
        """Return the texts of a pair: query, positive, negatives."""
        return [self.queries, *[self.documents] * (1 + self.negatives)]


@dataclass(frozen=True)
class CollectionLoad:
    """A collection to evaluate on."""

    name: str
    queries: TextLoad
    documents: TextLoad
    source: str


SAME_CORPUS = {"climate-fever": "fever", "fever": "climate-fever"}  # except for 25 documents
_MSMARCO_TRAIN = (532_751, 502_939, 516_472)  # the numbers of judged pairs, queries and passages
_MSMARCO_BYTES = 1_660_000_000  # corpus and queries of BeIR/msmarco as Parquet
_WIKI_SHARD = (11_685_147_288 // 41, 6_407_814 // 41)  # bytes and articles per shard of wikimedia/wikipedia
_CHARACTERS_PER_TOKEN = 4.4
_PYDOCS_QUERY_TOKENS = 15.5  # the mean length of a docstring's summary
_WIKI_QUERY_TOKENS = 28  # the mean length of a first sentence


def training_load(settings: Settings, stage: StageSettings, data: Sequence[str], limit: int) -> PairLoad:
    """Count the training data of `stage`: the pairs at each of `data` if given, otherwise its published source.

    Texts are cut to `limit` tokens.

    Raises:
        UserError: `data` is missing or malformed, or the stage has neither data nor a source.
    """
    paths: Sequence[str | None] = data or [None]
    loads = [_training_load(settings, stage, path, limit) for path in paths]
    return loads[0] if len(loads) == 1 else _together(loads)


def _together(loads: Sequence[PairLoad]) -> PairLoad:
    def both(texts: Iterable[TextLoad]) -> TextLoad:
        of = list(texts)
        count = sum(one.count for one in of)
        return TextLoad(count, sum(one.count * one.tokens for one in of) / max(1, count))

    return PairLoad(
        pairs=sum(load.pairs for load in loads),
        queries=both(load.queries for load in loads),
        documents=both(load.documents for load in loads),
        held_out=(both(load.held_out[0] for load in loads), both(load.held_out[1] for load in loads)),
        others=(both(load.others[0] for load in loads), both(load.others[1] for load in loads)),
        download=sum(load.download for load in loads),
        source="; ".join(load.source for load in loads),
        negatives=max(load.negatives for load in loads),
    )


def _training_load(settings: Settings, stage: StageSettings, data: str | None, limit: int) -> PairLoad:
    dev_rows = settings.data.dev_rows
    if data == PYDOCS:
        return _pydocs(settings.data)
    if data is not None:
        pairs = load_pairs(Path(data), "train", settings.data.on_error, settings.data.columns)
        if stage.rows is not None:
            pairs = pairs.take(stage.rows, settings.data.sample_seed)
        return _counted(limit_negatives(pairs, stage.negatives), Path(data), limit, dev_rows)
    if stage.source == "msmarco":
        whole = datasets()["msmarco"]
        most, queries, documents = _MSMARCO_TRAIN
        count = min(stage.rows or most, most)
        share = count / most
        query_tokens, document_tokens = (_published(words, limit) for words in whole.words)
        held_out = TextLoad(dev_rows, query_tokens), TextLoad(dev_rows, document_tokens)
        negatives = stage.negatives or 0
        return PairLoad(
            pairs=count,
            queries=TextLoad(round(queries * share), query_tokens),
            documents=TextLoad(min(round(documents * share) + negatives * count, whole.documents), document_tokens),
            held_out=held_out,
            others=held_out,
            download=_MSMARCO_BYTES,
            source="MS MARCO passage ranking, as BEIR counts it",
            negatives=negatives,
        )
    if stage.source == "wiki":
        passages = stage.rows or _WIKI_SHARD[1] * 41
        shards = min(41, -(-passages // _WIKI_SHARD[1]))
        train, val, _ = PairSettings().split
        query_tokens, document_tokens = _WIKI_QUERY_TOKENS, stage.passage_chars / _CHARACTERS_PER_TOKEN
        count, held = round(train * passages), min(dev_rows, round(val * passages))
        held_out = TextLoad(held, query_tokens), TextLoad(held, document_tokens - query_tokens)
        return PairLoad(
            pairs=count,
            queries=TextLoad(count, query_tokens),
            documents=TextLoad(count, document_tokens - query_tokens),
            held_out=held_out,
            others=held_out,
            download=shards * _WIKI_SHARD[0],
            source="wikimedia/wikipedia",
        )
    raise UserError("there is no training data; give --train-data a file of pairs or a collection's folder")


def general_loads(settings: Settings, limit: int) -> list[TextLoad]:
    """Count the general texts, which are encoded as documents. Raises `UserError` if some are missing or malformed."""
    there = tuple(name for name in settings.data.general if name != PYDOCS)
    parts = general_texts(settings.data.model_copy(update={"general": there})).values()
    loads = [TextLoad(len(texts), _tokens(texts, np.arange(len(texts)), limit)) for part in parts for texts in part]
    if PYDOCS in settings.data.general:
        documents = settings.data.pydocs_documents
        loads.append(TextLoad(documents, float(settings.data.pydocs_max_words)))
        loads.append(TextLoad(documents, _PYDOCS_QUERY_TOKENS))
    return loads


def collection_loads(dataset: Dataset | Path, settings: Settings, limit: int) -> list[CollectionLoad]:
    """Count the collections of a dataset on disk, or use published counts; texts are cut to `limit` tokens."""
    if isinstance(dataset, Path):
        return [_counted_collection(dataset.name, dataset, OWN_SPLIT, settings, limit) or _pydocs_collection(settings)]
    home = evaluation_folder(settings)
    return [
        _counted_collection(part.name, home / folder, part.split, settings, limit) or _published_load(part, limit)
        for folder, part in dataset.folders.items()
    ]


def passages_load(documents: int, limit: int) -> CollectionLoad:
    """Return a corpus of this many passages of MS MARCO's length, and 1,000 queries."""
    load = _published_load(datasets()["msmarco"], limit)
    return CollectionLoad(
        name="passages",
        queries=TextLoad(_PASSAGE_QUERIES, load.queries.tokens),
        documents=TextLoad(documents, load.documents.tokens),
        source="of MS MARCO's length",
    )


def _counted_collection(name: str, folder: Path, split: str, settings: Settings, limit: int) -> CollectionLoad | None:
    if not is_collection(folder):
        return None
    collection = Collection.open(folder, on_error="skip")
    rows = collection.queries.rows(sorted(collection.qrels(settings.evaluation.split or split)))
    everything = np.arange(len(collection.corpus))
    return CollectionLoad(
        name=name,
        queries=TextLoad(len(rows), _tokens(collection.queries, rows, limit)),
        documents=TextLoad(len(everything), _tokens(collection.corpus, everything, limit)),
        source="counted",
    )


def _published_load(dataset: Dataset, limit: int) -> CollectionLoad:
    query_words, document_words = dataset.words
    return CollectionLoad(
        name=dataset.name,
        queries=TextLoad(dataset.queries, _published(query_words, limit)),
        documents=TextLoad(dataset.documents, _published(document_words, limit)),
        source="published" if dataset.bring is None else "published; cannot be downloaded",
    )


def _pydocs_collection(settings: Settings) -> CollectionLoad:
    _, documents = _pydocs(settings.data).held_out
    queries = TextLoad(round(settings.data.pydocs_documents * SHARES["test"]), _PYDOCS_QUERY_TOKENS)
    return CollectionLoad(name=PYDOCS, queries=queries, documents=documents, source="about")


def _pydocs(data: DataSettings) -> PairLoad:
    documents, tokens = data.pydocs_documents, float(data.pydocs_max_words)  # about one token per allowed word
    train, dev = (TextLoad(round(documents * SHARES[split]), _PYDOCS_QUERY_TOKENS) for split in ("train", "dev"))
    return PairLoad(
        pairs=train.count,
        queries=train,
        documents=TextLoad(train.count, tokens),
        held_out=(dev, TextLoad(documents, tokens)),
        others=(dev, TextLoad(documents - train.count, tokens)),
        download=0,
        source=PYDOCS,
    )


def _counted(pairs: Pairs, path: Path, limit: int, dev_rows: int) -> PairLoad:
    queries = np.unique(pairs.anchor)
    documents = np.unique(np.concatenate([pairs.positive, pairs.negatives[pairs.negatives >= 0]]))
    query_tokens = _tokens(pairs.queries, queries, limit)
    document_tokens = _tokens(pairs.documents, documents, limit)
    if path.is_dir() and (path / "qrels" / "dev.tsv").is_file():
        collection = Collection.open(path, on_error="skip")
        ranked = min(_MOST_RANKED, len(collection.corpus))
        held = (
            TextLoad(min(dev_rows, len(collection.qrels("dev"))), query_tokens),
            TextLoad(ranked, document_tokens),
        )
        others = held[0], TextLoad(max(0, ranked - len(documents)), document_tokens)
    else:
        count = min(_MOST_DEV, max(2, int(_DEV_SHARE * len(queries))))
        held = TextLoad(count, query_tokens), TextLoad(count, document_tokens)
        others = TextLoad(0, 0), TextLoad(0, 0)
    return PairLoad(
        pairs=len(pairs),
        queries=TextLoad(len(queries), query_tokens),
        documents=TextLoad(len(documents), document_tokens),
        held_out=held,
        others=others,
        download=0,
        source=f"{path}, counted",
        negatives=pairs.negatives.shape[1],
    )


def _published(words: float, limit: int) -> float:
    return min(words * TOKENS_PER_WORD + 2, limit)


def _tokens(texts: Texts, rows: npt.NDArray[np.int64], limit: int) -> float:
    sample = np.random.default_rng(0).permutation(rows)[:_SAMPLE].tolist()
    lengths = (min(len(texts[row].split()) * TOKENS_PER_WORD + 2, limit) for row in sample)
    return sum(lengths) / max(1, len(sample))
