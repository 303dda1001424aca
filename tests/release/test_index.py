"""An index and a graph for those who have no ragcun give the same vectors and the same ranking."""

import json
from pathlib import Path

import faiss
import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from ragcun.data.collection import Collection
from ragcun.embedding.embedder import Embedder
from ragcun.embedding.origin import name_to_load
from ragcun.embedding.resolve import resolve_model
from ragcun.release.index import write_index


@pytest.mark.parametrize("trained", [True, False])
def test_an_index_finds_what_the_model_finds(
    trained: bool, experiment: Path, tiny_model: Path, collection: Path, tmp_path: Path
) -> None:
    name = str(experiment if trained else tiny_model)
    documents = Collection.open(collection)
    write_index(Embedder(name, tmp_path / "store", device="cpu"), documents, tmp_path / "index")
    index = faiss.read_index(str(tmp_path / "index" / "index.faiss"))
    ids = json.loads((tmp_path / "index" / "ids.json").read_text("utf-8"))
    model = SentenceTransformer(str(resolve_model(name).path), device="cpu")
    asked = [documents.queries[row] for row in range(4)]
    queries = model.encode_query(asked, normalize_embeddings=not trained)
    _, rows = index.search(queries, 5)
    right = model.similarity(queries, model.encode_document(list(documents.corpus))).numpy()
    found = np.take_along_axis(right, rows, axis=1)
    np.testing.assert_allclose(found, -np.sort(-right, axis=1)[:, :5], rtol=1e-4, atol=1e-4)
    assert ids == list(documents.corpus.ids())
    readme = (tmp_path / "index" / "README.md").read_text("utf-8")
    assert ("normalize_embeddings=True" in readme) != trained


def test_a_snippet_loads_what_was_exported(
    experiment: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert name_to_load(resolve_model("minilm")) == "sentence-transformers/all-MiniLM-L6-v2"
    for model, path in ((experiment, f"{experiment.name}/model"), (tiny_model, tiny_model.name)):
        monkeypatch.chdir(model.parent)
        assert name_to_load(resolve_model(str(model))) == name_to_load(resolve_model(model.name)) == path
        assert SentenceTransformer(path, device="cpu").encode("a cat").shape


def test_a_graph_computes_the_same_embeddings(experiment: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from ragcun.release.onnx import write_onnx

    resolved = resolve_model(str(experiment))
    write_onnx(resolved, tmp_path / "onnx", "ours", "onnx")
    model = SentenceTransformer(str(resolved.path), device="cpu")
    session = onnxruntime.InferenceSession(str(tmp_path / "onnx" / "model.onnx"))
    for texts in (["a cat"], ["the large bear eats honey in the old tree", "owl", "a dog runs", "rain"]):
        tokens = {name: value.numpy() for name, value in model.preprocess(texts).items() if hasattr(value, "numpy")}
        (found,) = session.run(None, {given.name: tokens[given.name] for given in session.get_inputs()})
        np.testing.assert_allclose(found, model.encode(texts), rtol=1e-3, atol=1e-4)
