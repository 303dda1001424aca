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
    expected = {"model", "dataset", "split", "metrics", "settings", "queries", "documents", "seconds"}
    expected |= {"label", "domain", "run", "scores"}
    assert set(row) == expected
    assert (row["model"], row["dataset"], row["split"]) == ("bm25", "animals", "test")
    assert (tmp_path / row["run"]).is_file()
    assert (tmp_path / row["scores"]).is_file()
    again = ragcun(*arguments, cwd=tmp_path)
    assert again.stdout == done.stdout
    assert "indexing" in done.stderr
    assert "indexing" not in again.stderr


def test_the_table_is_the_product(collection: Path, tmp_path: Path) -> None:
    arguments = ["eval", "collection", collection, "--output", "results"]
    label = "a name that is longer than most terminals are wide, " * 3
    done = ragcun(*arguments, "--model", f"{label}=bm25", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "nDCG@10" in done.stdout
    assert label.strip() in done.stdout, "on one line, whatever the width"
    assert "indexing" in done.stderr
    assert "nDCG@10" not in done.stderr


def test_a_misspelt_model_is_told_before_anything_is_done(collection: Path, tmp_path: Path) -> None:
    done = ragcun("eval", "collection", collection, "--model", "bm25", "--model", "bm52", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "bm52: no such model (did you mean bm25?)" in done.stderr
    assert "indexing" not in done.stderr


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
    assert "--memory plenty: must be a size such as 4GiB" in done.stderr
