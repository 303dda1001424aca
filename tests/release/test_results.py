"""Results for other tools: MTEB's files are read back, by MTEB where it is there; runs with metadata say the same."""

import json
from pathlib import Path

import pytest
import pytrec_eval

from ragcun.errors import UserError
from ragcun.evaluation.mteb import read_mteb, tasks, write_mteb
from ragcun.evaluation.results import Cell, Result, read_results
from ragcun.evaluation.tables import benchmark_table, with_published
from ragcun.release.ir_metadata import END, START, write_runs
from ragcun.release.mteb import model_meta
from ragcun.report.write import write_tables
from ragcun.retrieval.runs import read_run

METRICS = {"nDCG@10": 0.6450816521455768, "MRR@10": 0.6, "Recall@100": 0.925, "MAP@100": 0.6, "P@10": 0.09}


def written(folder: Path, dataset: str, split: str = "test") -> Result:
    cell = Cell(folder, "Ours", dataset, split)
    cell.path.parent.mkdir(parents=True)
    settings = {"model": "/home/me/ours", "similarity": "euclidean", "dimension": 8, "prompts": {"query": ""}}
    result = Result("Ours", dataset, split, METRICS, settings, cell.path, "/home/me/ours", 2, 3, 1.5)
    result.run.write_text("q1 Q0 d1 1 2.5 Ours\nq1 Q0 a%20b 2 1 Ours\nq2 Q0 d1 1 0.5 Ours\n", "utf-8")
    result.scores.write_bytes(b"")
    environment = {"packages": {"ragcun": "1"}, "platform": "here", "hardware": {"processor": "one", "cores": 2}}
    cell.write(result, {"retriever": {"files": "f" * 64}, "data": "d"}, {"environment": environment})
    return result


def test_results_go_to_mteb_and_come_back(tmp_path: Path) -> None:
    results = [written(tmp_path / "r", name) for name in ("scifact", "nano-nq", "cqadupstack-gis", "mine")]
    meta = model_meta("lab/ours", results)
    files = write_mteb(results, tmp_path / "mteb", meta)
    home = tmp_path / "mteb" / "results" / "lab__ours" / ("f" * 40)
    names = ("SciFact", "NanoNQRetrieval", "CQADupstackGisRetrieval", "model_meta")
    assert files == [home / f"{name}.json" for name in names]
    content = json.loads((home / "NanoNQRetrieval.json").read_text("utf-8"))
    assert content["dataset_revision"] == tasks()["nano-nq"].revision
    assert content["scores"]["train"][0]["main_score"] == METRICS["nDCG@10"]  # MTEB calls its only split so
    back = {one.dataset: one for one in read_mteb(tmp_path / "mteb")}
    assert set(back) == {"scifact", "nano-nq", "cqadupstack-gis"}
    assert {one.model for one in back.values()} == {"lab/ours"}
    assert {one.split for one in back.values()} == {"test"}
    assert all(one.metrics == METRICS for one in back.values())
    with pytest.raises(UserError, match="MTEB needs the model's name as ORG/MODEL"):
        write_mteb(results, tmp_path, {**meta, "name": "ours"})
    with pytest.raises(UserError, match=r"no task for any of these results: mine \(test\)"):
        write_mteb(results[3:], tmp_path, meta)
    (home / "SciFact.json").write_text("{}", "utf-8")
    with pytest.raises(UserError, match="not a result of MTEB's on SciFact"):
        read_mteb(tmp_path / "mteb")


def test_mteb_s_own_cache_loads_them(tmp_path: Path) -> None:
    mteb = pytest.importorskip("mteb")
    results = [written(tmp_path / "r", name) for name in ("scifact", "nfcorpus")]
    write_mteb(results, tmp_path / "mteb", model_meta("lab/ours", results))
    cache = mteb.ResultCache(tmp_path / "mteb")
    (model,) = cache.load_results().model_results
    assert (model.model_name, model.model_revision) == ("lab/ours", "f" * 40)
    assert {one.task_name: one.get_score() for one in model.task_results} == pytest.approx(
        {"SciFact": METRICS["nDCG@10"], "NFCorpus": METRICS["nDCG@10"]}
    )


def test_a_run_with_metadata_is_the_same_run(tmp_path: Path) -> None:
    result = written(tmp_path / "r", "scifact")
    assert read_results(tmp_path / "r") == [result]
    (path,) = write_runs([result], tmp_path / "runs")
    assert path.name == "scifact.test.trec"
    text = path.read_text("utf-8")
    lines = text.splitlines()
    header = lines[: lines.index(END) + 1]
    assert (header[0], header[-1]) == (START, END)
    components = {line.removeprefix("# ").partition(":")[0] for line in header[1:-1]}
    assert components == {"platform", "research goal", "implementation", "method", "data"}
    assert "/home/me" not in text
    assert read_run(path) == read_run(result.run)
    rest = [line for line in lines if not line.startswith("# ")]
    assert pytrec_eval.parse_run(rest) == pytrec_eval.parse_run(result.run.read_text("utf-8").splitlines())


def test_published_rows_are_marked_and_never_averaged(tmp_path: Path) -> None:
    results = [written(tmp_path / "r", name) for name in ("scifact", "nfcorpus")]
    meta = model_meta("lab/theirs", results)
    write_mteb(results, tmp_path / "mteb", meta)
    table = with_published(benchmark_table(results), read_mteb(tmp_path / "mteb"), results)
    assert list(table.headings) == ["computed here", "published"]
    ours, theirs = table.rows
    assert [cell.value for cell in ours] == ["Ours", METRICS["nDCG@10"], METRICS["nDCG@10"], METRICS["nDCG@10"]]
    assert [cell.value for cell in theirs] == ["lab/theirs", METRICS["nDCG@10"], METRICS["nDCG@10"], None]
    assert [cell.mark for cell in theirs] == ["a", "a", "a", ""]
    assert not any(cell.bold or cell.underlined for cell in theirs)
    assert [note.text for note in table.notes if note.mark == "a"] == [
        f"Published in MTEB's results (mteb 2.26.24, revision {'f' * 40}), not computed here."
    ]
    write_tables(tmp_path / "r", form="markdown", mteb=tmp_path / "mteb")
    assert "lab/theirs" in (tmp_path / "r" / "tables" / "beir.md").read_text("utf-8")
