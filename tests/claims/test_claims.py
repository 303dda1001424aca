"""Claims: their registry, their verdicts, and a run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import children
from ragcun.analysis.treatment import MOVED
from ragcun.claims import bench, transforms
from ragcun.claims.registry import CLAIMS
from ragcun.claims.run import Settled, run_claims
from ragcun.claims.transforms import Axes
from ragcun.claims.verdict import of_collections, of_queries, settle
from ragcun.errors import UserError
from ragcun.evaluation.results import slug
from ragcun.evaluation.tasks import open_tasks
from ragcun.lock import only_writer
from ragcun.retrieval.retrievers import RetrieverOptions


@pytest.mark.parametrize(
    ("shift", "rule", "expected"),
    [
        (0.05, "helps", "supported"),
        (0.0, "helps", "refuted"),
        (-0.05, "helps", "refuted"),
        (0.0, "equal", "supported"),
        (0.05, "equal", "refuted"),
    ],
)
def test_verdicts_on_differences_of_queries(shift: float, rule: str, expected: str) -> None:
    generator = np.random.default_rng(0)
    differences = [generator.normal(shift, 0.03, 200) for _ in range(2)]
    found = of_queries(differences, rule, 0.01)  # type: ignore[arg-type]
    assert found.low < shift < found.high
    assert settle([(found, rule, 0.01)])[0][0] == expected  # type: ignore[list-item]


def test_few_queries_leave_a_claim_undecided_and_say_how_many_are_needed() -> None:
    found = of_queries([np.random.default_rng(0).normal(0, 0.3, 30)], "helps", 0.01)
    assert settle([(found, "helps", 0.01)])[0][0] == "undecided"
    assert found.power is not None
    assert found.power < 0.2
    assert found.needed is not None
    assert found.needed > 1_000


@pytest.mark.parametrize(("rule", "expected"), [("above", "refuted"), ("below", "supported")])
def test_verdicts_on_values_of_collections(rule: str, expected: str) -> None:
    found = of_collections([0.30, 0.32, 0.28, 0.31], rule, 0.9)  # type: ignore[arg-type]
    assert settle([(found, rule, 0.9)])[0][0] == expected  # type: ignore[list-item]


def test_many_claims_are_one_family() -> None:
    found = of_queries([np.random.default_rng(3).normal(0.03, 0.1, 100)], "helps", 0.005)
    alone = settle([(found, "helps", 0.005)])[0][1]
    assert alone < 0.1
    assert settle([(found, "helps", 0.005)] * 20)[0][1] == pytest.approx(min(1, 20 * alone))


def test_transforms_do_what_they_say() -> None:
    generator = np.random.default_rng(0)
    documents = (generator.normal(size=(200, 6)) * np.arange(1, 7) + 3).astype(np.float32)
    pair = (documents[:9], documents)
    white = transforms.spectral(pair, Axes.of(documents), 1.0)[1]
    np.testing.assert_allclose(np.cov(white.T), np.eye(6), atol=1e-4)
    pca = transforms.spectral(pair, Axes.of(documents), 0.0)
    np.testing.assert_allclose(
        np.linalg.norm(pca[0] - pca[1][:9], axis=1), np.linalg.norm(pair[0] - pair[1][:9], axis=1), atol=1e-4
    )
    codes = transforms.one_bit(documents)
    np.testing.assert_allclose((codes * documents).sum(1), np.square(documents).sum(1), rtol=1e-4)
    unit = transforms.off_the_mean(pair)[1]
    assert np.abs(unit.mean(0)).max() < np.abs((documents / np.linalg.norm(documents, axis=1)[:, None]).mean(0)).max()


def test_every_claim_says_who_claimed_what_and_how_it_is_tested() -> None:
    assert len({claim.key for claim in CLAIMS}) == len(CLAIMS) >= 12
    for claim in CLAIMS:
        assert all((claim.claimed, claim.source, claim.read, claim.holds_for, claim.operation)), claim.key


def test_a_run_is_kept(collection: Path, tiny_model: Path, tmp_path: Path) -> None:
    shared = {"cwd": tmp_path, "RAGCUN_CACHE_DIR": str(tmp_path / "cache")}
    chosen = ("--claim", "mean-removal", "--claim", "rotation-codebook", "--claim", "isotropy-unrelated")
    arguments = ("claims", "run", collection, "--model", f"tiny={tiny_model}", *chosen)
    done = children.ragcun(*arguments, "--json", **shared)  # type: ignore[arg-type]
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["results"]
    assert [row["key"] for row in rows] == ["mean-removal", "rotation-codebook", "isotropy-unrelated"]
    assert {row["verdict"] for row in rows[:2]} <= {"supported", "refuted", "undecided"}
    assert (rows[2]["verdict"], rows[2]["why"]) == (None, "this claim needs at least two collections")
    again = children.ragcun(*arguments, "--format", "latex", **shared)  # type: ignore[arg-type]
    assert again.returncode == 0, again.stderr
    assert "measured in" not in again.stderr, "what was measured is kept"
    assert "begin{table" in again.stdout or "begin{tabular" in again.stdout or "tblr" in again.stdout


def test_the_power_is_a_number_where_values_hardly_deviate() -> None:
    found = of_collections([0.5, 0.5001, 0.4999, 0.5, 0.5002, 0.5, 0.4998], "above", 0.9)
    assert found.power == pytest.approx(1)


class _Heads:
    """Heads whose documents are given, in the place of trained ones."""

    def __init__(self, **documents: list[np.ndarray]) -> None:
        self.documents = documents

    def over_seeds(self, name: str, measure: Any) -> list[Any]:
        return [measure(None, (x[:1], x)) for x in self.documents[name]]


def test_isotropy_is_relative_to_what_as_many_gaussian_vectors_have() -> None:
    generator = np.random.default_rng(1)
    isotropic = [generator.normal(size=shape).astype(np.float32) for shape in ((60, 100), (3_000, 16))]
    stretched = [x * np.linspace(0.01, 1, x.shape[1], dtype=np.float32) ** 2 for x in isotropic]
    heads: Any = _Heads(sigreg=isotropic, gor=stretched, plain=stretched)
    claims = {claim.key: claim for claim in CLAIMS}
    assert claims["guide-isotropy"].measure(heads) == pytest.approx([1, 1], abs=0.05)
    assert claims["regulariser-redundant"].moved(heads) > MOVED  # type: ignore[misc]
    assert claims["gor-truncation"].moved(heads) == 0  # type: ignore[misc]


def test_results_of_another_training_are_measured_again(
    collection: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(bench, "SEEDS", (0,))
    tasks, _ = open_tasks([collection], "test")
    options = RetrieverOptions(tmp_path / "store")
    claim = next(claim for claim in CLAIMS if claim.key == "gor-truncation")

    def run(epochs: int) -> tuple[Settled, str]:
        monkeypatch.setitem(bench.TRAINING, "epochs", epochs)
        found = run_claims(str(tiny_model), tasks, collection, tmp_path / "out", options, [claim])[0]
        return found, capsys.readouterr().err

    with (
        only_writer(tmp_path / "out" / slug(tiny_model.parent.name), "ragcun claims run"),
        pytest.raises(UserError, match="is writing this folder"),
    ):
        run(1)
    first, said = run(1)
    assert "gor-truncation: measured in" in said
    assert first.moved is not None
    assert first.verdict == "undecided"
    assert "too little effect" in first.why
    kept, said = run(1)
    assert (kept, said) == (first, "")
    assert "gor-truncation: measured in" in run(2)[1]
    assert len(list((tmp_path / "out").glob("*/heads/*"))) == 4
