"""Opening a collection of millions of documents that was opened before, beside datasets and BEIR's loader.

    python bench/opening.py --folder FOLDER [--documents 5000000] [--runs 5]

Writes a synthetic collection into FOLDER (about 1.2 GB for five million documents), or takes the one that is there.
Each way runs in a process of its own, imports included, and reads one document by its number and, where it can, one by
its id. ragcun and datasets have prepared their files before: an index, an Arrow table. BEIR's loader prepares nothing
and reads all.
"""

import os
import sys
from functools import partial
from pathlib import Path

from measure import Row, of, parser, process, report

from ragcun.data.collection import write_collection

WAYS = {
    "ragcun": """
from ragcun.data.collection import Collection
corpus = Collection.open(folder).corpus
assert corpus.id(corpus.rows([wanted])[0]) == wanted
print(corpus[len(corpus) - 1])
""",
    "datasets": """
from datasets import load_dataset
rows = load_dataset("json", data_files=folder + "/corpus.jsonl", split="train", cache_dir=folder + "/datasets")
print(rows[len(rows) - 1]["text"])
""",
    "beir": """
from beir.datasets.data_loader import GenericDataLoader
corpus, _, _ = GenericDataLoader(folder).load(split="test")
assert wanted in corpus
print(next(reversed(corpus.values()))["text"])
""",
}


def words(number: int) -> str:
    """A text of about 200 characters."""
    return " ".join(f"word{(number * step) % 99_991}" for step in range(1, 24))


def write(folder: Path, documents: int) -> None:
    """Write the collection."""
    write_collection(
        folder,
        ((f"d{i}", f"title {i}", words(i)) for i in range(documents)),
        ((f"q{i}", words(i)) for i in range(1_000)),
        {"test": ((f"q{i}", f"d{i}", 1) for i in range(1_000))},
    )


def opened(name: str, folder: Path, wanted: str) -> tuple[float, float]:
    """Seconds and MiB of a process that opens the collection in the way called `name`."""
    given = f"folder, wanted = {os.fspath(folder)!r}, {wanted!r}"
    seconds, peak, _ = process([sys.executable, "-c", given + WAYS[name]], RAGCUN_CACHE_DIR=os.fspath(folder / "cache"))
    return seconds, peak


def main() -> None:
    """Measure and print."""
    options = parser(__doc__, documents=5_000_000, runs=5)
    options.add_argument("--folder", type=Path, required=True)
    options.add_argument("--peer", choices=["datasets", "beir"], action="append", help="default: both")
    given = options.parse_args()
    folder = given.folder / f"synthetic-{given.documents}"
    if not folder.is_dir():
        write(folder, given.documents)
    size = sum((folder / name).stat().st_size for name in ("corpus.jsonl", "queries.jsonl"))
    rows = []
    for peer in given.peer or ["datasets", "beir"]:
        open_in = {name: partial(opened, name, folder, f"d{given.documents // 2}") for name in ("ragcun", peer)}
        runs = given.runs if peer == "datasets" else 1
        if runs > 1:
            for prepare in open_in.values():
                prepare()
        found = [{name: way() for name, way in open_in.items()} for _ in range(runs)]
        prepared = sum(path.stat().st_size for path in (folder / "cache").rglob("*") if path.is_file())
        rows.append(
            Row(
                layer=f"Opening {given.documents / 1e6:g} million documents, prepared",
                work=f"synthetic, {size / 2**30:.1f} GiB; a whole process; a document by its number, one by its id",
                peer=of(peer) + (", load_dataset, its Arrow files made before" if runs > 1 else ", GenericDataLoader"),
                seconds=[one["ragcun"][0] for one in found],
                peer_seconds=[one[peer][0] for one in found],
                wanted=1,
                least=(2 * prepared, "copy"),
                least_of="the index is read and checked",
                mebibytes=max(one["ragcun"][1] for one in found),
                peer_mebibytes=max(one[peer][1] for one in found),
            )
        )
    report(rows)


if __name__ == "__main__":
    main()
