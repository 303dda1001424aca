"""Settings: the order of their sources, and errors that name field, value and what is allowed."""

from pathlib import Path
from typing import Any

import pytest

from ragcun.errors import UserError
from ragcun.settings.load import load_settings, preset_names, to_toml


def test_later_sources_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "mine.toml"
    config.write_text("[training]\nepochs = 21\nbatch_size = 22\nlearning_rate = 0.023\n", encoding="utf-8")
    monkeypatch.setenv("RAGCUN_TRAINING__BATCH_SIZE", "32")
    monkeypatch.setenv("RAGCUN_TRAINING__LEARNING_RATE", "0.033")

    training = load_settings("hybrid", config, {"training.learning_rate": 0.043, "training.epochs": None}).training

    assert training.interpolate == 0.8, "the preset is over the default"
    assert training.epochs == 21, "the file is over the preset"
    assert training.batch_size == 32, "the environment is over the file"
    assert training.learning_rate == 0.043, "a flag is over the environment"
    assert training.weight_decay == 0.01, "what nobody sets has its default"


@pytest.mark.parametrize("name", preset_names())
def test_a_printed_preset_is_read_back_equal(name: str, tmp_path: Path) -> None:
    settings = load_settings(name)
    (tmp_path / "printed.toml").write_text(to_toml(settings), encoding="utf-8")

    assert load_settings(config=tmp_path / "printed.toml") == settings


def test_presets_hold_what_the_strategies_name() -> None:
    prototype, medium, hybrid = (load_settings(name) for name in ("prototype", "medium", "hybrid"))
    for settings, passages in ((prototype, 100_000), (medium, 1_000_000)):
        assert settings.model.base == "google/embeddinggemma-300m"
        assert not settings.model.freeze_base
        assert settings.model.freeze_early_layers > 0
        assert settings.pretraining is not None
        assert settings.pretraining.rows == passages
        assert settings.pretraining.passage_chars == 500
        assert (settings.pretraining.epochs, settings.pretraining.batch_size) == (3, 8)
        assert settings.pretraining.learning_rate == 2e-5
        assert (settings.pretraining.lambda_isotropy, settings.pretraining.lambda_reg) == (1.0, 0.1)
    assert (prototype.training.rows, prototype.training.epochs, prototype.training.learning_rate) == (100_000, 1, 1e-5)
    assert (medium.training.rows, medium.training.epochs, medium.training.lambda_isotropy) == (None, 3, 0.5)
    assert (medium.training.gradient_accumulation_steps, medium.training.warmup_steps) == (4, 500)
    assert hybrid.model.base == "sentence-transformers/all-mpnet-base-v2"
    assert hybrid.model.freeze_base
    assert {settings.model.output_dim for settings in (prototype, medium, hybrid)} == {512}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"training.epochs": 0}, r"training\.epochs = 0: must be at least 1"),
        ({"model.head": "mpl"}, r"model\.head = 'mpl': .*'mlp', 'local', 'linear', 'whiten' or 'identity'"),
        ({"training.interpolate": 1.5}, r"training\.interpolate = 1\.5: must be a number from 0 to 1, or auto"),
        ({"training.lambda_isotropy": float("nan")}, r"training\.lambda_isotropy = nan"),
        ({"training.epoch": 3}, r"training\.epoch: no such setting \(did you mean training\.epochs\?\)"),
        ({"model.init": "whiten"}, r"model\.init = 'whiten': must be base, random, or whiten:POWER"),
        ({"model.init": "whiten:1.5"}, r"model\.init = 'whiten:1\.5'"),
        ({"model.init": "whiten:nan"}, r"model\.init = 'whiten:nan'"),
        ({"model.whiten_power": "half"}, r"model\.whiten_power = 'half': must be a number from 0 to 1, or auto"),
        ({"training.nested_dims": "32,many"}, r"training\.nested_dims\.1 = 'many'"),
        ({"training.treat": "texts"}, r"training\.treat = 'texts'"),
        ({"training.target_power": 1.1}, r"training\.target_power = 1\.1"),
        ({"training.treat": "queries", "training.random_documents": 8}, "random_documents needs regularisers that"),
        ({"model.freeze_base": False}, "head local needs a frozen base"),
        (
            {"model.freeze_base": False, "model.head": "mlp", "training.random_documents": 8},
            "random_documents needs a frozen base",
        ),
        ({"model.freeze_early_layers": 2}, "freeze_early_layers needs a trained base"),
    ],
)
def test_impossible_values_are_one_line(flags: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        load_settings("demo", flags=flags)
    assert "\n" not in str(caught.value)


def test_unknown_names_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"not one of demo, prototype, medium, hybrid \(did you mean hybrid\?\)"):
        load_settings("hybird")
    (tmp_path / "broken.toml").write_text("epochs = = 3", encoding="utf-8")
    with pytest.raises(UserError, match=r"broken\.toml: not TOML"):
        load_settings(config=tmp_path / "broken.toml")
    with pytest.raises(UserError, match="no such file"):
        load_settings(config=tmp_path / "absent.toml")
    monkeypatch.setenv("RAGCUN_TRAINING__EPOCH", "3")
    with pytest.raises(
        UserError, match=r"RAGCUN_TRAINING__EPOCH: no such setting \(did you mean RAGCUN_TRAINING__EPOCHS\?\)"
    ):
        load_settings("demo")


def test_variables_that_are_no_settings_are_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/data.md tells users to set the first."""
    for name in ("RAGCUN_BEIR_URL", "RAGCUN_CACHE_DIR"):
        monkeypatch.setenv(name, "somewhere")
    assert load_settings("hybrid").preset == "hybrid"


def test_an_empty_variable_is_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGCUN_TRAINING__EPOCHS", "")

    assert load_settings("demo").training.epochs == load_settings("demo").training.epochs > 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("training.keep_base", "training.lambda_distill"),
        ("training.share", "training.interpolate"),
        ("training.share_tolerance", "training.interpolate_tolerance"),
        ("data.abroad", "data.out_of_domain"),
    ],
)
def test_old_names_are_refused_by_their_new_ones(
    old: str, new: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section, name = old.split(".")
    (tmp_path / "old.toml").write_text(f"[{section}]\n{name} = 1\n", encoding="utf-8")
    with pytest.raises(UserError, match=rf"{old}: no such setting; it is now called {new}"):
        load_settings(config=tmp_path / "old.toml")
    variable, called = (f"RAGCUN_{one.upper().replace('.', '__')}" for one in (old, new))
    monkeypatch.setenv(variable, "1")
    with pytest.raises(UserError, match=rf"{variable}: no such setting; it is now called {called}"):
        load_settings()


def test_a_number_that_is_not_finite_is_refused() -> None:
    with pytest.raises(UserError, match="max_grad_norm"):
        load_settings(flags={"training.max_grad_norm": float("inf")})


@pytest.mark.parametrize(
    ("setting", "given", "expected"),
    [
        ("training.epochs", "x", "must be a whole number"),
        ("training.epochs", 1.5, "must be a whole number"),
        ("training.learning_rate", "x", "must be a number"),
        ("training.learning_rate", 0, "must be greater than 0"),
        ("training.learning_rate", 2, "must be at most 1"),
        ("seed", 2**32, "must be less than 4294967296"),
        ("model.freeze_base", "perhaps", "must be true or false"),
        ("model.base", 3, "must be text"),
        ("model.precision", "fp8", "must be one of 'fp32', 'bf16' or 'fp16'"),
        ("training", 3, "must be a table of settings"),
    ],
)
def test_what_a_value_must_be_is_said_in_plain_words(setting: str, given: Any, expected: str) -> None:
    with pytest.raises(UserError) as refused:
        load_settings(flags={setting: given})
    assert str(refused.value) == f"{setting} = {given!r}: {expected}"
