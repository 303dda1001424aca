"""What a configuration asks for: how many texts of how many tokens. Data that is here is counted."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ragcun.data.benchmark import Dataset, find_dataset
from ragcun.data.collection import Collection
from ragcun.data.pairs import Pairs, load_pairs
from ragcun.data.pydocs import SHARES
from ragcun.data.texts import Texts
from ragcun.errors import UserError
from ragcun.evaluation.tasks import OWN_SPLIT
from ragcun.mining.pairs import PairSettings
from ragcun.pipeline.steps import PYDOCS, evaluation_folder
from ragcun.settings.schema import DataSettings, Settings, StageSettings
from ragcun.training.data import limit_negatives

TOKENS_PER_WORD = 1.35  # of English under the presets' tokenizers
_SAMPLE = 500
_DEV_SHARE = 0.05
_MOST_DEV = 1_000  # held out of pairs
_MOST_SCORED = 2_000  # queries that dev is scored with
_MOST_RANKED = 20_000  # documents


@dataclass(frozen=True)
class TextLoad:
    """`count` different texts of `tokens` tokens on average."""

    count: int
    tokens: float


@dataclass(frozen=True)
class PairLoad:
    """Training data.

    Attributes:
        queries, documents: the different texts in the pairs.
        negatives: of each pair, at most.
        held_out: queries and documents that dev is scored with.
        others: texts of `held_out` that are not in the pairs.
        download: bytes.
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
        """The texts of a pair: query, positive, negatives."""
        return [self.queries, *[self.documents] * (1 + self.negatives)]


@dataclass(frozen=True)
class CollectionLoad:
    """A collection to evaluate on."""

    name: str
    queries: TextLoad
    documents: TextLoad
    source: str


# Mean words of queries and documents (Thakur et al., arXiv 2104.08663, Table 1).
WORDS = {
    "msmarco": (5.96, 55.98),
    "trec-covid": (10.60, 160.77),
    "bioasq": (8.05, 202.61),
    "nfcorpus": (3.30, 232.26),
    "nq": (9.16, 78.88),
    "hotpotqa": (17.61, 46.30),
    "fiqa": (10.77, 132.32),
    "signal1m": (9.30, 13.93),
    "trec-news": (11.14, 634.79),
    "robust04": (15.27, 466.40),
    "arguana": (192.98, 166.80),
    "webis-touche2020": (6.55, 292.37),
    "cqadupstack": (8.59, 129.09),
    "quora": (9.53, 11.44),
    "dbpedia-entity": (5.39, 49.68),
    "scidocs": (9.38, 176.19),
    "fever": (8.13, 84.76),
    "climate-fever": (20.13, 84.76),
    "scifact": (12.37, 213.63),
}
SAME_CORPUS = {"climate-fever": "fever", "fever": "climate-fever"}  # but for 25 documents
_MSMARCO_BYTES = 1_660_000_000  # BeIR/msmarco: corpus and queries as parquet
_WIKI_SHARD = (11_685_147_288 // 41, 6_407_814 // 41)  # bytes and articles of one of wikimedia/wikipedia's 41 shards
_CHARACTERS_PER_TOKEN = 4.4
_PYDOCS_QUERY_TOKENS = 15.5  # of a docstring's summary
_WIKI_QUERY_TOKENS = 28  # a first sentence


def training_load(settings: Settings, stage: StageSettings, data: str | None, limit: int) -> PairLoad:
    """What `stage` trains on: the pairs at `data` where it is given, else its source as published.

    Texts are cut to `limit` tokens.

    Raises:
        UserError: `data` is missing or malformed, or the stage has neither data nor a source to download.
    """
    if data == PYDOCS:
        return _pydocs(settings.data)
    if data is not None:
        pairs = load_pairs(Path(data), "train", on_error=settings.data.on_error)
        if stage.rows is not None:
            pairs = pairs.take(stage.rows, settings.data.sample_seed)
        return _counted(limit_negatives(pairs, stage.negatives), Path(data), limit)
    if stage.source == "msmarco":
        pairs_count = min(stage.rows or 532_751, 532_751)
        share = pairs_count / 532_751
        query_tokens, document_tokens = (_published(words, limit) for words in WORDS["msmarco"])
        held_out = TextLoad(_MOST_SCORED, query_tokens), TextLoad(_MOST_SCORED, document_tokens)
        negatives = stage.negatives or 0
        return PairLoad(
            pairs_count,
            TextLoad(round(502_939 * share), query_tokens),
            TextLoad(min(round(516_472 * share) + negatives * pairs_count, 8_841_823), document_tokens),
            held_out,
            held_out,
            _MSMARCO_BYTES,
            "MS MARCO passage ranking, as BEIR counts it",
            negatives,
        )
    if stage.source == "wiki":
        passages = stage.rows or _WIKI_SHARD[1] * 41
        shards = min(41, -(-passages // _WIKI_SHARD[1]))
        tokens = stage.passage_chars / _CHARACTERS_PER_TOKEN
        pairs_count = round(PairSettings().split[0] * passages)
        texts = TextLoad(pairs_count, _WIKI_QUERY_TOKENS), TextLoad(pairs_count, tokens - _WIKI_QUERY_TOKENS)
        held = min(_MOST_SCORED, round(PairSettings().split[1] * passages))
        held_out = TextLoad(held, texts[0].tokens), TextLoad(held, texts[1].tokens)
        download = shards * _WIKI_SHARD[0]
        return PairLoad(pairs_count, *texts, held_out, held_out, download, "wikimedia/wikipedia")
    raise UserError("no training data; give --train-data a pairs file or a collection's folder")


def collection_load(dataset: Dataset | Path, settings: Settings, limit: int) -> CollectionLoad:
    """A collection as it lies on disk, or as published; texts are cut to `limit` tokens."""
    home = dataset if isinstance(dataset, Path) else evaluation_folder(settings) / dataset.name
    if (home / "corpus.jsonl").is_file():
        collection = Collection.open(home, on_error="skip")
        split = settings.evaluation.split or (OWN_SPLIT if isinstance(dataset, Path) else dataset.split)
        rows = collection.queries.rows(sorted(collection.qrels(split)))
        everything = np.arange(len(collection.corpus))
        return CollectionLoad(
            dataset.name,
            TextLoad(len(rows), _tokens(collection.queries, rows, limit)),
            TextLoad(len(everything), _tokens(collection.corpus, everything, limit)),
            "counted",
        )
    if isinstance(dataset, Path):
        load = _pydocs(settings.data)
        queries = TextLoad(round(settings.data.pydocs_documents * SHARES["test"]), _PYDOCS_QUERY_TOKENS)
        return CollectionLoad(dataset.name, queries, load.held_out[1], "about")
    whole = find_dataset(dataset.name.removeprefix("nano-")) or dataset
    query_words, document_words = WORDS[whole.name]
    return CollectionLoad(
        dataset.name,
        TextLoad(dataset.queries, _published(query_words, limit)),
        TextLoad(dataset.documents, _published(document_words, limit)),
        "published",
    )


def _pydocs(data: DataSettings) -> PairLoad:
    documents, tokens = data.pydocs_documents, float(data.pydocs_max_words)  # about one token for each word allowed
    train, dev = (TextLoad(round(documents * SHARES[split]), _PYDOCS_QUERY_TOKENS) for split in ("train", "dev"))
    rest = TextLoad(documents - train.count, tokens)
    held_out = dev, TextLoad(documents, tokens)
    return PairLoad(train.count, train, TextLoad(train.count, tokens), held_out, (dev, rest), 0, PYDOCS)


def _counted(pairs: Pairs, path: Path, limit: int) -> PairLoad:
    queries = np.unique(pairs.anchor)
    documents = np.unique(np.concatenate([pairs.positive, pairs.negatives[pairs.negatives >= 0]]))
    query_tokens = _tokens(pairs.queries, queries, limit)
    document_tokens = _tokens(pairs.documents, documents, limit)
    loads = TextLoad(len(queries), query_tokens), TextLoad(len(documents), document_tokens)
    if path.is_dir() and (path / "qrels" / "dev.tsv").is_file():
        collection = Collection.open(path, on_error="skip")
        ranked = min(_MOST_RANKED, len(collection.corpus))
        held = (
            TextLoad(min(_MOST_SCORED, len(collection.qrels("dev"))), query_tokens),
            TextLoad(ranked, document_tokens),
        )
        others = held[0], TextLoad(max(0, ranked - len(documents)), document_tokens)
    else:
        count = min(_MOST_DEV, max(2, int(_DEV_SHARE * len(queries))))
        held = TextLoad(count, query_tokens), TextLoad(count, document_tokens)
        others = TextLoad(0, 0), TextLoad(0, 0)
    return PairLoad(len(pairs), *loads, held, others, 0, f"{path}, counted", pairs.negatives.shape[1])


def _published(words: float, limit: int) -> float:
    return min(words * TOKENS_PER_WORD + 2, limit)


def _tokens(texts: Texts, rows: npt.NDArray[np.int64], limit: int) -> float:
    sample = np.random.default_rng(0).permutation(rows)[:_SAMPLE].tolist()
    lengths = (min(len(texts[row].split()) * TOKENS_PER_WORD + 2, limit) for row in sample)
    return sum(lengths) / max(1, len(sample))
