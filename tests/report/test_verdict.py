"""The guide's criteria are passed only by what was measured, and say which numbers they mean."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragcun.analysis.reports import IsotropyReport
from ragcun.errors import UserError
from ragcun.evaluation.results import Cell, Result
from ragcun.report.checklist import checklist
from ragcun.report.evidence import collect
from ragcun.report.verdict import _public, judge

QUERIES = 12


def cell(folder: Path, label: str, dataset: str, score: float, domain: str | None = None) -> None:
    place = Cell(folder, label, dataset, "test")
    place.path.parent.mkdir(parents=True)
    result = Result(label, dataset, "test", {"nDCG@10": score}, {}, place.path, label, QUERIES, 9, 1.0, domain)
    noise = np.linspace(-0.01, 0.01, QUERIES) * (1 if label == "ours" else -1)
    columns = {"query_id": [str(i) for i in range(QUERIES)], "nDCG@10": (score + noise).tolist()}
    pq.write_table(pa.table(columns), result.scores)
    result.run.write_text("", "utf-8")
    place.write(result, {}, {})


def manifest(folder: Path, **facts: Any) -> None:
    hardware = {"processor": "one", "cores": 2}
    environment = {"hardware": hardware, "git": {"commit": "c" * 40, "dirty": False}}
    content = {"label": "ours", "identity": "i", "settings": {"preset": "hybrid"}, "seconds": {"total": 600.0}}
    content |= {"base": {"model": "lab/base@abc"}, "environment": environment, **facts}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(content), "utf-8")


def found(folder: Path, *rest: Any) -> dict[str, tuple[str, str]]:
    return {f"{one.level}: {one.criterion}": (one.finding, one.found) for one in judge(collect([folder]), *rest)}


def test_an_average_needs_every_dataset(tmp_path: Path) -> None:
    manifest(tmp_path)
    wanted = _public()
    assert len(wanted) == 14
    for name in wanted[:-1]:
        for label, score, domain in (("base", 0.47, None), ("ours", 0.49, "out-of-domain"), ("BM25", 0.4, None)):
            if name != "cqadupstack":
                cell(tmp_path, label, name, score, domain)
    before = found(tmp_path)
    for criterion in ("minimum: BEIR average nDCG@10 > 45", "minimum: improvement over the base > +1"):
        finding, said = before[criterion]
        assert finding == "not measured"
        assert "2 of 14 public datasets are missing; present: " in said
        assert "nfcorpus" in said
    assert before["minimum: training time documented"] == ("pass", "10.0 minutes on 2 cores of one")
    assert before["minimum: 3 baselines or more"] == ("fail", "2 on the same datasets: BM25, base")
    assert before["minimum: isotropy (IsoScore) > 0.90"][0] == "not measured"
    assert before["top: theoretical analysis of isotropy"][0] == "not measured"
    assert {finding for finding, _ in before.values()} == {"pass", "fail", "not measured"}


def test_the_whole_benchmark_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["nfcorpus", "scifact", "fiqa"]
    monkeypatch.setattr("ragcun.report.verdict._public", lambda: names)
    manifest(tmp_path)
    for name in names:
        for label, score, domain in (("base", 0.47, None), ("ours", 0.485, "out-of-domain"), ("BM25", 0.4, None)):
            cell(tmp_path, label, name, score, domain)
    measures = {"iso_score": 0.92, "partition": 0.99}
    report = IsotropyReport("ours", "nfcorpus", 100, 100, 8, 0, 1024, measures, {"iso_score": 0.99}, {})
    (tmp_path / "isotropy.json").write_text(json.dumps({"results": [report.to_json()]}), "utf-8")
    rows = [{"values": {"training.lambda_isotropy": value}, "seeds": 3} for value in (0, 1)]
    (tmp_path / "ablation.json").write_text(json.dumps({"rows": rows}), "utf-8")
    after = found(tmp_path)
    findings = {name: finding for name, (finding, _) in after.items()}
    assert findings["minimum: BEIR average nDCG@10 > 45"] == "pass"
    assert findings["top: BEIR average nDCG@10 > 50"] == "fail"
    assert findings["minimum: improvement over the base > +1"] == "pass"
    assert findings["strong: improvement over the base > +2"] == "fail"
    assert findings["minimum: isotropy (IsoScore) > 0.90"] == "pass"
    assert findings["strong: isotropy (IsoScore) > 0.93"] == "fail"
    assert after["strong: ablation studies"] == ("pass", "lambda_isotropy in 2 values; with and without SIGReg")
    assert findings["top: extensive ablations"] == "fail"
    assert findings["top: code and checkpoints released"] == "not measured"
    other = found(tmp_path, "partition")
    assert other["strong: isotropy (Partition-function isotropy) > 0.93"][0] == "pass"
    with pytest.raises(UserError, match=r"--isotropy-measure isoscore: unknown \(did you mean iso_score\?\)"):
        found(tmp_path, "isoscore")
    (tmp_path / "isotropy.json").unlink()
    rows = [{"name": "ours", "values": {}, "seeds": 3, "isotropy": {"iso_score": [0.91, 0.01]}}]
    base = {"isotropy": {"iso_score": [0.4, None]}}
    ablated = tmp_path / "ablation"
    ablated.mkdir()
    (ablated / "ablation.json").write_text(json.dumps({"rows": rows, "base": base}), "utf-8")
    assert found(tmp_path)["minimum: isotropy (IsoScore) > 0.90"] == (
        "pass",
        "IsoScore 0.91 on dev documents, mean over 3 seeds; the base has 0.40",
    )
    manifest(tmp_path, label="another")
    manifest(ablated, label="a third")
    assert found(tmp_path)["minimum: training time documented"][0] == "not measured"
    items = {one.item: one.done for one in checklist(collect([tmp_path]))}
    assert items["ablations with and without SIGReg"] is True
    assert items["compared with baselines"] is True
    assert items["qualitative examples"] is False
    assert items["GPU utilisation monitored"] is None
    assert items["BEIR, all 18 datasets"] is False


def test_nothing_is_passed_by_nothing(tmp_path: Path) -> None:
    assert {finding for finding, _ in found(tmp_path).values()} == {"not measured"}
    with pytest.raises(UserError, match="no such folder"):
        collect([tmp_path / "none"])
    for label in ("a", "b"):
        cell(tmp_path, label, "scifact", 0.5, "in-domain")
    with pytest.raises(UserError, match=r"several models were trained here \(a, b\); choose one with --ours"):
        collect([tmp_path])
    assert collect([tmp_path], "a", "b").base == "b"
    with pytest.raises(UserError, match="--ours c: has no results; choose from a, b"):
        collect([tmp_path], "c")
