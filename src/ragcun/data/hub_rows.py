"""Corpora and queries as the hub's repositories of collections hold them."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq

from ragcun.data.hub import Snapshot

TABLES = ("corpus/*.parquet", "queries/*.parquet")
LINES = ("corpus.jsonl.gz", "queries.jsonl.gz")  # a repository may hold both
_ROWS = 4_096


def hub_rows(texts: Snapshot, what: str, columns: list[str]) -> Iterator[dict[str, Any]]:
    """The rows of the "corpus", the "queries" or the "qrels", from Parquet files or compressed JSON Lines, streamed."""
    tables = [name for name in texts.names if name.startswith(f"{what}/")]
    for name in tables:
        with pq.ParquetFile(texts.folder / name) as file:
            there = [column for column in columns if column in file.schema_arrow.names]
            for batch in file.iter_batches(batch_size=_ROWS, columns=there):
                yield from batch.to_pylist()
    if not tables:
        with gzip.open(texts.folder / f"{what}.jsonl.gz", "rt", encoding="utf-8") as stream:
            yield from map(json.loads, stream)
