"""`--interpolate auto`: the most that is gained at in_domain without losing out_of_domain."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ragcun.errors import UserError
from ragcun.files import read_json
from ragcun.settings.load import load_settings
from ragcun.settings.schema import DataSettings
from ragcun.training.data import out_of_domain_texts
from ragcun.training.interpolation import ALPHAS, choose_alpha, interpolated


class _Line:
    """A encoder whose one weight is the alpha."""

    def load_trained(self, tensors: dict[str, torch.Tensor]) -> None:
        self.alpha = float(tensors["alpha"])

    def eval(self) -> "_Line":
        return self


def dev(score: Any) -> Any:
    return SimpleNamespace(ndcg=lambda encoder: score(encoder.alpha))


def chosen(tmp_path: Path, in_domain: Any, tolerance: float = 0.0, guard: Any = "worst", **out_of_domain: Any) -> float:
    outcome: Any = SimpleNamespace(start={"alpha": torch.tensor(0.0)}, best={"alpha": torch.tensor(1.0)})
    encoder: Any = _Line()
    devs = {name: dev(score) for name, score in out_of_domain.items()}
    return choose_alpha(outcome, encoder, dev(in_domain), devs, tolerance, guard, tmp_path / "interpolation.json")


def test_the_rule(tmp_path: Path) -> None:
    def loses_late(alpha: float) -> float:
        return 0.5 - max(0.0, alpha - 0.4001)

    assert chosen(tmp_path, lambda alpha: alpha) == 1.0
    assert chosen(tmp_path, lambda alpha: -((alpha - 0.7) ** 2)) == 0.7
    assert chosen(tmp_path, lambda alpha: alpha, far=loses_late) == 0.4
    assert chosen(tmp_path, lambda alpha: alpha, tolerance=0.1001, far=loses_late) == 0.5
    assert chosen(tmp_path, lambda alpha: alpha, far=lambda alpha: -alpha) == 0.0
    found = read_json(tmp_path / "interpolation.json")
    assert [row["alpha"] for row in found["curve"]] == list(ALPHAS)
    assert found["curve"][10] == {"alpha": 0.5, "in_domain": 0.5, "out_of_domain": {"far": -0.5}}


def test_the_guard_is_the_worst_collection_or_the_mean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    devs = {"a": lambda alpha: 0.5 + alpha, "b": lambda alpha: 0.5 - alpha, "c": lambda alpha: 0.5 - alpha / 2}
    assert chosen(tmp_path, lambda alpha: alpha, **devs) == 0.0
    assert chosen(tmp_path, lambda alpha: alpha, tolerance=0.2001, **devs) == 0.2
    assert chosen(tmp_path, lambda alpha: alpha, tolerance=0.1001, guard="mean", **devs) == 0.6
    assert read_json(tmp_path / "interpolation.json")["guard"] == "mean"
    assert "give at least 3" not in capsys.readouterr().err
    del devs["c"]
    assert chosen(tmp_path, lambda alpha: alpha, guard="mean", **devs) == 1.0
    assert "2 out-of-domain collections are too few for a safe choice; give at least 3" in " ".join(
        capsys.readouterr().err.split()
    )


def test_test_queries_are_never_chosen_on(tmp_path: Path, collection: Path) -> None:
    import shutil

    shutil.copytree(collection, tmp_path / "c")
    assert out_of_domain_texts(tmp_path / "c", DataSettings()).source["split"] == "dev"
    (tmp_path / "c" / "qrels" / "dev.tsv").unlink()
    assert out_of_domain_texts(tmp_path / "c", DataSettings()).source["split"] == "train"
    (tmp_path / "c" / "qrels" / "train.tsv").unlink()
    with pytest.raises(UserError, match="neither a dev nor a train split"):
        out_of_domain_texts(tmp_path / "c", DataSettings())


def test_what_cannot_be_asked_for() -> None:
    with pytest.raises(UserError, match="interpolate auto needs a frozen base"):
        load_settings(flags={"training.interpolate": "auto", "model.freeze_base": False})
    with pytest.raises(UserError, match="out_of_domain needs interpolate"):
        load_settings(flags={"data.out_of_domain": ["x"]})
    with pytest.raises(UserError, match=r"training\.interpolate"):
        load_settings(flags={"training.interpolate": "some"})
    assert load_settings(flags={"training.interpolate": "0.5"}).training.interpolate == 0.5


def test_interpolation_ends_at_its_ends() -> None:
    start, end = {"w": torch.zeros(3)}, {"w": torch.tensor([1.0, 2.0, 4.0])}

    assert torch.equal(interpolated(start, end, 0.0)["w"], start["w"])
    assert torch.equal(interpolated(start, end, 1.0)["w"], end["w"])
    assert torch.equal(interpolated(start, end, 0.5)["w"], torch.tensor([0.5, 1.0, 2.0]))
