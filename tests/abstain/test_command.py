"""`ragcun eval abstain` as its user runs it."""

import json
import shutil
from pathlib import Path

import pytest

import children
from ragcun.abstain.tables import assess
from ragcun.errors import UserError
from ragcun.evaluation.results import read_results
from ragcun.intact import CHECKSUM
from tiny import build_collection


def test_cells_are_kept_and_compared(tiny_model: Path, tmp_path: Path) -> None:
    folders = [build_collection(tmp_path / name) for name in ("animals", "plants")]
    for folder in folders:
        shutil.copy(folder / "qrels" / "train.tsv", folder / "qrels" / "test.tsv")
    shared = {"cwd": tmp_path, "RAGCUN_CACHE_DIR": str(tmp_path / "cache")}
    arguments = ("eval", "abstain", *folders, "--model", f"tiny={tiny_model}", "--output", "results")
    done = children.ragcun(*arguments, "--json", **shared)  # type: ignore[arg-type]
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["results"]
    top = next(row for row in rows if (row["dataset"], row["score"]) == ("animals", "top"))
    assert {"model", "label", "dataset", "split", "score", "level", "nDCG@10", "bytes"} <= set(top)
    assert top["bytes"] == 128
    assert top["auroc"] >= 0.5, "taking documents out cannot raise the top similarity"
    assert set(top["other_collections"]) == {"plants"}
    again = children.ragcun(*arguments, **shared)  # type: ignore[arg-type]
    assert again.returncode == 0, again.stderr
    assert "scoring queries" not in again.stderr, "the cells are there"
    assert "On the same collection, thresholds are" in " ".join(again.stdout.split())
    compared = children.ragcun("eval", "compare", "results/cells-abstain", "--metric", "AUROC:top", **shared)  # type: ignore[arg-type]
    assert compared.returncode == 0, compared.stderr
    (record, *_) = sorted((tmp_path / "results" / "cells-abstain").rglob("result.json"))
    content = json.loads(record.read_text().replace('"same_collection"', '"at_home"'))
    record.write_text(json.dumps({name: value for name, value in content.items() if name != CHECKSUM}))
    with pytest.raises(
        UserError, match=r"result\.json: is from an earlier version of ragcun; run `ragcun eval abstain`"
    ):
        assess(read_results(tmp_path / "results" / "cells-abstain"))
    refused = children.ragcun("eval", "abstain", folders[0], "--model", "bm25", **shared)  # type: ignore[arg-type]
    assert refused.returncode == 2
    assert "BM25: has no vectors" in refused.stderr
