"""The benchmark's datasets and one's own, side by side: which split, which counts, and what happens when one fails."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hub import Hub, beir_repositories
from ragcun.cli.evaluate import app, scoring
from ragcun.data.benchmark import Dataset, datasets
from ragcun.data.collection import Collection, write_collection
from ragcun.embedding import encode
from ragcun.embedding.store import describe_stores
from ragcun.errors import Failure, UserError, exit_code
from ragcun.evaluation import beir, compute
from ragcun.evaluation.beir import evaluate_tasks, identify_all
from ragcun.evaluation.results import average_parts
from ragcun.evaluation.tasks import choose, open_task, open_tasks
from ragcun.report.write import write_tables
from ragcun.retrieval.retrievers import RetrieverOptions


@pytest.fixture
def encoding(tmp_path: Path) -> RetrieverOptions:
    return RetrieverOptions(tmp_path / "store", device="cpu")


@pytest.fixture
def animals(collection: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(collection, tmp_path / "data" / "animals"))


def entry(name: str, documents: int = 40, queries: int = 8, split: str = "test", **facts: Any) -> Dataset:
    """A dataset of the benchmark with as many of all as `animals` has."""
    facts |= {"title": name.title(), "words": (4.0, 9.0), "domain": "toys", "task": "play", "citation": "Nobody"}
    counts = {"documents": documents, "queries": queries, "judgements": queries}
    return Dataset(**{"name": name, "split": split, "own_document": False, **counts, **facts})


def two_thirds(folder: Path, wrong: int) -> Path:
    """A collection of three queries, each about its document, but `wrong` of them judged with another's."""
    words = ["ant", "bear", "cat"]
    qrels = [(f"q{i}", f"d{(i + 1) % 3 if i < wrong else i}", 1) for i in range(3)]
    corpus = [(f"d{i}", "", word) for i, word in enumerate(words)]
    return write_collection(folder, corpus, [(f"q{i}", word) for i, word in enumerate(words)], {"test": qrels})


def test_names_mean_datasets_groups_and_folders(animals: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, table = animals.parent, datasets()
    shutil.copytree(animals, data / "dbpedia")
    assert choose(["animals", "msmarco", "Touche-2020"], data) == [
        animals,
        table["msmarco"],
        table["webis-touche2020"],
    ]
    assert choose(["dbpedia"], data) == [data / "dbpedia"]  # a folder's very name goes before an alias
    assert choose(["dbpedia-entity", "nano-nq"], data) == [table["dbpedia-entity"], table["nano-nq"]]
    physics = next(part for part in table["cqadupstack"].parts if part.name == "cqadupstack-physics")
    assert choose(["CQADupStack/physics", "animals", "cqadupstack-physics"], data) == [physics, animals]
    assert choose(["cqadupstack-physics", "cqa"], data) == [table["cqadupstack"]]  # which has it
    assert [len(choose([group], data)) for group in ("all", "public", "nanobeir")] == [19, 15, 13]
    assert choose(["scifact", "small", "animals"], data) == [
        table["scifact"],
        *(dataset for dataset in table.values() if dataset.small and dataset.name != "scifact"),
        animals,
    ]
    monkeypatch.chdir(data.parent)
    assert choose(["data/animals", str(animals)], data / "none") == [Path("data/animals")]
    monkeypatch.chdir(data)
    assert choose(["animals"], data / "none") == [Path("animals")]
    (data / "scifact").mkdir()
    assert choose(["scifact"], data / "none") == [table["scifact"]]  # whatever lies here
    shutil.copytree(animals, data / "elsewhere" / "animals")
    assert choose(["./animals", "animals"], data / "elsewhere") == [Path("animals"), data / "elsewhere" / "animals"]
    assert choose(["./scifact", "../data/scifact"], data / "none") == [Path("scifact")]
    (data / "scifact").rmdir()
    shutil.copytree(animals, data / "cqadupstack" / "physics")
    assert choose(["cqadupstack/physics"], data) == [physics]  # also once it is there
    shutil.rmtree(data / "cqadupstack")
    with pytest.raises(UserError, match=r"no collection 'plants'; it has animals, dbpedia, and `ragcun data beir ls`"):
        choose(["animals", "plants"], data)
    with pytest.raises(UserError, match=r"no collection 'scifcat' \(did you mean scifact\?\); it has animals"):
        choose(["scifcat"], data)
    with pytest.raises(UserError, match=r"no collection 'animal' \(did you mean animals\?\)"):
        choose(["animal"], data)
    with pytest.raises(UserError, match="no dataset was given"):
        choose([], data)


def test_each_dataset_has_its_own_split_and_counts(animals: Path) -> None:
    data = animals.parent
    right = [entry("animals", split="dev"), entry("animals", split="test"), animals]
    for one, split in zip(right, ("dev", "test", "test"), strict=True):
        (task,), failures = open_tasks([one], data_dir=data)
        assert (task.split, failures) == (split, [])
        assert task.data == Collection.open(animals).fingerprint(split)
    (task,), _ = open_tasks([entry("animals", queries=99)], split="train", data_dir=data)
    assert task.split == "train"  # whose counts are not known
    wrong = [
        entry("animals", documents=41),
        entry("animals", queries=9, judgements=8),
        entry("animals", judgements=7),
        entry("animals", split="sealed"),
        entry("robust04", bring="ask NIST"),
        data / "nowhere",
    ]
    tasks, failures = open_tasks([*wrong, animals], data_dir=data)
    assert [task.collection.path for task in tasks] == [animals]
    said = [
        "not BEIR's Animals (40 documents instead of 41); to evaluate your own collection, use",
        "8 judged queries instead of 9",
        "8 judgements instead of 7",
        "has no split 'sealed'; its splits are dev, test, train",
        f"put it into {data / 'robust04'}: ask NIST",
        "no such folder",
    ]
    for failure, words in zip(failures, said, strict=True):
        assert words in failure.error
        assert (failure.exit_code, "\n" in failure.error) == (2, False)


def test_documents_without_text_are_the_benchmark_s_own(animals: Path) -> None:
    with (animals / "corpus.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"_id": "e1", "title": "", "text": ""}\n{"_id": "e2", "text": " "}\n')
    (task,), failures = open_tasks([entry("animals", documents=42)], data_dir=animals.parent)
    assert failures == []
    assert (len(task.collection.corpus), task.collection.problems.counts) == (40, {"empty text": 2})
    with (animals / "corpus.jsonl").open("a", encoding="utf-8") as stream:
        stream.write("not JSON\n")
    _, (failure,) = open_tasks([entry("animals", documents=43)], data_dir=animals.parent)
    assert failure.error.startswith("bad JSON: 1 (first at")
    (task,), _ = open_tasks([entry("animals", documents=43)], on_error="skip", data_dir=animals.parent)
    assert len(task.collection.corpus) == 40


def test_forums_are_cells_of_their_own_and_one_line_of_the_table(
    encoding: RetrieverOptions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, forums = tmp_path / "data", datasets()["cqadupstack"]
    parts = tuple(replace(part, documents=3, queries=3, judgements=3) for part in forums.parts)
    for number, part in enumerate(parts):
        two_thirds(data / "cqadupstack" / part.name.removeprefix("cqadupstack-"), wrong=number % 4)
    two_thirds(data / "other", wrong=0)
    tasks, failures = open_tasks([replace(forums, parts=parts), data / "other"], data_dir=data)
    assert (len(tasks), failures) == (13, [])
    (forum,), failures = open_tasks(parts[:1], data_dir=data)
    assert (forum.collection.path, failures) == (data / "cqadupstack" / "android", [])
    output = tmp_path / "results"
    results = evaluate_tasks(identify_all(["bm25"], encoding), tasks, output, encoding)
    assert results[0].run == output / "cells/BM25/cqadupstack-android/test/run.trec"
    whole, other = average_parts(results)
    assert (whole.dataset, whole.label, whole.split, other.dataset) == ("cqadupstack", "BM25", "test", "other")
    assert whole.metrics["MRR@10"] == pytest.approx((3 / 3 + 2 / 3 + 1 / 3 + 0) / 4)
    assert average_parts(results[1:]) == results[1:]  # one forum is missing
    scoring.tell(results, [], output, json=True)
    row = json.loads(capsys.readouterr().out)["results"][0]
    assert (row["dataset"], row["queries"], row["metrics"]) == ("cqadupstack", 36, whole.metrics)
    assert [part["scores"] for part in row["parts"]] == [str(result.scores) for result in results[:12]]
    shown = CliRunner().invoke(app, ["show", str(output), "--csv", "--metric", "MRR@10"]).stdout
    assert shown == "dataset,split,model,MRR@10\ncqadupstack,test,BM25,0.5\nother,test,BM25,1.0\n"
    table = write_tables(output)[0].read_text(encoding="utf-8")
    assert "android" not in table
    row = next(line for line in table.splitlines() if line.startswith("BM25"))
    assert re.findall(r"\d+\.\d", row) == ["50.0", "100.0", "75.0"]


def test_a_shared_corpus_is_encoded_once(
    collection: Path, tiny_model: Path, encoding: RetrieverOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Collection.open(collection)
    corpus = [(given.corpus.id(row), "", given.corpus[row]) for row in range(40)]
    fever = write_collection(tmp_path / "fever", corpus, [("1", "red ant")], {"test": [("1", "d0", 1)]})
    climate = write_collection(tmp_path / "climate", corpus[::-1], [("2", "blue sea")], {"test": [("2", "d1", 1)]})
    encoded: list[str] = []
    run = encode._Workers.run

    def counted(self: Any, batches: Iterable[Any]) -> Any:
        for batch, vectors in run(self, iter(batches)):
            encoded.extend(batch.text(place) for place in range(len(batch)))
            yield batch, vectors

    monkeypatch.setattr(encode._Workers, "run", counted)
    models = identify_all([str(tiny_model)], encoding)
    tasks, _ = open_tasks([fever, climate])
    evaluate_tasks(models, tasks[:1], tmp_path / "results", encoding)
    assert len(encoded) == 41
    encoded.clear()
    evaluate_tasks(models, tasks, tmp_path / "results", encoding)
    assert encoded == ["blue sea"]
    assert sum(store["texts"] for store in describe_stores(encoding.store)) == 42


def test_a_cell_that_fails_is_told_and_the_rest_goes_on(
    animals: Path,
    encoding: RetrieverOptions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    others = [Path(shutil.copytree(animals, animals.parent / name)) for name in ("b", "c")]
    tasks = [open_task(Collection.open(folder), "test") for folder in (animals, *others)]
    models = identify_all(["bm25", "bm25:k1=2"], encoding)
    write_run = compute.write_run

    def full(path: Path, *arguments: Any, **named: Any) -> None:
        if path.parts[-3] == "b":
            raise OSError(28, "No space left on device")
        write_run(path, *arguments, **named)

    monkeypatch.setattr(compute, "write_run", full)
    failures: list[Any] = []
    results = evaluate_tasks(models, tasks, tmp_path / "results", encoding, failures)
    assert [(result.model, result.dataset) for result in results] == [
        (model, dataset) for model in ("bm25", "bm25:k1=2") for dataset in ("animals", "c")
    ]
    assert [(failure.model, failure.dataset, failure.exit_code) for failure in failures] == [
        ("bm25", "b", 1),
        ("bm25:k1=2", "b", 1),
    ]
    said = capsys.readouterr().err
    assert "warning: bm25 on b: No space left on device; free some space" in said
    assert "on c (test), 6 of 6, about " in said
    with pytest.raises(OSError, match="No space"):
        evaluate_tasks(models, tasks, tmp_path / "results", encoding)


def test_a_model_that_cannot_be_had_is_told_once_and_the_rest_goes_on(
    animals: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Path(shutil.copytree(tiny_model, tmp_path / "broken"))
    (broken / "model.safetensors").write_bytes(b"no weights")
    other = Path(shutil.copytree(animals, animals.parent / "other"))
    loads: list[str] = []

    def load(name: str, encoding: RetrieverOptions) -> Any:
        loads.append(name)
        return load_retriever(name, encoding)

    load_retriever = beir.load_retriever
    monkeypatch.setattr(beir, "load_retriever", load)

    def score(*models: str | Path) -> Any:
        asked = [str(word) for model in models for word in ("--model", model)]
        folders = ["--output", str(tmp_path / "results"), "--store", str(tmp_path / "store")]
        return CliRunner().invoke(app, ["collection", str(animals), str(other), *asked, *folders, "--json"])

    done = score("bm25", broken, tiny_model, "lab/away", "bm25:k1=2")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    models = ("bm25", str(tiny_model), "bm25:k1=2")
    assert [(row["model"], row["dataset"]) for row in found["results"]] == [
        (model, folder.name) for model in models for folder in (animals, other)
    ]
    assert [(failure["model"], failure["dataset"]) for failure in found["failures"]] == [
        ("lab/away", None),
        (str(broken), None),
    ]
    assert loads == ["bm25", str(broken), str(tiny_model), "bm25:k1=2"]
    assert f"warning: {broken}: cannot be loaded as a model" in done.stderr
    assert "4 of 6" in done.stderr  # what cannot be had is not counted

    nothing = score("./nowhere")
    assert (nothing.exit_code, json.loads(nothing.stdout)["results"]) == (2, [])
    misspelt = score("bm25", "bm25:k2=1")
    assert isinstance(misspelt.exception, UserError)
    assert not misspelt.stdout


def test_two_collections_of_one_name_are_refused(animals: Path, encoding: RetrieverOptions, tmp_path: Path) -> None:
    twin = Path(shutil.copytree(animals, tmp_path / "elsewhere" / "animals"))
    tasks, _ = open_tasks([animals, twin])
    with pytest.raises(UserError, match="would both be called 'animals'"):
        evaluate_tasks(identify_all(["bm25"], encoding), tasks, tmp_path / "results", encoding)


def test_the_time_that_is_left() -> None:
    assert beir._place([("a", 10)], []) == ""
    assert beir._place([("a", 10), ("a", 30)], []) == ", 1 of 2"
    assert beir._place([("a", 10), ("a", 1_000), ("a", 2_000)], [60.0]) == ", 2 of 3, about 5.0 h left"
    two = [("fast", 10), ("slow", 10), ("slow", 30), ("slower", 10)]
    assert beir._place(two, [1.0]) == ", 2 of 4", "the pace of one model says nothing about another"
    assert beir._place(two, [1.0, 60.0]) == ", 3 of 4, about 3 min left for this model"


def test_the_exit_code() -> None:
    mistake, failure = Failure.of("a", UserError("no split")), Failure.of("b", OSError("disk"))
    assert [exit_code(given, done=False) for given in ([], [mistake], [failure, mistake])] == [0, 2, 1]
    assert [exit_code(given, done=True) for given in ([], [mistake], [failure])] == [0, 1, 1]


@pytest.mark.long
def test_the_command(collection: Path, tmp_path: Path) -> None:
    def ragcun(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        variables = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
        variables["RAGCUN_CACHE_DIR"] = str(tmp_path / "cache")
        command = [sys.executable, "-m", "ragcun", "eval", *map(str, arguments), "--model", "bm25", "--json"]
        environment = {**os.environ, **variables}
        return subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=tmp_path)

    repositories = beir_repositories(tmp_path, datasets()["nano-scidocs"]) | {"BeIR/quora": tmp_path}
    with Hub(datasets=repositories, gated=frozenset({"BeIR/quora"})).serve() as hub:
        some = ragcun("beir", "--datasets", "quora,robust04,nano-scidocs")
        downloads = [request for request in hub.requests if "/datasets/" in request]
        away = ragcun("beir", "--datasets", "nano-nq,nano-scidocs", "--offline")
        unknown = ragcun("beir", "--datasets", "nano-scidocs", "--model", "no-such-model")
        own = ragcun("collection", collection, tmp_path / "nowhere", "--split", "dev")
        assert [request for request in hub.requests if "/datasets/" in request] == downloads
    assert [done.returncode for done in (some, away, unknown, own)] == [1, 1, 1, 1], some.stderr
    (row,), failures = json.loads(some.stdout)["results"], json.loads(some.stdout)["failures"]
    assert (row["dataset"], row["split"], row["documents"], row["queries"]) == ("nano-scidocs", "test", 2_210, 50)
    assert (tmp_path / row["run"]).is_file()
    assert [(failure["dataset"], failure["model"]) for failure in failures] == [("quora", None), ("robust04", None)]
    assert "gated; accept its licence" in failures[0]["error"]
    assert json.loads(away.stdout)["results"] == [row]
    assert "nano-nq: zeta-alpha-ai/NanoNQ at 77540146379a" in away.stderr
    assert json.loads(unknown.stdout)["results"] == [row]
    assert "no such folder" in unknown.stderr
    (row,) = json.loads(own.stdout)["results"]
    assert (row["dataset"], row["split"], row["queries"]) == ("animals", "dev", 8)
    assert "no such folder" in json.loads(own.stdout)["failures"][0]["error"]
    for done in (some, away, unknown, own):
        assert "Traceback" not in done.stderr


@pytest.mark.collections
def test_real_collections_are_the_benchmark_s() -> None:
    folder = os.environ.get("RAGCUN_COLLECTIONS")
    if folder is None:
        pytest.skip("RAGCUN_COLLECTIONS is not set: no real collections to count")
    tasks, failures = open_tasks(choose(["scifact", "nfcorpus"], Path(folder)), data_dir=Path(folder))
    assert (len(tasks), failures) == (2, [])
