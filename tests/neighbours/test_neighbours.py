"""`ragcun eval neighbours`: indexes against exact search."""

import json
from pathlib import Path

import pytest

import children


def test_curves_rise_to_exact_search(collection: Path, tiny_model: Path, tmp_path: Path) -> None:
    shared = {"cwd": tmp_path, "RAGCUN_CACHE_DIR": str(tmp_path / "cache")}
    arguments = ("eval", "neighbours", collection, "--model", f"tiny={tiny_model}", "--output", "results")
    done = children.ragcun(*arguments, "--json", **shared)  # type: ignore[arg-type]
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["results"]
    assert {"model", "dataset", "index", "parameter", "value", "nDCG@10", "bytes"} <= set(rows[0])
    curves: dict[str, list[dict[str, float]]] = {}
    for row in rows:
        curves.setdefault(row["index"], []).append(row)
    assert curves["exact"][0]["recall"] == 1
    assert curves["exact"][0]["nDCG@10"] == pytest.approx(rows[0]["nDCG@10 exact"])
    for points in curves.values():
        recalls = [point["recall"] for point in points]
        assert recalls == pytest.approx(sorted(recalls), abs=0.05), "more effort finds more"
    assert curves["hnsw"][-1]["recall"] == 1, "40 documents are few"
    assert curves["sq4"][0]["bytes"] < curves["sq8"][0]["bytes"] < curves["hnsw"][0]["bytes"]
    again = children.ragcun(*arguments, **shared)  # type: ignore[arg-type]
    assert "building" not in again.stderr, "the cells are there"
    assert "At equal recall" in again.stdout
    metric = "Found@10:hnsw=40"
    compared = children.ragcun("eval", "compare", "results/cells-neighbours", "--metric", metric, **shared)  # type: ignore[arg-type]
    assert compared.returncode == 0, compared.stderr
