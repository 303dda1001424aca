"""`ragcun eval beir` as its user runs it."""

import json
from pathlib import Path
from subprocess import CompletedProcess

import children


def ragcun(*arguments: str | Path, cwd: Path) -> CompletedProcess[str]:
    return children.ragcun(*arguments, cwd=cwd, RAGCUN_CACHE_DIR=str(cwd / "cache"))


def test_json_alone_on_standard_output(collection: Path, tmp_path: Path) -> None:
    arguments = ("eval", "beir", "--datasets", "animals", "--data-dir", collection.parent, "--model", "bm25", "--json")
    done = ragcun(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["results"]
    expected = {"model", "dataset", "split", "metrics", "settings", "queries", "documents", "seconds", "run", "scores"}
    assert set(row) == expected
    assert (row["model"], row["dataset"], row["split"]) == ("bm25", "animals", "test")
    assert (tmp_path / row["run"]).is_file()
    assert (tmp_path / row["scores"]).is_file()
    assert "nDCG@10" in done.stderr
    assert f"{100 * row['metrics']['nDCG@10']:.2f}" in done.stderr
    again = ragcun(*arguments, cwd=tmp_path)
    assert again.stdout == done.stdout
    assert "indexing" in done.stderr
    assert "indexing" not in again.stderr


def test_a_collection_that_is_not_there(collection: Path, tmp_path: Path) -> None:
    done = ragcun(
        "eval", "beir", "--datasets", "plants", "--data-dir", collection.parent, "--model", "bm25", cwd=tmp_path
    )
    assert done.returncode == 2
    assert "no collection 'plants'; it has animals" in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_memory_that_is_no_size(collection: Path, tmp_path: Path) -> None:
    arguments = ("--datasets", "animals", "--data-dir", collection.parent, "--model", "bm25", "--memory", "plenty")
    done = ragcun("eval", "beir", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "--memory plenty: not a size such as 4GiB" in done.stderr
