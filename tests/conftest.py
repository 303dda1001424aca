"""What several tests stand on: a tiny encoder built here, from nothing that is downloaded, and a tiny collection."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny tensors: threads would only wait for each other
os.environ["HF_HUB_OFFLINE"] = "1"

from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A cache folder that is neither the user's nor that of another worker of pytest-xdist."""
    os.environ["RAGCUN_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))


# fmt: off
WORDS = [
    "a", "ant", "bear", "bees", "bird", "blue", "cat", "cold", "dark", "dog", "eagle", "eats", "fast", "fish",
    "flies", "frog", "green", "grows", "hawk", "honey", "horse", "hot", "ice", "in", "jumps", "large", "leaf",
    "likes", "lion", "long", "makes", "moon", "night", "of", "old", "on", "owl", "plant", "pond", "rain", "red",
    "river", "runs", "sea", "short", "sings", "sleeps", "slow", "small", "snow", "star", "sun", "swims", "the",
    "tree", "under", "warm", "water", "where", "which", "white", "wind", "wolf",
]
# fmt: on


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved sentence-transformers model: BERT with two layers of 32 dimensions, random weights, mean pooling, L2."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("tiny")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.5,
    )
    BertModel(config).save_pretrained(folder / "bert")
    BertTokenizer(str(folder / "vocab.txt"), model_max_length=64).save_pretrained(folder / "bert")
    transformer = Transformer(str(folder / "bert"))
    model = SentenceTransformer(
        modules=[transformer, Pooling(transformer.get_embedding_dimension()), Normalize()], device="cpu"
    )
    model.save(str(folder / "model"), create_model_card=False)
    return folder / "model"


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    """Sixty different texts of two to twelve words."""
    import random

    draw = random.Random(0)  # noqa: S311
    return list(dict.fromkeys(" ".join(draw.choices(WORDS, k=draw.randint(2, 12))) for _ in range(60)))


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection in BEIR's layout: 40 documents, 40 queries that share most of their words, train, dev and test."""
    import random

    from ragcun.data.collection import write_collection

    draw = random.Random(1)  # noqa: S311
    documents = [draw.sample(WORDS, 9) for _ in range(40)]
    corpus = [(f"d{i}", "", " ".join(words)) for i, words in enumerate(documents)]
    queries = [(f"q{i}", " ".join([*draw.sample(words, 4), draw.choice(WORDS)])) for i, words in enumerate(documents)]
    splits = {"train": range(24), "dev": range(24, 32), "test": range(32, 40)}
    qrels = {split: [(f"q{i}", f"d{i}", 1) for i in rows] for split, rows in splits.items()}
    return write_collection(tmp_path_factory.mktemp("collections") / "animals", corpus, queries, qrels)
