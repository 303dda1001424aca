"""Vectors on disk are searched as those in memory are, within a budget."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ragcun.errors import UserError
from ragcun.retrieval.matrices import VectorFile
from ragcun.retrieval.memory import parse_memory, portions
from ragcun.retrieval.search import SIMILARITIES, search

# Searches vectors of which the budget lets a part be resident, and prints budget and peak.
BOUNDED = """
import re, sys
from pathlib import Path
import numpy as np, psutil
from ragcun.embedding.store import EmbeddingStore
from ragcun.retrieval.matrices import VectorFile
from ragcun.retrieval.search import search

class Stored:
    def __init__(self, folder):
        self.store = EmbeddingStore(folder, {})
        self.order = np.random.default_rng(0).permutation(len(self.store))
        self.shape = len(self.store), 256
    def block(self, start, stop):
        return self.store.read(self.order[start:stop])
    def rows(self, index):
        return self.store.read(self.order[index])

documents = (VectorFile if sys.argv[1] == "file" else Stored)(Path(sys.argv[2]))
queries = np.random.default_rng(1).standard_normal((64, 256), dtype=np.float32)
search(queries, queries, 10, "euclidean")
memory = psutil.Process().memory_info().rss + 96 * 2**20
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
search(queries, documents, 100, "euclidean", memory=memory)
print(memory, 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]))
"""


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_file_gives_what_the_same_vectors_in_memory_give(
    similarity: str, dtype: type[np.floating], tmp_path: Path
) -> None:
    draw = np.random.default_rng(0)
    vectors = draw.standard_normal((700, 8)).astype(dtype)
    vectors[350:] = vectors[:350]  # each twice: ties throughout
    np.save(tmp_path / "vectors.npy", vectors)
    queries, places = draw.standard_normal((20, 8), dtype=np.float32), draw.permutation(700)
    expected = search(queries, vectors.astype(np.float32), 30, similarity, places=places)
    found = search(
        queries, VectorFile(tmp_path / "vectors.npy"), 30, similarity, places=places, query_block=7, document_block=99
    )
    assert np.array_equal(found.rows, expected.rows)
    assert np.array_equal(found.scores, expected.scores)
    assert (found.scores[:, ::2] == found.scores[:, 1::2]).all(), "no ties: the test shows nothing"


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak is Linux' own count")
@pytest.mark.parametrize("kind", ["file", "store"])
def test_resident_memory_stays_within_the_budget(kind: str, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    if kind == "file":
        source = tmp_path / "vectors.npy"
        np.save(source, draw.standard_normal((180_000, 256), dtype=np.float32))
    else:
        from ragcun.embedding.store import EmbeddingStore

        source = tmp_path
        store = EmbeddingStore(tmp_path, {})
        for _ in range(3):
            digests = draw.integers(0, 2**63, (60_000, 2)).astype(np.uint64)
            store.append(digests, draw.standard_normal((60_000, 256), dtype=np.float32))
    size = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    done = subprocess.run([sys.executable, "-c", BOUNDED, kind, source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    memory, peak = map(int, done.stdout.split())
    assert size > 1.5 * 96 * 2**20, "all of it fits: the test shows nothing"
    assert memory - 96 * 2**20 < peak < memory


def test_what_is_in_hand_shrinks_with_the_budget_until_nothing_fits() -> None:
    sizes = [portions(2**60, 7_000, 10**6, 512, 1_032, threads, 512, 4096) for threads in (1, 64)]
    assert [size.documents for size in sizes] == [4096, 4096]
    assert [size.queries for size in sizes] == [512, 110]
    tight = portions(5 * 2**30, 100_000, 10**7, 512, 1_032, 64, 512, 4096)
    assert tight.queries < 512
    assert 256 <= tight.documents < 4096
    with pytest.raises(UserError, match=r"100,000 queries does not fit.*--memory \d+MiB") as refused:
        portions(2**30, 100_000, 10**7, 512, 1_032, 64, 512, 4096)
    enough = parse_memory(str(refused.value).split("--memory ")[1].split()[0])
    assert portions(enough, 100_000, 10**7, 512, 1_032, 64, 512, 4096).documents >= 256
    assert portions(None, 1, 1, 3, 1, 8, 512, 4096).documents == 4096
    assert portions(None, 10**6, 10**7, 512, 1_032, 64, 512, 4096).documents >= 256


@pytest.mark.parametrize(("text", "size"), [("4GiB", 2**32), ("500 MB", 500_000_000), ("1024", 1024)])
def test_sizes(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["four", "-1GiB", ""])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UserError, match="not a size such as 4GiB"):
        parse_memory(text)


def test_files_that_hold_no_vectors(tmp_path: Path) -> None:
    path = tmp_path / "vectors.npy"
    with pytest.raises(UserError, match=r"vectors\.npy: No such file"):
        VectorFile(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match=r"vectors\.npy: not a \.npy file"):
        VectorFile(path)
    for wrong in (np.ones((3, 2)), np.ones(3, np.float32), np.ones((3, 2), np.float32, order="F")):
        np.save(path, wrong)
        with pytest.raises(UserError, match=r"float32 or float16 of shape \(n, d\) is needed"):
            VectorFile(path)
    np.save(path, np.ones((3, 2), np.float32))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="cut short"):
        VectorFile(path)
