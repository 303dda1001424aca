"""A dataset of ir_datasets is a collection like any other. Nothing is downloaded: the dataset is built here."""

from pathlib import Path

import ir_datasets
import pytest

from ragcun.data.collection import Collection
from ragcun.data.irds import prepare_irds
from ragcun.errors import RagcunError, UserError
from ragcun.evaluation.tasks import choose, open_tasks


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A local dataset under an id of its own."""
    files = {
        "docs.tsv": "d1\tA wolf sleeps.\nd2\tBees make honey.\n",
        "queries.tsv": "1\twho makes honey\n2\twho sleeps\n",
        "qrels.txt": "1 0 d2 2\n2 0 d1 1\n2 0 d2 0\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, "utf-8")
    dataset = ir_datasets.create_dataset(
        docs_tsv=str(tmp_path / "docs.tsv"),
        queries_tsv=str(tmp_path / "queries.tsv"),
        qrels_trec=str(tmp_path / "qrels.txt"),
    )
    monkeypatch.setitem(ir_datasets.registry._registered, "mine/small", dataset)
    return "irds:mine/small"


def test_a_dataset_is_written_once_and_evaluated_as_any(registered: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (folder,) = choose([registered], data)
    assert folder == data / "irds-mine-small"
    collection = Collection.open(data / "irds-mine-small")
    assert list(collection.corpus) == ["A wolf sleeps.", "Bees make honey."]
    assert collection.qrels("test") == {"1": {"d2": 2}, "2": {"d1": 1, "d2": 0}}
    before = (data / "irds-mine-small" / "corpus.jsonl").stat().st_mtime_ns
    assert prepare_irds(registered, data) == folder
    assert (data / "irds-mine-small" / "corpus.jsonl").stat().st_mtime_ns == before
    (task,), failures = open_tasks([folder], data_dir=data)
    assert (task.collection.name, task.split, failures) == ("irds-mine-small", "test", [])


def test_what_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"irds:vaswano: ir_datasets has no such dataset \(did you mean vaswani\?\)"):
        prepare_irds("irds:vaswano", tmp_path)
    without = ir_datasets.create_dataset(queries_tsv=str(tmp_path / "q.tsv"))
    monkeypatch.setitem(ir_datasets.registry._registered, "mine/queries", without)
    with pytest.raises(UserError, match="has no documents; choose a subset"):
        prepare_irds("irds:mine/queries", tmp_path)
    broken = ir_datasets.create_dataset(
        docs_tsv=str(tmp_path / "none"), queries_tsv=str(tmp_path / "none"), qrels_trec=str(tmp_path / "none")
    )
    monkeypatch.setitem(ir_datasets.registry._registered, "mine/broken", broken)
    with pytest.raises(RagcunError, match="irds:mine/broken: ir_datasets failed"):
        prepare_irds("irds:mine/broken", tmp_path)
    assert not (tmp_path / "irds-mine-broken").exists()
