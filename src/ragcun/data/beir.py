"""`ragcun data beir`: the benchmark's datasets from the hub or from BEIR's archives, as folders in BEIR's layout."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from ragcun.console import say
from ragcun.data.archive import archive_url, download, unpack
from ragcun.data.benchmark import Dataset, datasets, present
from ragcun.data.collection import write_collection
from ragcun.data.finished import SOURCE
from ragcun.data.hub import HubFiles, Snapshot, fetch
from ragcun.data.hub_rows import LINES, TABLES, hub_rows
from ragcun.data.index import numbered_lines
from ragcun.errors import RagcunError, UserError
from ragcun.files import atomic_folder, ragcun_cache
from ragcun.intact import write_record
from ragcun.lock import only_writer

Source = Literal["hub", "zip"]

_SPLITS = {"validation": "dev"}  # the hub's names of splits, and BEIR's


def beir_folder() -> Path:
    """Return the default folder of the datasets."""
    return ragcun_cache() / "beir"


def prepare_dataset(dataset: Dataset, data_dir: Path, source: Source | None = None, offline: bool = False) -> Path:
    """Download `dataset` into `data_dir` if it is missing, and return its folder.

    The folder is complete, with BEIR's counts, or absent. With `source` None, the hub is used, or the archive if the
    hub does not have the dataset. source.json records the origin. A part of a dataset is downloaded with the whole.

    Raises:
        UserError: the dataset may not be redistributed, or is not available from `source`.
        RagcunError: a download failed or has unexpected contents.
    """
    folder = data_dir / dataset.folder
    if present(dataset, data_dir):
        return folder
    if dataset.whole is not None:
        prepare_dataset(datasets()[dataset.whole], data_dir, source, offline)
        return folder
    if dataset.bring is not None:
        raise UserError(f"{dataset.title} may not be redistributed; put it into {folder}: {dataset.bring}")
    chosen = source or ("hub" if dataset.hub is not None else "zip")
    if dataset.hub is None and chosen == "hub":
        raise UserError(f"{dataset.name}: not on the hub; use --from zip")
    if dataset.md5 is None and chosen == "zip":
        raise UserError(f"{dataset.name}: BEIR has no archive of it; use --from hub")
    if offline and chosen == "zip":
        raise RagcunError(f"{dataset.name}: not in {data_dir}, and --offline forbids to download it")
    with only_writer(folder.parent, "ragcun data beir", part=folder.name), atomic_folder(folder) as building:
        origin = (
            _from_hub(dataset, building, offline) if chosen == "hub" else _from_archive(dataset, building, data_dir)
        )
        for inside, part in dataset.folders.items():
            _count(part, building / Path(inside).relative_to(dataset.name), origin["source"])
        made = [path for path in building.rglob("*") if path.is_file()]
        write_record(building / SOURCE, {"dataset": dataset.name, **origin}, made)
    say(f"{folder}: {dataset.title}, {dataset.documents:,} documents")
    return folder


def _from_archive(dataset: Dataset, folder: Path, data_dir: Path) -> dict[str, Any]:
    archive, url = data_dir / f".{dataset.name}.zip", archive_url(dataset.name)
    if not archive.is_file():
        download(url, archive, str(dataset.md5))
    unpack(archive, {inside: folder / Path(inside).relative_to(dataset.name) for inside in dataset.folders})
    archive.unlink()
    return {"source": url, "md5": dataset.md5}


def _from_hub(dataset: Dataset, folder: Path, offline: bool) -> dict[str, Any]:
    repository = str(dataset.hub)
    if dataset.nano:
        texts = fetch(HubFiles(repository, (*TABLES, "qrels/*.parquet"), dataset.revision), offline)
        commits, judgements = {repository: texts.commit}, {dataset.split: _nano_judgements(texts)}
    else:
        texts = fetch(HubFiles(repository, TABLES, dataset.revision, otherwise=LINES), offline)
        qrels = fetch(HubFiles(f"{repository}-qrels", ("*.tsv",)), offline)
        commits = {repository: texts.commit, f"{repository}-qrels": qrels.commit}
        stems = {name: Path(name).stem for name in qrels.names}
        judgements = {_SPLITS.get(stem, stem): _judgements(qrels.folder / name) for name, stem in stems.items()}
    columns = ["_id", "title", "text"]
    corpus = ((row["_id"], row.get("title") or "", row["text"] or "") for row in hub_rows(texts, "corpus", columns))
    queries = ((row["_id"], row["text"]) for row in hub_rows(texts, "queries", ["_id", "text"]))
    write_collection(folder, corpus, queries, judgements)
    return {"source": repository, "commits": commits}


def _judgements(path: Path) -> Iterator[tuple[str, str, int]]:
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.reader(stream, delimiter="\t")
        next(rows)
        yield from ((query, document, int(float(grade))) for query, document, grade in rows)


def _nano_judgements(texts: Snapshot) -> Iterator[tuple[str, str, int]]:
    return ((row["query-id"], row["corpus-id"], 1) for row in hub_rows(texts, "qrels", ["query-id", "corpus-id"]))


def _count(dataset: Dataset, folder: Path, source: str) -> None:
    """Raise if the numbers of lines differ from the benchmark's numbers of documents and judgements."""
    qrels = folder / "qrels" / f"{dataset.split}.tsv"
    if not qrels.is_file():
        raise RagcunError(
            f"{source}: has no judgements for split {dataset.split} of {dataset.title}; the download was discarded"
        )
    found = {"documents": _lines(folder / "corpus.jsonl"), "judgements": _lines(qrels) - 1}
    wrong = [
        f"{found[what]:,} {what} instead of {count:,}"
        for what, count in (("documents", dataset.documents), ("judgements", dataset.judgements))
        if count is not None and found[what] != count
    ]
    if wrong:
        raise RagcunError(f"{source}: not BEIR's {dataset.title} ({'; '.join(wrong)}); the download was discarded")


def _lines(path: Path) -> int:
    with path.open("rb") as stream:
        return sum(1 for _, _, _ in numbered_lines(stream))
