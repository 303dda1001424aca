"""Rows of the hub's files, streamed by `datasets`: Parquet, or JSON Lines, compressed or not."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from ragcun.data.hub import Snapshot

TABLES = ("corpus/*.parquet", "queries/*.parquet")
LINES = ("corpus.jsonl.gz", "queries.jsonl.gz")  # the files of a repository without Parquet
_ROWS = 4_096


def hub_rows(texts: Snapshot, what: str, columns: list[str]) -> Iterator[dict[str, Any]]:
    """Stream the rows of the "corpus", the "queries" or the "qrels" of a collection's repository."""
    tables = [texts.folder / name for name in texts.names if name.startswith(f"{what}/")]
    if not tables:
        yield from json_lines(texts.folder / f"{what}.jsonl.gz")
        return
    with closing(stream("parquet", tables).iter(_ROWS)) as batches:
        for batch in batches:
            yield from batch.select([name for name in columns if name in batch.column_names]).to_pylist()


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Stream the objects of a JSON Lines file. Lines are parsed one by one, so objects may have different keys."""
    with closing(stream("text", [path]).iter(_ROWS)) as batches:
        for batch in batches:
            yield from map(json.loads, batch["text"].to_pylist())


def stream(kind: str, files: list[Path]) -> Any:
    """Open local files of a kind ("parquet" or "text") as a `datasets.IterableDataset` of Arrow tables."""
    from datasets import load_dataset

    paths = [str(path) for path in files]
    return load_dataset(kind, data_files=paths, split="train", streaming=True).with_format("arrow")
