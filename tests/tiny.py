"""A tiny encoder, built from nothing that is downloaded, and a tiny collection."""

from pathlib import Path

# fmt: off
WORDS = [
    "a", "ant", "bear", "bees", "bird", "blue", "cat", "cold", "dark", "dog", "eagle", "eats", "fast", "fish",
    "flies", "frog", "green", "grows", "hawk", "honey", "horse", "hot", "ice", "in", "jumps", "large", "leaf",
    "likes", "lion", "long", "makes", "moon", "night", "of", "old", "on", "owl", "plant", "pond", "rain", "red",
    "river", "runs", "sea", "short", "sings", "sleeps", "slow", "small", "snow", "star", "sun", "swims", "the",
    "tree", "under", "warm", "water", "where", "which", "white", "wind", "wolf",
]
# fmt: on


def build_model(folder: Path) -> Path:
    """Save a sentence-transformers model: BERT with two layers of 32 dimensions, random weights, mean pooling, L2."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizer

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


def build_collection(folder: Path) -> Path:
    """Write a collection in BEIR's layout: 40 documents, 40 queries that share most of their words, three splits."""
    import random

    from ragcun.data.collection import write_collection

    draw = random.Random(1)  # noqa: S311
    documents = [draw.sample(WORDS, 9) for _ in range(40)]
    corpus = [(f"d{i}", "", " ".join(words)) for i, words in enumerate(documents)]
    queries = [(f"q{i}", " ".join([*draw.sample(words, 4), draw.choice(WORDS)])) for i, words in enumerate(documents)]
    splits = {"train": range(24), "dev": range(24, 32), "test": range(32, 40)}
    qrels = {split: [(f"q{i}", f"d{i}", 1) for i in rows] for split, rows in splits.items()}
    return write_collection(folder, corpus, queries, qrels)
