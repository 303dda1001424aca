"""`--share auto`: the most that is gained at home without losing abroad."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ragcun.errors import UserError
from ragcun.files import read_json
from ragcun.settings.load import load_settings
from ragcun.training.share import SHARES, abroad_texts, choose_share


class _Line:
    """A trainee whose one weight is the share."""

    def load_trained(self, tensors: dict[str, torch.Tensor]) -> None:
        self.share = float(tensors["share"])

    def eval(self) -> "_Line":
        return self


def dev(score: Any) -> Any:
    return SimpleNamespace(ndcg=lambda trainee: score(trainee.share))


def chosen(tmp_path: Path, home: Any, tolerance: float = 0.0, **abroad: Any) -> float:
    outcome: Any = SimpleNamespace(start={"share": torch.tensor(0.0)}, best={"share": torch.tensor(1.0)})
    trainee: Any = _Line()
    devs = {name: dev(score) for name, score in abroad.items()}
    return choose_share(outcome, trainee, dev(home), devs, tolerance, tmp_path / "share.json")


def test_the_rule(tmp_path: Path) -> None:
    def loses_late(share: float) -> float:
        return 0.5 - max(0.0, share - 0.4001)

    assert chosen(tmp_path, lambda share: share) == 1.0
    assert chosen(tmp_path, lambda share: -((share - 0.7) ** 2)) == 0.7
    assert chosen(tmp_path, lambda share: share, far=loses_late) == 0.4
    assert chosen(tmp_path, lambda share: share, tolerance=0.1001, far=loses_late) == 0.5
    assert chosen(tmp_path, lambda share: share, far=lambda share: -share) == 0.0
    found = read_json(tmp_path / "share.json")
    assert [row["share"] for row in found["curve"]] == list(SHARES)
    assert found["curve"][10] == {"share": 0.5, "home": 0.5, "abroad": {"far": -0.5}}


def test_test_queries_are_never_chosen_on(tmp_path: Path, collection: Path) -> None:
    import shutil

    shutil.copytree(collection, tmp_path / "c")
    assert abroad_texts(tmp_path / "c", "refuse", 0).source["split"] == "dev"
    (tmp_path / "c" / "qrels" / "dev.tsv").unlink()
    assert abroad_texts(tmp_path / "c", "refuse", 0).source["split"] == "train"
    (tmp_path / "c" / "qrels" / "train.tsv").unlink()
    with pytest.raises(UserError, match="no dev and no train split"):
        abroad_texts(tmp_path / "c", "refuse", 0)


def test_what_cannot_be_asked_for() -> None:
    with pytest.raises(UserError, match="share auto needs a frozen base"):
        load_settings(flags={"training.share": "auto", "model.freeze_base": False})
    with pytest.raises(UserError, match="abroad is for share"):
        load_settings(flags={"data.abroad": ["x"]})
    with pytest.raises(UserError, match=r"training\.share"):
        load_settings(flags={"training.share": "some"})
    assert load_settings(flags={"training.share": "0.5"}).training.share == 0.5
