"""A trained experiment, evaluated beside its base."""

from pathlib import Path

import pytest

from children import ragcun


@pytest.fixture(scope="session")
def experiment(tiny_model: Path, collection: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head on the tiny model, trained for a moment, with scores of itself and of its base in its folder."""
    folder = tmp_path_factory.mktemp("experiments") / "isotropic-tiny"
    store = ["--store", str(tmp_path_factory.mktemp("store"))]
    train = ["--train-data", str(collection), "--base-model", str(tiny_model), "--epochs", "1", "--batch-size", "8"]
    models = ["--model", str(tiny_model), "--model", str(folder), "--output", str(folder)]
    for command in (
        ["train", *train, "--output-dim", "16", "--output-dir", str(folder)],
        ["eval", "collection", str(collection), *models],
    ):
        done = ragcun(*command, *store)
        assert done.returncode == 0, done.stderr
    return folder
