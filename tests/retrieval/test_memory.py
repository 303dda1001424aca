"""A search stays within its budget of memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from ragcun.embedding.store import EmbeddingStore
from ragcun.errors import UserError
from ragcun.retrieval.memory import Resources, parse_memory, portions

# Searches vectors of which the budget lets a part be resident, and prints budget and peak.
BOUNDED = """
import re, sys
from pathlib import Path
import numpy as np, psutil
from ragcun.embedding.store import EmbeddingStore
from ragcun.retrieval.memory import Resources
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

documents = Stored(Path(sys.argv[1]))
queries = np.random.default_rng(1).standard_normal((64, 256), dtype=np.float32)
search(queries, queries, 10, "euclidean")
memory = psutil.Process().memory_info().rss + 96 * 2**20
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
search(queries, documents, 100, "euclidean", resources=Resources(memory))
print(memory, 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak is Linux' own count")
def test_resident_memory_stays_within_the_budget(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    store = EmbeddingStore(tmp_path, {})
    for _ in range(3):
        digests = draw.integers(0, 2**63, (60_000, 2)).astype(np.uint64)
        store.append(digests, draw.standard_normal((60_000, 256), dtype=np.float32))
    size = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    done = subprocess.run([sys.executable, "-c", BOUNDED, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    memory, peak = map(int, done.stdout.split())
    assert size > 1.5 * 96 * 2**20, "all of it fits: the test shows nothing"
    assert memory - 96 * 2**20 < peak < memory


def test_what_is_in_hand_shrinks_with_the_budget_until_nothing_fits() -> None:
    sizes = [portions(Resources(2**60), 7_000, 10**6, 512, 1_032, threads) for threads in (1, 64)]
    assert [size.documents for size in sizes] == [4096, 4096]
    assert [size.queries for size in sizes] == [512, 110]
    resident = psutil.Process().memory_info().rss  # the budget covers it too, and earlier tests make it grow
    tight = portions(Resources(resident + 9 * 2**29), 100_000, 10**7, 512, 1_032, 64)
    assert tight.queries < 512
    assert 256 <= tight.documents < 4096
    with pytest.raises(UserError, match=r"100,000 queries does not fit.*--memory \d+MiB") as refused:
        portions(Resources(resident + 2**30), 100_000, 10**7, 512, 1_032, 64)
    enough = parse_memory(str(refused.value).split("--memory ")[1].split()[0])
    assert portions(Resources(enough), 100_000, 10**7, 512, 1_032, 64).documents >= 256
    assert portions(Resources(None), 1, 1, 3, 1, 8).documents == 4096
    assert portions(Resources(None), 10**6, 10**7, 512, 1_032, 64).documents >= 256


@pytest.mark.parametrize(("text", "size"), [("4GiB", 2**32), ("500 MB", 500_000_000), ("1024", 1024)])
def test_sizes(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["four", "-1GiB", ""])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UserError, match="must be a size such as 4GiB"):
        parse_memory(text)
