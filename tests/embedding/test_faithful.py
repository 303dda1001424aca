"""An encoder is what its own files say: it gives what sentence-transformers' own methods give, or is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Router
from sentence_transformers.sentence_transformer.modules import (
    CNN,
    LSTM,
    BoW,
    Dense,
    LayerNorm,
    Normalize,
    Pooling,
    StaticEmbedding,
    Transformer,
    WeightedLayerPooling,
    WordEmbeddings,
)
from sentence_transformers.sentence_transformer.modules.tokenizer import WhitespaceTokenizer
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification, T5Config, T5EncoderModel

from ragcun.embedding.embedder import Embedder
from ragcun.errors import RagcunError, UserError

Build = Callable[[Path, Path], SentenceTransformer]
QUERIES = ["where is the owl", "honey", "which bird sings under the old tree at night"]
DOCUMENTS = ["the owl sleeps in the old tree", "bees make honey", "the hawk flies fast " * 9]


def transformer(tiny: Path, **options: Any) -> Transformer:
    return Transformer(str(tiny), **options)


def pooled(tiny: Path, mode: str = "mean", **options: Any) -> list[Any]:
    return [transformer(tiny, **options), Pooling(32, mode)]


def static(tiny: Path) -> StaticEmbedding:
    torch.manual_seed(3)
    return StaticEmbedding(AutoTokenizer.from_pretrained(tiny)._tokenizer, embedding_dim=16)


def other(modules: list[Any]) -> list[Any]:
    """The same modules with other weights."""
    with torch.no_grad():
        for weights in modules[0].parameters():
            weights.add_(0.1)
    return modules


def t5(tiny: Path, folder: Path) -> SentenceTransformer:
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    tokenizer.model_max_length = int(1e30)
    config = T5Config(vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4)
    T5EncoderModel(config).save_pretrained(folder / "t5")
    tokenizer.save_pretrained(folder / "t5")
    return SentenceTransformer(modules=pooled(folder / "t5"), device="cpu")


def words(tiny: Path, _: Path) -> SentenceTransformer:
    vocabulary = ["owl", "tree", "honey", "bees", "hawk"]
    weights = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32)
    return SentenceTransformer(modules=[WordEmbeddings(WhitespaceTokenizer(vocabulary), weights), Pooling(8, "mean")])


MODELS: dict[str, Build] = {
    "router": lambda tiny, _: SentenceTransformer(
        modules=[Router.for_query_document(pooled(tiny), other(pooled(tiny)))]
    ),
    "router at the end": lambda tiny, _: SentenceTransformer(
        modules=[*pooled(tiny), Router.for_query_document([Dense(32, 8)], [Dense(32, 8)])]
    ),
    "router of a static and a dense way": lambda tiny, _: SentenceTransformer(
        modules=[Router.for_query_document([static(tiny), Dense(16, 32)], pooled(tiny))]
    ),
    "truncated": lambda tiny, _: SentenceTransformer(modules=pooled(tiny), truncate_dim=8),
    "truncated behind a head": lambda tiny, _: SentenceTransformer(
        modules=[*pooled(tiny), Dense(32, 16)], truncate_dim=4
    ),
    "static": lambda tiny, _: SentenceTransformer(modules=[static(tiny)]),
    "static, normalised": lambda tiny, _: SentenceTransformer(modules=[static(tiny), Normalize()]),
    "bag of words": lambda *_: SentenceTransformer(modules=[BoW(["owl", "tree", "honey", "hawk"]), Dense(4, 3)]),
    "word embeddings": words,
    "no length limit": t5,
    "cut at the left": lambda tiny, _: SentenceTransformer(
        modules=pooled(tiny, max_seq_length=6, processor_kwargs={"truncation_side": "left"})
    ),
    "cut at the right": lambda tiny, _: SentenceTransformer(modules=pooled(tiny, max_seq_length=6)),
    "padded at the left": lambda tiny, _: SentenceTransformer(
        modules=pooled(tiny, processor_kwargs={"padding_side": "left"})
    ),
    "padded at the left, last token": lambda tiny, _: SentenceTransformer(
        modules=pooled(tiny, "lasttoken", processor_kwargs={"padding_side": "left"})
    ),
    "a convolution": lambda tiny, _: SentenceTransformer(modules=[transformer(tiny), CNN(32, 8), Pooling(24, "max")]),
    "recurrent": lambda *given: SentenceTransformer(modules=[words(*given)[0], LSTM(8, 4), Pooling(8, "mean")]),
    "weighted layers": lambda tiny, _: SentenceTransformer(
        modules=[
            transformer(tiny, config_kwargs={"output_hidden_states": True}),
            WeightedLayerPooling(32, num_hidden_layers=2, layer_start=1),
            Pooling(32, ("cls", "mean")),
        ]
    ),
    "normalised in the middle": lambda tiny, _: SentenceTransformer(
        modules=[*pooled(tiny, "weightedmean"), Normalize(), Dense(32, 16, bias=False), LayerNorm(16)]
    ),
    "router of two lengths": lambda tiny, _: SentenceTransformer(
        modules=[Router.for_query_document(pooled(tiny, max_seq_length=5), pooled(tiny, max_seq_length=9))]
    ),
    "first token": lambda tiny, _: SentenceTransformer(modules=pooled(tiny, "cls")),
    "prompts": lambda tiny, _: SentenceTransformer(
        modules=pooled(tiny), prompts={"query": "the owl ", "document": "bees "}
    ),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all models: what tells them apart is their keys."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def build(tiny_model: Path, tmp_path: Path) -> Callable[[str], Path]:
    def saved(name: str) -> Path:
        torch.manual_seed(1)
        model = MODELS[name](tiny_model, tmp_path)
        model.save_pretrained(str(tmp_path / "model"), create_model_card=False)
        return tmp_path / "model"

    return saved


@pytest.mark.parametrize("name", MODELS)
def test_vectors_are_those_of_sentence_transformers(name: str, build: Callable[[str], Path], store: Path) -> None:
    folder = build(name)
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    embedder = Embedder(str(folder), store)
    for vectors, expected in (
        (embedder.queries(QUERIES), model.encode_query(QUERIES, batch_size=1)),
        (embedder.documents(DOCUMENTS), model.encode_document(DOCUMENTS, batch_size=1)),
    ):
        found = vectors.block(0, len(vectors))
        assert found.shape == expected.shape == (len(vectors), embedder.dimension)
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
        np.testing.assert_array_equal(vectors.rows(np.array([2, 0])), found[[2, 0]])
    json.dumps(embedder.describe(), allow_nan=False)


def test_a_vector_that_depends_on_padding_has_none(
    tiny_model: Path, tmp_path: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = SentenceTransformer(modules=pooled(tiny_model, processor_kwargs={"padding_side": "left"}))
    model.save_pretrained(str(tmp_path / "model"), create_model_card=False)
    embedder = Embedder(str(tmp_path / "model"), store)
    texts = [*DOCUMENTS, *(f"owl {text}" for text in QUERIES), "the owl", "a bee", "honey"]
    together = model.encode_document(texts)
    alone = model.encode_document(texts, batch_size=1)
    assert np.abs(together - alone).max() > 0.01
    np.testing.assert_allclose(embedder.documents(texts).block(0, len(texts)), alone, atol=1e-5)
    assert "its vectors depend on padding" in capsys.readouterr().err
    assert "depend on padding" not in (Embedder(str(tiny_model), store) and capsys.readouterr().err)


def test_modules_that_do_not_fit_are_refused(tiny_model: Path, tmp_path: Path, store: Path) -> None:
    model = SentenceTransformer(modules=[transformer(tiny_model), LSTM(32, 8), Pooling(16, "mean")])
    model.save_pretrained(str(tmp_path / "model"), create_model_card=False)
    with pytest.raises(UserError, match=r"its modules cannot compute a vector .*sentence_lengths"):
        Embedder(str(tmp_path / "model"), store)


def test_a_router_without_the_role_takes_its_default_way(tiny_model: Path, tmp_path: Path, store: Path) -> None:
    vectors = []
    for mode in ("mean", "cls"):
        router = Router({"default": pooled(tiny_model, mode)}, default_route="default")
        SentenceTransformer(modules=[router]).save_pretrained(str(tmp_path / mode), create_model_card=False)
        model = SentenceTransformer(str(tmp_path / mode), device="cpu", local_files_only=True)
        vectors.append(Embedder(str(tmp_path / mode), store).queries(QUERIES).block(0, 3))
        np.testing.assert_allclose(vectors[-1], model.encode(QUERIES), atol=1e-5)
    assert np.abs(vectors[0] - vectors[1]).max() > 0.01


def test_a_prompt_that_the_library_shadows_is_told(
    tiny_model: Path, tmp_path: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = SentenceTransformer(modules=pooled(tiny_model), prompts={"query": "q: ", "passage": "bees "})
    model.save_pretrained(str(tmp_path / "model"), create_model_card=False)
    Embedder(str(tmp_path / "model"), store)
    assert "its prompt 'bees ' for the passage is not used" in " ".join(capsys.readouterr().err.split())


def _without_vocabulary(folder: Path) -> None:
    for name in ("tokenizer.json", "vocab.txt"):
        (folder / name).unlink(missing_ok=True)


def _renamed_weights(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    renamed = {name.replace("encoder.layer.1.", "encoder.lager.1."): w for name, w in weights.items()}
    assert renamed.keys() != weights.keys()
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})


def _configured(name: str, **values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def _pickled(folder: Path) -> None:
    save_file({"decoy": torch.zeros(1)}, folder / "2_Dense" / "decoy.safetensors")
    (folder / "2_Dense" / "model.safetensors").rename(folder / "2_Dense" / "pytorch_model.bin")


def _stray_index(folder: Path) -> None:
    index = {"metadata": {}, "weight_map": {"a": "../../other.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _renamed(name: str, old: str, new: str, *, file: str = "model.safetensors") -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        weights = load_file(folder / name / file)
        save_file({key.replace(old, new): w for key, w in weights.items()}, folder / name / file, {"format": "pt"})

    return change


def _left_over(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file(weights | {"projection.weight": torch.ones(2, 2)}, folder / "model.safetensors", {"format": "pt"})


def _index_of_pickles(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "weights.bin")
    index = {"metadata": {}, "weight_map": dict.fromkeys(weights, "weights.bin")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _narrow_head(folder: Path) -> None:
    _configured("2_Dense/config.json", in_features=16)(folder)
    weights = load_file(folder / "2_Dense" / "model.safetensors")
    narrow = {key: w[:, :16].contiguous() if w.ndim == 2 else w for key, w in weights.items()}
    save_file(narrow, folder / "2_Dense" / "model.safetensors", {"format": "pt"})


def _without_head(**pooling: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        modules = json.loads((folder / "modules.json").read_text())
        (folder / "modules.json").write_text(json.dumps(modules[:2]))
        _configured("1_Pooling/config.json", **pooling)(folder)

    return change


def _late_interaction(folder: Path) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    modules[1:] = [{"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"}]
    (folder / "modules.json").write_text(json.dumps(modules))


def _kind(kind: str) -> Callable[[Path], None]:
    return _configured("config_sentence_transformers.json", model_type=kind)


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "weights missing": (_renamed_weights, "weights are missing"),
    "fewer layers than weights": (_configured("config.json", num_hidden_layers=1), "in the file but not in the conf"),
    "more layers than weights": (_configured("config.json", num_hidden_layers=3), "weights are missing"),
    "another width": (_configured("config.json", intermediate_size=96), "another shape|size mismatch|mismatch"),
    "no vocabulary": (_without_vocabulary, "has no vocabulary"),
    "an activation that is not torch's": (
        _configured("2_Dense/config.json", activation_function="mine.Swish"),
        "'mine.Swish', which is not one of torch's",
    ),
    "a module's weights gone": (lambda f: (f / "2_Dense" / "model.safetensors").unlink(), "2_Dense has no weights"),
    "modules.json is null": (lambda f: (f / "modules.json").write_text("null") and None, "not a list of modules"),
    "a pickle with a decoy beside it": (_pickled, "would have to be unpickled"),
    "an index that leaves the folder": (_stray_index, "points out of its folder"),
    "an index that names a pickle": (_index_of_pickles, "'weights.bin', which would have to be unpickled"),
    "weights left over": (_left_over, "in the file but not in the configuration, such as projection.weight"),
    "a head that does not fit": (_narrow_head, "its modules cannot compute a vector"),
    "a head's weights renamed": (_renamed("2_Dense", "linear", "liner"), "cannot be loaded"),
    "other dimensions than stated": (_without_head(embedding_dimension=16), "vectors have 32 dim.* files say 16"),
    "no dimension": (_configured("config_sentence_transformers.json", truncate_dim=0), "its truncate_dim is 0"),
    "PyLate's": (_late_interaction, "a multi-vector"),
    "a cross-encoder": (_kind("CrossEncoder"), "a cross-encoder"),
    "a sparse encoder": (_kind("SparseEncoder"), "a sparse encoder"),
    "a multi-vector model": (_kind("MultiVectorEncoder"), "a multi-vector"),
}


@pytest.fixture(scope="module")
def sound(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound") / "model"
    SentenceTransformer(modules=[*pooled(tiny_model), Dense(32, 8)]).save_pretrained(
        str(folder), create_model_card=False
    )
    return folder


@pytest.mark.parametrize("name", DAMAGE)
def test_what_is_not_whole_or_of_another_kind_is_refused(name: str, sound: Path, tmp_path: Path, store: Path) -> None:
    damage, said = DAMAGE[name]
    shutil.copytree(sound, tmp_path / "model")
    Embedder(str(tmp_path / "model"), store)
    damage(tmp_path / "model")
    with pytest.raises(UserError, match=said):
        Embedder(str(tmp_path / "model"), store)


def test_heads_of_other_tasks_are_left_unused(sound: Path, tmp_path: Path, store: Path) -> None:
    shutil.copytree(sound, tmp_path / "model")
    names = ("cls.predictions.bias", "multiple_choice_head.summary.bias", "lm_loss.bias", "pred_layer.proj.bias")
    heads = {name: torch.ones(2) for name in (*names, "final_logits_bias", "pooler.dense.weight")}
    weights = load_file(tmp_path / "model" / "model.safetensors")
    save_file(heads | weights, tmp_path / "model" / "model.safetensors", {"format": "pt"})
    ours, whole = (Embedder(str(one), store).queries(QUERIES) for one in (tmp_path / "model", sound))
    np.testing.assert_array_equal(ours.block(0, 3), whole.block(0, 3))


@pytest.fixture
def adapted(tiny_model: Path, tmp_path: Path) -> Path:
    """A LoRA adapter of the tiny model, as peft and sentence-transformers save one."""
    folder = tmp_path / "adapted"
    (folder / "1_Pooling").mkdir(parents=True)
    kind = "sentence_transformers.models"
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": f"{kind}.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{kind}.Pooling"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    pooling = {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    adapter = {"peft_type": "LORA", "task_type": "FEATURE_EXTRACTION", "base_model_name_or_path": str(tiny_model)}
    adapter |= {"r": 2, "lora_alpha": 8, "target_modules": ["query"], "inference_mode": True, "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps(adapter))
    shapes = {"lora_A": (2, 32), "lora_B": (32, 2)}
    names = {
        f"base_model.model.encoder.layer.{i}.attention.self.query.{part}.weight": s
        for i in range(2)
        for part, s in shapes.items()
    }
    torch.manual_seed(0)
    save_file({name: torch.randn(shape) for name, shape in names.items()}, folder / "adapter_model.safetensors")
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(folder)
    return folder


def test_an_adapter_is_loaded_or_names_what_it_needs(
    adapted: Path, tiny_model: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = Embedder(str(adapted), store)
    expected = SentenceTransformer(str(adapted), device="cpu", local_files_only=True).encode_query(QUERIES)
    np.testing.assert_allclose(embedder.queries(QUERIES).block(0, 3), expected, atol=1e-5)
    without = SentenceTransformer(modules=pooled(tiny_model), device="cpu").encode_query(QUERIES)
    assert np.abs(expected - without).max() > 0.01

    def not_installed(*_: object, **__: object) -> None:
        raise ImportError("Loading a PEFT model requires installing the `peft` package.")

    monkeypatch.setattr("ragcun.embedding.load.SentenceTransformer", not_installed)
    with pytest.raises(UserError, match=r"pip install 'ragcun\[peft\]'"):
        Embedder(str(adapted), store)


def test_the_scale_of_an_adapter_is_part_of_the_key(adapted: Path, store: Path) -> None:
    before = Embedder(str(adapted), store).queries(QUERIES).block(0, 3)
    _configured("adapter_config.json", lora_alpha=64)(adapted)
    after = Embedder(str(adapted), store).queries(QUERIES).block(0, 3)
    expected = SentenceTransformer(str(adapted), device="cpu", local_files_only=True).encode_query(QUERIES)
    assert np.abs(after - before).max() > 0.01
    np.testing.assert_allclose(after, expected, atol=1e-5)


def test_an_adapter_that_is_not_whole_is_refused(adapted: Path, store: Path) -> None:
    path = adapted / "adapter_model.safetensors"
    weights = load_file(path)
    save_file({name: w for name, w in weights.items() if "layer.1" not in name}, path)
    with pytest.raises(UserError, match="could not be loaded completely: 2 weights are missing"):
        Embedder(str(adapted), store)
    save_file({name.replace("query", "value"): w.clone() for name, w in weights.items()} | weights, path)
    with pytest.raises(UserError, match="4 weights are in the file but not in the configuration"):
        Embedder(str(adapted), store)


def test_an_activation_within_a_router_is_checked(tiny_model: Path, tmp_path: Path, store: Path) -> None:
    routes = Router.for_query_document([Dense(32, 8)], [Dense(32, 8)])
    model = SentenceTransformer(modules=[*pooled(tiny_model), routes])
    model.save_pretrained(str(tmp_path / "model"), create_model_card=False)
    Embedder(str(tmp_path / "model"), store)
    (inner, *_) = sorted((tmp_path / "model").rglob("*Dense*/config.json"))
    inner.write_text(json.dumps(json.loads(inner.read_text()) | {"activation_function": "mine.Swish"}))
    with pytest.raises(UserError, match=r"'mine.Swish', which is not one of torch's"):
        Embedder(str(tmp_path / "model"), store)


def test_texts_are_cut_to_the_positions_that_there_are(
    tiny_model: Path, tmp_path: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = SentenceTransformer(modules=pooled(tiny_model))
    model.save_pretrained(str(tmp_path / "model"), create_model_card=False)
    positions = json.loads((tmp_path / "model" / "config.json").read_text())["max_position_embeddings"]
    _configured("sentence_bert_config.json", max_seq_length=10 * positions)(tmp_path / "model")
    embedder = Embedder(str(tmp_path / "model"), store)
    assert f"has {positions:,} positions, so texts are cut" in capsys.readouterr().err
    model.max_seq_length = positions
    text = ["owl " * 3 * positions]
    np.testing.assert_allclose(embedder.documents(text).block(0, 1), model.encode_document(text), atol=1e-5)


def test_a_classifier_is_no_encoder(tiny_model: Path, tmp_path: Path, store: Path) -> None:
    config = BertConfig(vocab_size=80, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    BertForSequenceClassification(config).save_pretrained(tmp_path / "model")
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path / "model")
    with pytest.raises(UserError, match="a cross-encoder"):
        Embedder(str(tmp_path / "model"), store)


def test_an_experiment_that_lost_its_head_is_refused(sound: Path, tmp_path: Path, store: Path) -> None:
    shutil.copytree(sound, tmp_path / "e" / "model")
    manifest = {"label": "mine", "identity": "x", "parameters": {"head": 264}}
    (tmp_path / "e" / "manifest.json").write_text(json.dumps(manifest))
    assert Embedder(str(tmp_path / "e"), store).dimension == 8
    modules = json.loads((tmp_path / "e" / "model" / "modules.json").read_text())
    (tmp_path / "e" / "model" / "modules.json").write_text(json.dumps(modules[:-1]))
    with pytest.raises(UserError, match="its head is missing"):
        Embedder(str(tmp_path / "e"), store)


def test_infinite_vectors_name_the_text(tiny_model: Path, tmp_path: Path, store: Path) -> None:
    model = SentenceTransformer(modules=pooled(tiny_model))
    row = model.tokenizer.convert_tokens_to_ids("honey")
    with torch.no_grad():
        model[0].auto_model.embeddings.word_embeddings.weight[row] = float("nan")
    model.save_pretrained(str(tmp_path / "model"), create_model_card=False)
    with pytest.raises(RagcunError, match=r"NaN or infinity for 1 texts, such as 'honey'; its weights may be damaged"):
        Embedder(str(tmp_path / "model"), store).queries(QUERIES)
