"""An encoder's ranking: kept while it is made, within the memory allowed."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense as Layer

from ragcun.embedding.embedder import Embedder, Vectors
from ragcun.errors import UserError
from ragcun.retrieval import dense
from ragcun.retrieval.checkpoint import Checkpoints
from ragcun.retrieval.registry import load_retriever
from ragcun.retrieval.retrievers import RetrieverOptions


def test_what_was_found_is_not_searched_again(
    tiny_model: Path, sentences: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGCUN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(dense, "Checkpoints", partial(Checkpoints, seconds=0))
    blocks: list[tuple[int, int]] = []
    block = Vectors.block

    def counted(self: Vectors, start: int, stop: int) -> np.ndarray:
        blocks.append((start, stop))
        return block(self, start, stop)

    monkeypatch.setattr(Vectors, "block", counted)
    rest = (5, np.arange(len(sentences)), np.full(7, -1))
    rankings, read = [], []
    for _ in range(2):
        retriever = load_retriever(str(tiny_model), RetrieverOptions(tmp_path / "store", device="cpu"))
        rankings.append(retriever.rank(sentences, sentences[:7], *rest))
        read.append(blocks.count((0, len(sentences))))
        blocks.clear()
    assert len(list((tmp_path / "cache" / "searches").iterdir())) == 1
    assert read == [2, 1]  # the sample of which the mean is taken, and then the block itself
    assert np.array_equal(rankings[0].rows, rankings[1].rows)
    assert np.array_equal(rankings[0].scores, rankings[1].scores)


def test_memory_that_holds_nothing_is_refused(tiny_model: Path, sentences: list[str], tmp_path: Path) -> None:
    retriever = load_retriever(str(tiny_model), RetrieverOptions(tmp_path / "store", device="cpu", memory=2**20))
    with pytest.raises(UserError, match=r"does not fit into the allowed memory.*--memory \d+MiB"):
        retriever.rank(sentences, sentences, 5, np.arange(len(sentences)), np.full(len(sentences), -1))


def test_fingerprints_tell_texts_prompts_and_heads_apart(
    tiny_model: Path, sentences: list[str], tmp_path: Path
) -> None:
    def fingerprint(model: Path, texts: list[str]) -> str:
        return Embedder(str(model), tmp_path / "store", device="cpu").documents(texts).fingerprint

    def with_head(name: str, activation: torch.nn.Module, prompt: str = "") -> Path:
        torch.manual_seed(0)
        model = SentenceTransformer(str(tiny_model), device="cpu")
        model.append(Layer(32, 8, activation_function=activation))
        model.prompts = {"document": prompt}
        model.save(str(tmp_path / name), create_model_card=False)
        return tmp_path / name

    heads = [with_head("one", torch.nn.Identity()), with_head("two", torch.nn.GELU())]
    heads.append(with_head("three", torch.nn.Identity(), "passage: "))
    found = [fingerprint(model, sentences) for model in (tiny_model, *heads)]
    found += [fingerprint(tiny_model, sentences[1:]), fingerprint(tiny_model, sentences[::-1])]
    assert len(set(found)) == len(found)
    assert fingerprint(heads[0], sentences) == found[1]


def test_a_vector_does_not_depend_on_those_that_are_read_with_it(
    tiny_model: Path, sentences: list[str], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = SentenceTransformer(str(tiny_model), device="cpu")
    model.append(Layer(32, 300, activation_function=torch.nn.GELU()))
    model.append(Layer(300, 200, activation_function=torch.nn.Identity()))
    model.save(str(tmp_path / "model"), create_model_card=False)
    texts = [f"{first} {second}" for first in sentences[:20] for second in sentences[:20]]
    vectors = Embedder(str(tmp_path / "model"), tmp_path / "store", device="cpu").documents(texts)
    together = vectors.block(0, 400)
    for count in (1, 3, 7, 100, 300):
        rows = np.random.default_rng(count).permutation(400)[:count]
        assert np.array_equal(vectors.rows(rows), together[rows])
