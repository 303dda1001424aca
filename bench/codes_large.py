"""Search of ten million vectors as a codec's codes: bytes on disk, resident peak, seconds to code and to search.

python bench/codes_large.py --folder FOLDER [--codec 2bit/192] [--documents 10000000] [--dimension 384] [--queries 100]
    [--k 100] [--memory 1GiB]

The vectors are drawn from a seeded generator, with deviations that fall as their components' rank to the power -1/2
like those of text embeddings, and are never all there: they are drawn block by block, coded and written. Another
process opens the file and searches it, so that its resident peak is the search's own. Prints JSON.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from ragcun.machine import cores
from ragcun.retrieval.codecs.saved import read_codes, write_codes
from ragcun.retrieval.codecs.search import FittedCodec
from ragcun.retrieval.codecs.spec import CodecSpec
from ragcun.retrieval.memory import Resources, parse_memory

DRAWN = 8_192


class Drawn:
    """Vectors that are drawn when they are read, as a `Matrix`."""

    def __init__(self, documents: int, dimension: int) -> None:
        self.shape = documents, dimension
        self._deviations = (np.arange(1, dimension + 1) ** -0.5).astype(np.float32)

    def block(self, start: int, stop: int, /) -> np.ndarray:
        first, last = start // DRAWN, (stop - 1) // DRAWN
        blocks = [self._drawn(number) for number in range(first, last + 1)]
        return np.concatenate(blocks)[start - first * DRAWN : stop - first * DRAWN]

    def rows(self, index: np.ndarray, /) -> np.ndarray:
        """The first rows: any are a sample of vectors that are drawn alike."""
        return self.block(0, len(index))

    def _drawn(self, number: int) -> np.ndarray:
        drawn = np.random.default_rng([0, number]).standard_normal((DRAWN, self.shape[1]), dtype=np.float32)
        return drawn * self._deviations


def peak() -> int:
    """MiB that the process has held at most (getrusage would tell those of the process that started it, too)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def searched(path: Path, options: argparse.Namespace) -> dict[str, object]:
    """Open the codes and search them."""
    before = peak()
    began = time.perf_counter()
    fitted, coded = read_codes(path)
    opened = time.perf_counter() - began
    # queries near documents, which should find them
    queries = Drawn(options.queries, options.dimension).block(0, options.queries)
    queries += 0.3 * Drawn(2 * DRAWN, options.dimension).block(DRAWN, DRAWN + options.queries)
    count = len(coded.codes)
    began, used = time.perf_counter(), time.process_time()
    resources = Resources(parse_memory(options.memory))
    top = fitted.search(queries, coded, options.k, np.arange(count), np.full(len(queries), -1), resources)
    seconds = time.perf_counter() - began
    return {
        "seconds to open and check": round(opened, 1),
        "seconds to search": round(seconds, 1),
        "processor seconds to search": round(time.process_time() - used, 1),
        "queries a second": round(options.queries / seconds, 2),
        "queries that find their document first": float((top.rows[:, 0] == np.arange(options.queries)).mean()),
        "resident peak of the search, MiB": peak(),
        "of that before it, MiB": before,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--codec", default="2bit/192")
    parser.add_argument("--memory", default="1GiB")
    parser.add_argument("--search", action="store_true", help="only search what is there")
    for name, default in {"documents": 10_000_000, "dimension": 384, "queries": 100, "k": 100}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    spec = CodecSpec.parse(options.codec)
    path = options.folder / f"{str(spec).replace('/', '-')}-{options.documents}x{options.dimension}.safetensors"
    if options.search:
        print(json.dumps(searched(path, options)))
        return
    told: dict[str, object] = {"codec": str(spec), "documents": options.documents, "threads": cores()}
    if not path.is_file():
        vectors = Drawn(options.documents, options.dimension)
        began = time.perf_counter()
        fitted = FittedCodec.fit(vectors, spec, "euclidean")
        told["seconds to fit"] = round(time.perf_counter() - began, 1)
        began, used = time.perf_counter(), time.process_time()
        write_codes(path, fitted, vectors)
        told |= {
            "seconds to draw, code and write": round(time.perf_counter() - began, 1),
            "processor seconds to draw, code and write": round(time.process_time() - used, 1),
            "resident peak of coding, MiB": peak(),
        }
    told["bytes on disk, MiB"] = round(path.stat().st_size / 2**20)
    told["vectors in float32, MiB"] = round(options.documents * options.dimension * 4 / 2**20)
    command = [sys.executable, __file__, *sys.argv[1:], "--search"]
    told |= json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ).stdout)
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
