"""Conversion of any dataset of ir_datasets to a collection in BEIR's layout."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ragcun.console import say
from ragcun.data.collection import is_collection, write_collection
from ragcun.errors import RagcunError, UserError, did_you_mean
from ragcun.lock import only_writer

PREFIX = "irds:"
SPLIT = "test"


def prepare_irds(name: str, data_dir: Path) -> Path:
    """Write the dataset `name` (irds:ID) to a folder in `data_dir` unless it is there; return the folder.

    The judgements become the split "test". A document consists of its title, if it has one, and its text, or of its
    default text in ir_datasets. ir_datasets downloads missing files.

    Raises:
        UserError: ir_datasets is not installed, or it has no such dataset with documents, queries and judgements.
        RagcunError: the download failed.
    """
    id_ = name.removeprefix(PREFIX)
    folder = data_dir / f"irds-{re.sub(r'[^A-Za-z0-9.-]+', '-', id_)}"
    if is_collection(folder):
        return folder
    dataset = _load(id_)
    for part, there in (("documents", dataset.has_docs()), ("queries", dataset.has_queries()),
                        ("judgements", dataset.has_qrels())):  # fmt: skip
        if not there:
            raise UserError(f"{name}: has no {part}; choose a subset that has documents, queries and judgements")
    with only_writer(folder.parent, "ragcun eval", part=folder.name):
        if not is_collection(folder):
            try:
                write_collection(folder, _documents(dataset), _queries(dataset), {SPLIT: _judgements(dataset)})
            except UserError:
                raise
            except Exception as error:  # its downloads raise errors of many types
                reason = " ".join(str(error).split())
                raise RagcunError(f"{name}: ir_datasets failed ({type(error).__name__}: {reason})") from error
            say(f"{folder}: {id_} of ir_datasets")
    return folder


def _load(id_: str) -> Any:
    try:
        import ir_datasets
    except ImportError:
        raise UserError(f"{PREFIX}{id_}: ir_datasets is not installed; run pip install 'ragcun[ir-datasets]'") from None
    try:
        return ir_datasets.load(id_)
    except KeyError:
        hint = did_you_mean(id_, ir_datasets.registry)
        raise UserError(f"{PREFIX}{id_}: ir_datasets has no such dataset{hint}; see https://ir-datasets.com") from None


def _documents(dataset: Any) -> Iterator[tuple[str, str, str]]:
    for one in dataset.docs_iter():
        titled = isinstance(getattr(one, "title", None), str) and isinstance(getattr(one, "text", None), str)
        yield (one.doc_id, one.title, one.text) if titled else (one.doc_id, "", one.default_text())


def _queries(dataset: Any) -> Iterator[tuple[str, str]]:
    return ((one.query_id, one.default_text()) for one in dataset.queries_iter())


def _judgements(dataset: Any) -> Iterator[tuple[str, str, int]]:
    return ((one.query_id, one.doc_id, one.relevance) for one in dataset.qrels_iter())
