"""Two gloo processes that share the documents find what one finds, and leave the same files."""

import json
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest

from children import in_two_processes
from ragcun.evaluation.beir import evaluate
from ragcun.evaluation.results import Result
from ragcun.retrieval.distributed import distributed_search
from ragcun.retrieval.memory import Resources
from ragcun.retrieval.retrievers import RetrieverOptions

SCRIPT = Path(__file__).with_name("two_processes.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("two processes")


@pytest.fixture(scope="module")
def of_one(folder: Path, collection: Path, tiny_model: Path) -> list[Result]:
    """Results of one process, in FOLDER/one; of a cell of them, a copy is in FOLDER/two."""
    models = [str(tiny_model), "bm25", f"rrf:bm25+{tiny_model}"]
    results = evaluate(models, [collection], folder / "one", RetrieverOptions(folder / "store", device="cpu"))
    shutil.copytree(folder / "one" / "cells" / "BM25", folder / "two" / "cells" / "BM25")
    return results


@pytest.fixture(scope="module")
def told(folder: Path, of_one: list[Result], collection: Path) -> list[tuple[str, str]]:
    """What two processes wrote to standard output and error; their results are in FOLDER/two."""
    arguments = ["eval", "beir", "--datasets", collection.name, "--data-dir", collection.parent, "--device", "cpu"]
    arguments += [*(argument for result in of_one for argument in ("--model", result.model)), "--json"]
    arguments += ["--output", folder / "two", "--store", folder / "store of two"]
    ended = in_two_processes(SCRIPT, folder, *arguments, RAGCUN_CACHE_DIR=str(folder / "cache"), TMPDIR=str(folder))
    assert [done.returncode for done in ended] == [0, 0], ended
    return [(done.stdout, done.stderr) for done in ended]


@pytest.mark.long
def test_two_processes_find_what_one_finds(folder: Path, told: list[tuple[str, str]]) -> None:
    cases = runpy.run_path(str(SCRIPT))["cases"]()
    assert len(cases) == 7
    for rank in range(2):
        with np.load(folder / f"rank{rank}.npz") as found:
            assert "different searches; nothing was merged" in str(found["refused"])
            for name, case in cases.items():
                expected = distributed_search(**case, resources=Resources())
                assert np.array_equal(found[f"{name}/rows"], expected.rows), name
                assert np.array_equal(found[f"{name}/scores"], expected.scores), name
    ties = distributed_search(**cases["ties euclidean"], resources=Resources())
    assert (ties.scores[:, -1] == ties.scores[:, -2]).any(), "no ties: the test shows nothing"


@pytest.mark.long
def test_the_first_of_two_processes_writes_what_one_writes_and_speaks(
    folder: Path, of_one: list[Result], told: list[tuple[str, str]]
) -> None:
    (output, errors), silent = told
    assert silent == ("", "")
    rows = json.loads(output)["results"]
    assert [row["metrics"] for row in rows] == [result.metrics for result in of_one]
    assert "searching: 20 documents" in errors, "each searches half of 40"
    assert errors.splitlines()[1].startswith(f"{of_one[0].label} on animals (test)")
    assert "\nBM25 on animals" not in errors, "that cell was there"
    for result in of_one:
        found = folder / "two" / result.run.relative_to(folder / "one")
        assert found.read_text("utf-8") == result.run.read_text("utf-8")
