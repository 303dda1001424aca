"""What is prepared before a training, and what is refused before anything is downloaded."""

from pathlib import Path

import pytest

from ragcun.errors import RagcunError, UserError
from ragcun.pipeline import steps
from ragcun.pipeline.steps import prepare_data
from ragcun.settings.load import load_settings
from ragcun.training.stages import train_stages


def test_only_the_stage_that_is_trained_is_prepared(tmp_path: Path, collection: Path) -> None:
    settings = load_settings("prototype", None, {"data.train": str(collection)})
    assert prepare_data(settings, tmp_path / "e", "finetune") == settings
    with pytest.raises(RagcunError, match="wikimedia/wikipedia"):
        prepare_data(settings, tmp_path / "e")
    pretraining = load_settings("prototype", None, {"data.pretrain": str(collection)})
    assert prepare_data(pretraining, tmp_path / "e", "pretrain") == pretraining
    with pytest.raises(RagcunError, match="BeIR/msmarco"):
        prepare_data(pretraining, tmp_path / "e")


def test_a_path_that_is_not_there_is_told_before_a_download(tmp_path: Path) -> None:
    settings = load_settings("prototype", None, {"data.train": str(tmp_path / "absent")})
    with pytest.raises(UserError, match="absent: no such file"):
        prepare_data(settings, tmp_path / "e")


def test_held_out_data_that_is_given_is_kept(tmp_path: Path, collection: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = (tmp_path / "made.parquet", tmp_path / "made-dev.parquet")
    monkeypatch.setattr(steps, "_msmarco", lambda *_: made)
    given = prepare_data(load_settings("hybrid", None, {"data.val": str(collection)}), tmp_path / "e").data
    assert (given.train, given.val) == ((str(made[0]),), str(collection))
    assert prepare_data(load_settings("hybrid"), tmp_path / "e").data.val == str(made[1])


def test_stage_two_alone_needs_what_it_starts_from(tmp_path: Path, collection: Path) -> None:
    settings = load_settings("prototype", None, {"data.train": str(collection)})
    with pytest.raises(UserError, match="--load-checkpoint"):
        train_stages(settings, tmp_path / "e", tmp_path / "store", stage="finetune")
