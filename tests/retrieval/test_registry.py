"""Names: what each stands for, what its options change, what is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from ragcun.embedding.known import KNOWN
from ragcun.embedding.resolve import resolve_model
from ragcun.errors import UserError
from ragcun.retrieval.registry import encoder, identify, load_retriever
from ragcun.retrieval.retrievers import Retriever, RetrieverOptions


@pytest.fixture
def encoding(tmp_path: Path) -> RetrieverOptions:
    return RetrieverOptions(tmp_path / "store", device="cpu")


@pytest.fixture(scope="module")
def plain_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transformers model without sentence-transformers' files."""
    folder = tmp_path_factory.mktemp("plain") / "plain"
    left_out = shutil.ignore_patterns("*_Pooling", "*_Normalize", "modules.json", "*sentence*", "README.md")
    return Path(shutil.copytree(tiny_model, folder, ignore=left_out))


def scores(retriever: Retriever, corpus: list[str], query: str) -> list[float]:
    found = retriever.rank(corpus, [query], len(corpus), np.arange(len(corpus)), np.array([-1]))
    by_row = dict(zip(found.rows[0].tolist(), found.scores[0].tolist(), strict=True))
    return [by_row[row] for row in range(len(corpus))]


def test_bm25_takes_its_parameters(encoding: RetrieverOptions) -> None:
    assert identify("bm25", encoding).label == "BM25"
    other = identify("bm25:k1=1.2,b=0.75", encoding)
    assert other.label == "BM25 (k1 = 1.2, b = 0.75)"
    assert (other.inputs["k1"], other.inputs["b"]) == (1.2, 0.75)
    assert load_retriever("bm25:b=0.75", encoding).describe()["k1"] == 0.9
    corpus = ["red fox", "red fox red fox red fox red", "blue"]
    flat = load_retriever("bm25:b=0,k1=0", encoding).rank(corpus, ["red"], 2, np.arange(3), np.array([-1]))
    assert flat.scores[0, 0] == pytest.approx(flat.scores[0, 1], rel=1e-6)  # neither length nor frequency counts


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bm25:k2=1", "has no option 'k2'; its options are k1, b"),
        ("bm25:k1=much", "k1=much is not a number"),
        ("bm25:k1=nan", "must be 0 or more"),
        ("bm25:b=1.5", "b from 0 to 1"),
        ("minilm:pooling=average", "pooling 'average' is unknown; choose one of mean, cls"),
        ("minilm:similarity=manhattan", "similarity 'manhattan' is unknown"),
        ("openai:m:pooling=cls", "no option 'pooling'"),
        ("openai:", "openai:MODEL@DIMENSIONS"),
        ("openai:m@many", "openai:MODEL@DIMENSIONS"),
        ("bm52", r"bm52: no such model \(did you mean bm25\?\)"),
        ("Ours=minilmm", r"minilmm: no such model \(did you mean minilm\?\)"),
        ("rrf:bm25+contreiver", r"did you mean contriever\?"),
        ("rrf:bm25", "must name two"),
        ("rrf:bm25+bm25+bm25", "must name two"),
    ],
)
def test_what_is_refused(name: str, said: str, encoding: RetrieverOptions) -> None:
    with pytest.raises(UserError, match=said.replace("[", r"\[")):
        identify(name, encoding)


def test_short_names_stand_for_hub_ids_with_full_revisions() -> None:
    assert set(KNOWN) == {"minilm", "mpnet", "contriever", "contriever-msmarco"}
    for name, known in KNOWN.items():
        assert known.hub.count("/") == 1
        assert known.revision is None or len(bytes.fromhex(known.revision)) == 20
        found = encoder(f"Ours={name.upper()}")
        assert found is not None
        assert (found.recipe, found.label) == (known.recipe, "Ours")
    assert encoder("bm25") is None


def test_an_api_model_is_its_endpoint_name_and_dimensions(tmp_path: Path) -> None:
    encoding = RetrieverOptions(tmp_path, api_url="http://host/v1/")
    found = identify("openai:m@512:query=find: a, b,document=text: ", encoding)
    assert found.label == "m@512 (query = find: a, b, document = text: )"
    assert (found.inputs["endpoint"], found.inputs["model"], found.inputs["dimensions"]) == ("http://host/v1", "m", 512)
    assert found.inputs["recipe"]["query"] == "find: a, b"
    assert found.inputs["recipe"]["document"] == "text: "


def test_a_plain_model_has_stated_defaults_which_options_override(
    plain_model: Path, encoding: RetrieverOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoModel, AutoTokenizer

    corpus = ["the cat runs", "a small bird sings in the tree", "snow"]
    tokenizer, bert = AutoTokenizer.from_pretrained(plain_model), AutoModel.from_pretrained(plain_model).eval()

    def tokens(text: str) -> torch.Tensor:
        with torch.no_grad():
            return bert(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]  # type: ignore[no-any-return]

    default = load_retriever(str(plain_model), encoding)
    assert "using mean pooling and cosine similarity" in capsys.readouterr().err
    assert (default.describe()["pooling"], default.describe()["similarity"]) == ("mean", "cosine")
    query, documents = tokens("cat").mean(0), torch.stack([tokens(text).mean(0) for text in corpus])
    assert scores(default, corpus, "cat") == pytest.approx(torch.cosine_similarity(query, documents).tolist(), abs=1e-5)

    name = f"{plain_model}:pooling=cls,similarity=dot,query=owl "
    other = load_retriever(name, encoding)
    assert "are taken" not in capsys.readouterr().err
    described = other.describe()
    assert (described["pooling"], described["similarity"], described["prompts"]["query"]) == ("cls", "dot", "owl ")
    assert other.label == identify(name, encoding).label != default.label
    query, documents = tokens("owl cat")[0], torch.stack([tokens(text)[0] for text in corpus])
    assert scores(other, corpus, "cat") == pytest.approx((documents @ query).tolist(), rel=1e-4)


def test_fusion_names_both_and_changes_with_either(tiny_model: Path, encoding: RetrieverOptions) -> None:
    name = f"rrf:bm25+{tiny_model}"
    found = identify(name, encoding)
    assert (
        found.label == f"RRF of BM25 and {resolve_model(str(tiny_model)).label}" == load_retriever(name, encoding).label
    )
    assert identify(f"Ours={name}", encoding).label == "Ours" == load_retriever(f"Ours={name}", encoding).label
    assert identify(f"Ours={name}", encoding).inputs == found.inputs
    assert found.inputs != identify(f"rrf:bm25:b=0.5+{tiny_model}", encoding).inputs
    assert found.inputs != identify(name, RetrieverOptions(encoding.store, "bf16")).inputs


def test_bm25_takes_a_language(encoding: RetrieverOptions) -> None:
    german = identify("bm25:language=german,b=0.5", encoding)
    assert german.label == "BM25 (k1 = 0.9, b = 0.5, language = german)"
    assert german.inputs["stop_words"] == "bm25s' german"
    assert identify("bm25:language=tamil", encoding).inputs["stop_words"] == "no"
