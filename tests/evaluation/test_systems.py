"""Models side by side: seeds are one row, families of tests are corrected, averages are over what all have."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ragcun.cli.evaluate import app
from ragcun.data.benchmark import datasets
from ragcun.errors import UserError
from ragcun.evaluation.compare import compare_queries
from ragcun.evaluation.statistics import holm
from ragcun.evaluation.systems import _SEED, Method, compare_systems, read_systems
from ragcun.files import write_json

M = "nDCG@10"


def add(folder: Path, label: str, dataset: str, values: list[float], domain: str | None = None) -> Path:
    cell = folder / "cells" / label.replace(" ", "-") / dataset / "test"
    named = {"model": label, "label": label, "dataset": dataset, "split": "test", "domain": domain}
    write_json(cell / "result.json", named | {"metrics": {M: float(np.mean(values)), "MRR@10": 0.5}})
    queries = [f"q{i}" for i in range(len(values))]
    pq.write_table(pa.table({"query_id": queries, M: values}), cell / "scores.parquet")
    return cell


def test_holm_by_hand_and_in_any_order() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_seeds_are_one_row_tested_by_their_mean(tmp_path: Path) -> None:
    add(tmp_path, "base", "d", [0.5, 0.5, 0.5, 0.5])
    add(tmp_path, "head seed 0", "d", [0.7, 0.5, 0.4, 0.8])
    add(tmp_path, "head seed 1", "d", [0.5, 0.5, 0.6, 0.6])

    base, head = compare_systems(read_systems([str(tmp_path)]), "base")

    assert (base.label, base.seeds, base.deviation, base.against) == ("base", 1, None, None)
    assert (head.label, head.seeds) == ("head", 2)
    assert head.score == pytest.approx(0.575)
    assert head.deviation == pytest.approx(np.std([0.6, 0.55], ddof=1))
    assert head.against is not None and head.differences is not None
    assert head.differences == pytest.approx([0.1, 0.0, 0.0, 0.2])
    assert (head.against.wins, head.against.ties, head.against.losses) == (2, 2, 0)
    assert head.against.effect == pytest.approx(0.075 / np.std([0.1, 0, 0, 0.2], ddof=1))


def test_what_a_seed_is_called() -> None:
    for named in ("head seed 0", "head-seed=12", "head, seed 3", "head/seed4", "head_seed1", "head_seed_1"):
        assert _SEED.sub("", named) == "head"
    for named in ("linseed 1", "head seed", "seed 1 head"):
        assert _SEED.sub("", named) == named


def test_folders_of_one_name_are_seeds_and_others_must_be_told_apart(tmp_path: Path) -> None:
    for seed in range(2):
        add(tmp_path / f"run{seed}", "trained head", "d", [0.5 + seed / 10, 0.6])
        add(tmp_path / f"run{seed}", "base", "d", [0.4, 0.4])
    with pytest.raises(UserError, match="NAME=FOLDER"):
        read_systems([str(tmp_path / "run0"), str(tmp_path / "run1")])

    heads = [f"head={tmp_path}/run{seed}/cells/trained-head" for seed in range(2)]
    systems = read_systems([f"{tmp_path}/run0/cells/base", *heads])

    assert [(system.label, len(system.results["d", "test"])) for system in systems] == [("base", 1), ("head", 2)]


def test_over_datasets_each_weighs_the_same(tmp_path: Path) -> None:
    add(tmp_path, "base", "large", [0.5] * 30)
    add(tmp_path, "base", "small", [0.5] * 2)
    add(tmp_path, "head", "large", [0.6] * 30)
    add(tmp_path, "head", "small", [0.1, 0.3])
    add(tmp_path, "partial", "large", [0.6] * 30)

    systems = [system for system in read_systems([str(tmp_path)]) if system.label != "partial"]
    rows = {(row.dataset, row.label): row for row in compare_systems(systems, "base")}

    average = rows[None, "head"]
    assert average.score == pytest.approx((0.6 + 0.2) / 2)
    assert average.against is not None and average.against.difference == pytest.approx((0.1 - 0.3) / 2)
    assert average.against.low < average.against.difference < average.against.high
    with_partial = compare_systems(read_systems([str(tmp_path)]), "base")
    assert [row.label for row in with_partial if row.dataset == "small"] == ["base", "head"]
    assert not any(row.dataset is None for row in with_partial), "one dataset in common is no average"


def test_the_forums_of_cqadupstack_are_one_dataset(tmp_path: Path) -> None:
    forums = [part.name for part in datasets()["cqadupstack"].parts]
    for i, forum in enumerate(forums):
        add(tmp_path, "base", forum, [0.5] * (i + 1))
        add(tmp_path, "head", forum, [0.5 + i / 100] * (i + 1))
    add(tmp_path, "base", "scifact", [0.5])
    add(tmp_path, "head", "scifact", [0.4])

    rows = {(row.dataset, row.label): row for row in compare_systems(read_systems([str(tmp_path)]), "base")}

    assert list(rows) == [(name, label) for name in ("cqadupstack", "scifact", None) for label in ("base", "head")]
    forum_gain = sum(range(12)) / 12 / 100
    for name, gain in (("cqadupstack", forum_gain), (None, (forum_gain - 0.1) / 2)):
        against = rows[name, "head"].against
        assert against is not None
        assert against.difference == pytest.approx(gain)
        assert rows[name, "head"].score == pytest.approx(0.5 + gain)


def test_averages_keep_what_was_trained_on_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gains = {"in1": 0.2, "in2": 0.3, "out1": -0.1, "out2": 0.0, "out3": 0.1}
    for dataset, gain in gains.items():
        domain = "in-domain" if dataset.startswith("in") else "guard" if dataset == "out3" else "out-of-domain"
        add(tmp_path, "base", dataset, [0.5] * 8)
        add(tmp_path, "bm25", dataset, [0.4, 0.5] * 4)
        add(tmp_path, "head", dataset, [0.5 + gain - 0.01, 0.5 + gain + 0.01] * 4, domain)
        add(tmp_path, "other", dataset, [0.5] * 8, "in-domain" if dataset == "out1" else "out-of-domain")

    rows = compare_systems(read_systems([str(tmp_path)]), "base")

    averages = {(row.domain, row.over, row.label): row for row in rows if row.dataset is None}
    head = {domain: row for (domain, _, label), row in averages.items() if label == "head"}
    assert head["in-domain"].over == ("in1", "in2")
    assert head["out-of-domain"].over == ("out1", "out2", "out3")
    for domain, gain in (("in-domain", 0.25), ("out-of-domain", 0.0)):
        against = head[domain].against
        assert against is not None and against.difference == pytest.approx(gain)
    assert [over for (_, over, label) in averages if label == "other"] == [("in1", "in2", "out2", "out3")]
    for domain, over in {(domain, over) for domain, over, _ in averages}:
        assert {"base", "bm25"} <= {label for *group, label in averages if group == [domain, over]}
    assert "head: its weights were chosen with held-out queries of out3" in " ".join(capsys.readouterr().err.split())
    single = {(row.dataset, row.label): row.domain for row in rows if row.dataset is not None}
    assert (single["in1", "head"], single["out3", "head"]) == ("in-domain", "out-of-domain")
    assert (single["in1", "base"], single["in1", "bm25"]) == (None, None)


def test_several_baselines_are_one_family(tmp_path: Path) -> None:
    for label, values in (("base", [0.5] * 7), ("bm25", [0.4] * 7), ("head", [0.6] * 6 + [0.5])):
        add(tmp_path, label, "d", values)
    systems = read_systems([str(tmp_path)])

    rows = compare_systems(systems, ["base", "bm25"])

    found = {(row.baseline, row.label): row for row in rows if row.adjusted is not None}
    assert list(found) == [("base", "bm25"), ("base", "head"), ("bm25", "base"), ("bm25", "head")]
    raw = [row.against.p_value for row in found.values() if row.against is not None]
    assert [row.adjusted.p_value for row in found.values() if row.adjusted is not None] == pytest.approx(holm(raw))
    assert len(compare_systems(systems, ["base", "base"])) == 3


def test_verdicts(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    base = draw.uniform(0.3, 0.6, 400)
    add(tmp_path, "base", "d", base.tolist())
    for label, moved in (("same", 0.001), ("better", 0.05)):
        add(tmp_path, label, "d", (base + moved + draw.normal(0, 0.01, 400)).tolist())
    for seed, moved in enumerate((0.0, 0.2, 0.4)):
        add(tmp_path, f"seeded seed {seed}", "d", (base + moved + draw.normal(0, 0.01, 400)).tolist())
    rows = {row.label: row for row in compare_systems(read_systems([str(tmp_path)]), "base")}
    assert [rows[label].verdict for label in ("base", "same", "better")] == [None, "equivalent within 0.5", "different"]
    seeded = rows["seeded"]
    assert seeded.adjusted is not None and seeded.adjusted.p_across_seeds is not None
    assert seeded.adjusted.p_value < 0.01
    assert seeded.adjusted.p_across_seeds > 0.05
    assert seeded.verdict == "undecided", "other seeds might not show it"
    assert seeded.to_json()["against"]["across_seeds"]["low"] < 0


def test_p_values_are_uniform_where_nothing_differs() -> None:
    draw = np.random.default_rng(0)
    p_values = [
        compare_queries([[draw.normal(size=40)], [draw.normal(size=15)]], M, seed).p_value for seed in range(60)
    ]
    assert 0.35 < np.mean(p_values) < 0.65
    assert min(p_values) < 0.15


def test_many_queries_are_tested_in_little_memory() -> None:
    import tracemalloc

    differences = np.random.default_rng(0).normal(0.001, 1, 20_000)
    tracemalloc.start()
    compare_queries([[differences]], M)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6, "9,999 resamples of 20,000 queries are 1.6 GB"


def test_what_cannot_be_compared_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        read_systems([str(tmp_path / "nowhere")])
    with pytest.raises(UserError, match=r"has no result\.json"):
        read_systems([str(tmp_path)])
    add(tmp_path, "base", "d", [0.5, 0.5])
    add(tmp_path, "head", "d", [0.5, 0.5, 0.5])
    systems = read_systems([str(tmp_path)])
    with pytest.raises(UserError, match="baseline 'x': has no results; choose from base, head"):
        compare_systems(systems, "x")
    with pytest.raises(UserError, match="has no metric 'P@10', only nDCG@10, MRR@10"):
        compare_systems(systems, method=Method("P@10"))
    with pytest.raises(UserError, match="different queries"):
        compare_systems(systems)


def test_commands(tmp_path: Path) -> None:
    add(tmp_path, "base", "d", [0.5, 0.5, 0.5, 0.4, 0.3, 0.2])
    add(tmp_path, "he|ad", "d", [0.6, 0.7, 0.8, 0.5, 0.4, 0.3])
    run = CliRunner().invoke

    done = run(app, ["compare", str(tmp_path), "--json", "--figures", str(tmp_path / "f")], catch_exceptions=False)
    found = json.loads(done.stdout)
    assert (found["baselines"], found["metric"], found["margin"]) == (["base"], M, 0.5)
    row = found["rows"][1]
    assert row["against"]["p_value"] == row["adjusted"]["p_value"] == pytest.approx(2 / 2**6)
    assert row["against"]["effect"] > 1
    assert row["against"]["low"] < row["against"]["difference"] < row["against"]["high"]
    assert 0 < row["against"]["power"] < 1
    assert row["against"]["queries_needed"] > 6
    assert row["verdict"] == "different"
    wilcoxon = ["compare", str(tmp_path), "--json", "--test", "wilcoxon", "--correction", "bh", "--margin", "90"]
    row = json.loads(run(app, wilcoxon, catch_exceptions=False).stdout)["rows"][1]
    assert row["verdict"] == "equivalent within 90"
    shown = run(app, ["compare", str(tmp_path), "--format", "csv"], catch_exceptions=False).stdout
    assert "p (Holm)" in shown
    assert "across seeds" not in shown
    with pytest.raises(UserError, match="--margin 0: must be a number of points above 0"):
        run(app, ["compare", str(tmp_path), "--margin", "0"], catch_exceptions=False)
    assert [Path(path).name for path in found["figures"]] == ["differences-d-test.pdf", "differences-d-test.png"]
    assert all(Path(path).stat().st_size > 1000 for path in found["figures"])

    shown = json.loads(run(app, ["show", str(tmp_path), "--json"], catch_exceptions=False).stdout)["results"]
    assert [row["model"] for row in shown] == ["base", "he|ad"]
    assert shown[0][M] == pytest.approx(0.4)
    csv = run(app, ["show", str(tmp_path), "--csv", "--metric", M], catch_exceptions=False).stdout.splitlines()
    assert csv[0] == "dataset,split,model,nDCG@10"
    assert csv[1].split(",")[:3] == ["d", "test", "base"]
    assert float(csv[1].split(",")[3]) == pytest.approx(0.4)
    markdown = run(app, ["show", str(tmp_path), "--markdown"], catch_exceptions=False).stdout
    assert r"| d | test | he\|ad | **55.00** | **50.00** |" in markdown
    with pytest.raises(UserError, match="cannot be combined"):
        run(app, ["show", str(tmp_path), "--csv", "--json"], catch_exceptions=False)
