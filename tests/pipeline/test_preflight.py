"""What is opened and checked before a command's first long step."""

import json
from pathlib import Path

import pytest

from ragcun.data.benchmark import Dataset
from ragcun.errors import UserError
from ragcun.evaluation.tasks import choose
from ragcun.pipeline.grid import cells_of
from ragcun.pipeline.preflight import chosen_datasets, ready_to_run, ready_to_train
from ragcun.planning.architecture import find_architecture, fitted
from ragcun.planning.machines import MACHINES
from ragcun.planning.plan import make_plan
from ragcun.settings.load import load_settings
from ragcun.settings.schema import Settings


def settings(collection: Path, tiny_model: Path, **flags: object) -> Settings:
    always = {"data.train": str(collection), "model.base": str(tiny_model)}
    return load_settings(None, None, {**always, "evaluation.data_dir": str(collection.parent), **flags})


@pytest.mark.parametrize("names", [("SciFact", "animals"), ("small",), ("public", "nanobeir"), ("cqadupstack", "NQ")])
def test_run_eval_and_plan_agree_on_what_a_dataset_name_means(
    names: tuple[str, ...], collection: Path, tiny_model: Path
) -> None:
    by_eval = choose(names, collection.parent)
    asked = settings(collection, tiny_model, **{"evaluation.datasets": names})
    assert chosen_datasets(asked, Path("e")) == by_eval
    known = asked.model_copy(update={"model": load_settings("demo").model})
    base = find_architecture(known.model.base)
    planned = make_plan(fitted(cells_of({}, 1, lambda _: known, Path()), base), base, MACHINES["t4"])
    steps = [step.name.removeprefix("evaluate ") for step in planned.steps if step.name.startswith("evaluate ")]
    collections = [part for one in by_eval for part in (one.folders.values() if isinstance(one, Dataset) else [one])]
    assert steps == [one.name for one in collections]
    assert {type(one) for one in by_eval} <= {Dataset, type(collection)}


def test_collections_are_opened_before_anything_is_trained(tmp_path: Path, collection: Path, tiny_model: Path) -> None:
    import shutil

    shutil.copytree(collection, tmp_path / "broken")
    (tmp_path / "broken" / "queries.jsonl").write_text("{", encoding="utf-8")
    asked = {"evaluation.datasets": ("broken",), "evaluation.data_dir": str(tmp_path)}
    with pytest.raises(UserError, match="1 of 1 datasets cannot be evaluated on: broken"):
        ready_to_run(settings(collection, tiny_model, **asked), tmp_path / "e")
    ready, tasks = ready_to_run(
        settings(collection, tiny_model, **{"evaluation.datasets": ("animals",)}), tmp_path / "e"
    )
    assert ready.model.output_dim == 32
    assert [(task.collection.name, task.split) for task in tasks] == [("animals", "test")]
    assert not (tmp_path / "e").exists()


def test_data_that_training_uses_is_opened(tmp_path: Path, collection: Path, tiny_model: Path) -> None:
    for name in ("data.val", "data.out_of_domain"):
        flags = {name: str(tmp_path / "absent"), "training.interpolate": "auto"}
        with pytest.raises(UserError, match="absent: no such"):
            ready_to_train(settings(collection, tiny_model, **flags), tmp_path / "e")
    with pytest.raises(UserError, match=r"absent: no such folder"):
        ready_to_train(settings(collection, tiny_model), tmp_path / "e", load_checkpoint=str(tmp_path / "absent"))


def test_an_experiment_of_other_settings_or_an_older_ragcun_is_refused(
    tmp_path: Path, collection: Path, tiny_model: Path
) -> None:
    asked = settings(collection, tiny_model)
    kept = ready_to_train(asked, tmp_path).model_dump(mode="json")

    def manifest(**training: object) -> None:
        made = {**kept, "training": {**kept["training"], **training}}
        (tmp_path / "manifest.json").write_text(json.dumps({"identity": "x", "settings": made}), encoding="utf-8")

    manifest(log_interval=7)
    assert ready_to_train(asked, tmp_path).model.output_dim == 32
    manifest(epochs=1)
    with pytest.raises(UserError, match="trained with other settings"):
        ready_to_train(asked, tmp_path)
    manifest(keep_base=1.0)
    with pytest.raises(UserError, match="an older version of ragcun, in which lambda_distill was called keep_base"):
        ready_to_train(asked, tmp_path)


def test_rows_do_not_follow_the_training_seed(collection: Path, tiny_model: Path) -> None:
    from ragcun.training.data import training_data

    def rows(**flags: int) -> list[int]:
        pairs, _ = training_data(settings(collection, tiny_model, **{"training.rows": 8, **flags}))
        return pairs.anchor.tolist()

    assert rows() == rows(seed=1)
    assert rows() != rows(**{"data.sample_seed": 1})
