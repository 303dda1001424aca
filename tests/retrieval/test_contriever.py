"""Contriever as it stands on the hub: a pickle at its head, safetensors at the revision that the entry names."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hub import COMMIT, Hub
from ragcun.data.collection import Collection
from ragcun.embedding.known import KNOWN
from ragcun.evaluation.footnotes import settings_text
from ragcun.evaluation.results import slug
from ragcun.retrieval.runs import read_run


class Converted(Hub):
    """A hub whose repositories hold a pickle, and safetensors in a pull request."""

    def __init__(self, name: str, pickled: Path, converted: Path, commit: str) -> None:
        super().__init__({name: pickled})
        self._converted = Hub({name: converted})
        self._commit = commit

    def response(self, path: str) -> tuple[int, dict[str, str], bytes]:
        if self._commit not in path and "refs/pr/1" not in path:
            return super().response(path)
        status, headers, content = self._converted.response(path.replace("refs/pr/1", self._commit))
        if path.startswith("/api/"):
            content = content.replace(COMMIT.encode(), self._commit.encode())
        return status, {name: value.replace(COMMIT, self._commit) for name, value in headers.items()}, content


@pytest.fixture(scope="module")
def contriever(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT in the layout of facebook/contriever, with random weights."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    folder = tmp_path_factory.mktemp("contriever")
    tokenizer = AutoTokenizer.from_pretrained(tiny_model, model_max_length=512)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(3)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(tokenizer), initializer_range=0.5, **sizes)).save_pretrained(folder)
    return folder


def evaluate(model: str, collection: Path, folder: Path, endpoint: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ragcun", "eval", "beir", "--model", model, "--datasets", collection.name]
    command += ["--data-dir", str(collection.parent), "--output", str(folder / "results"), "--json"]
    variables = {"HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "hub"), "HF_HUB_OFFLINE": "0"}
    variables["RAGCUN_CACHE_DIR"] = str(folder / "cache")
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **variables})


IDENTIFY = """
import sys
from pathlib import Path
from ragcun.errors import UserError
from ragcun.retrieval.registry import identify
from ragcun.retrieval.retrievers import RetrieverOptions
for name in sys.argv[1:]:
    try:
        print(identify(name, RetrieverOptions(Path("unused"))).label)
    except UserError as error:
        print(error)
"""


def identify(names: list[str], folder: Path, endpoint: str) -> list[str]:
    variables = {"HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "other hub"), "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-c", IDENTIFY, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **variables})
    return done.stdout.splitlines()


@pytest.mark.long
def test_the_entry_loads_what_its_revision_holds_and_scores_means_by_dot_product(
    contriever: Path, collection: Path, tmp_path: Path
) -> None:
    from transformers import AutoModel, AutoTokenizer

    pickled = tmp_path / "pickled"
    shutil.copytree(contriever, pickled, ignore=shutil.ignore_patterns("*.safetensors"))
    (pickled / "pytorch_model.bin").write_bytes(b"a pickle")
    commit = str(KNOWN["contriever"].revision)
    with Converted("facebook/contriever", pickled, contriever, commit).serve() as hub:
        done = evaluate("contriever", collection, tmp_path, hub.url)
        assert done.returncode == 0, done.stderr
        assert not any("pytorch_model.bin" in request for request in hub.requests)
        refused, found = identify(["facebook/contriever", "facebook/contriever@refs/pr/1"], tmp_path, hub.url)
        assert "use it as facebook/contriever@refs/pr/1" in refused
        assert found == "contriever@refs/pr/1"
        assert not any("pytorch_model.bin" in request for request in hub.requests)

    (result,) = json.loads(done.stdout)["results"]
    settings = result["settings"]
    assert settings["model"] == f"facebook/contriever@{commit}"
    assert {name: settings[name] for name in ("pooling", "similarity", "max_length", "precision")} == {
        "pooling": "mean",
        "similarity": "dot",
        "max_length": 512,
        "precision": "fp32",
    }
    said = "mean pooling, 512 tokens, fp32, dot similarity, title joined with the text"
    assert said in settings_text(settings)

    tokenizer, bert = AutoTokenizer.from_pretrained(contriever), AutoModel.from_pretrained(contriever).eval()

    def embed(text: str) -> torch.Tensor:
        with torch.no_grad():
            return bert(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0)  # type: ignore[no-any-return]

    opened = Collection.open(collection)
    query = embed(opened.queries[opened.queries.rows(["q32"])[0]])
    expected = {id_: float(embed(text) @ query) for id_, text in zip(opened.corpus.ids(), opened.corpus, strict=True)}
    run = read_run(tmp_path / "results" / "cells" / slug("contriever") / "animals" / "test" / "run.trec")
    assert run["q32"] == pytest.approx(expected, rel=1e-4)
