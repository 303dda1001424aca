"""A base's width, read from its files, is what the model gives; an output dimension fits it or is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from ragcun.embedding.load import load_model
from ragcun.embedding.resolve import resolve_model
from ragcun.embedding.width import embedding_width, fit_output_dim, with_output_dim
from ragcun.errors import UserError
from ragcun.heads.registry import HEADS
from ragcun.settings.schema import ModelSettings, Settings, StageSettings


def test_the_width_is_that_of_the_loaded_model(tiny_model: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Pooling

    resolved = resolve_model(str(tiny_model))
    model = load_model(resolved)
    assert embedding_width(tiny_model) == model.get_embedding_dimension() == 32
    pooled = Pooling(32, ("mean", "max"))
    for name, modules, width in (("pooled", [model[0], pooled], 64), ("dense", [model[0], pooled, Dense(64, 24)], 24)):
        made = SentenceTransformer(modules=modules, device="cpu")
        made.save(str(tmp_path / name), create_model_card=False)
        assert embedding_width(tmp_path / name) == made.get_embedding_dimension() == width
    model[0].model.save_pretrained(tmp_path / "bare")
    assert embedding_width(tmp_path / "bare") == 32


def test_old_configurations_of_pooling_are_read(tmp_path: Path) -> None:
    (tmp_path / "1_Pooling").mkdir()
    modules = '[{"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}]'
    (tmp_path / "modules.json").write_text(modules, encoding="utf-8")
    modes = '"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": false'
    config = f'{{"word_embedding_dimension": 384, {modes}}}'
    (tmp_path / "1_Pooling" / "config.json").write_text(config, encoding="utf-8")
    assert embedding_width(tmp_path) == 768


def test_an_output_dimension_follows_the_base_or_is_refused_by_its_flag(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fitted(width: int = 384, **model: object) -> int:
        return fit_output_dim(Settings(model=ModelSettings.model_validate(model)), width, "base").model.dimension

    assert (fitted(), fitted(768), fitted(768, head="identity")) == (384, 512, 768)
    assert fitted(init="random", output_dim=512) == 512
    for wrong in ({"output_dim": 512}, {"head": "whiten", "init": "random", "output_dim": 512}):
        with pytest.raises(UserError, match=r"base has 384 dimensions.*give --output-dim 384 or less"):
            fitted(**wrong)
    with pytest.raises(UserError, match=r"give --output-dim 384$"):
        fitted(head="identity", output_dim=8)
    monkeypatch.setitem(HEADS, "linear", replace(HEADS["linear"], keeps_width=True))
    with pytest.raises(UserError, match=r"head linear keeps the 384 dimensions"):
        fitted(head="linear", output_dim=8)
    nested = Settings(training=StageSettings(nested_dims=(32, 384)))
    with pytest.raises(UserError, match="--nested-dims 384: must be at least 1 and less than the 384"):
        fit_output_dim(nested, 384, "base")
    assert with_output_dim(Settings(), resolve_model(str(tiny_model))).model.output_dim == 32
