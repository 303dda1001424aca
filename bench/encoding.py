"""Encoding on the CPU: ragcun's runtimes beside `SentenceTransformer.encode` with its defaults and in bf16, in turn.

    python bench/encoding.py [--collection FOLDER] [--model minilm --model FOLDER] [--tokens 120 --tokens 250]
                             [--texts 200] [--runs 5] [--output FILE]

For each model and length, passages of about that many tokens are encoded by each way in turn. Prints a JSON list, one
object a row: texts a second of each run, their median, the median of the ratios to the defaults in the same turn, the
floor (the FLOPs of the passages over this machine's rate for a large matrix product in that precision, measured in the
same turn) and the share of it that is reached.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from ragcun.console import console
from ragcun.data.collection import Collection
from ragcun.embedding.embedder import Embedder
from ragcun.embedding.encode import encode_missing
from ragcun.embedding.load import load_model
from ragcun.embedding.resolve import resolve_model
from ragcun.embedding.runtimes import Engine
from ragcun.embedding.store import EmbeddingStore
from ragcun.embedding.tokens import token_ids
from ragcun.files import write_text
from ragcun.machine import cores
from ragcun.planning.architecture import find_architecture

WAYS = {
    "sentence-transformers": "fp32",
    "sentence-transformers bf16": "bf16",
    "ragcun torch": "fp32",
    "ragcun openvino": "fp32",
    "ragcun openvino bf16": "bf16",
}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def lengths_of(base: SentenceTransformer, texts: list[str]) -> NDArray[np.int64]:
    """Tokens of each text, (n,)."""
    return np.array([len(ids) for ids in token_ids(base, texts) or ()])


def passages(collection: Path, base: SentenceTransformer, tokens: int, count: int) -> list[str]:
    """The `count` texts of the collection whose number of tokens is nearest to `tokens`."""
    corpus = list(Collection.open(collection).corpus)
    distance = abs(lengths_of(base, corpus) - tokens)
    return [corpus[row] for row in distance.argsort(kind="stable")[:count]]


def ours(base: SentenceTransformer, engine: Engine, texts: list[str], scratch: Path) -> None:
    """Encode with ragcun into a new store, as a command does."""
    store = EmbeddingStore(scratch, {"run": time.time_ns()})
    encode_missing(base, lambda: engine, texts, store, "", "document", "encoding")


def way(name: str, model: str, texts: list[str], scratch: Path) -> Callable[[], object]:
    """What encodes `texts` in the way called `name`."""
    base = load_model(resolve_model(model), device="cpu")
    precision = WAYS[name]
    if name.startswith("sentence-transformers"):
        return partial(base.to(DTYPES[precision]).encode, texts)
    embedder = Embedder(model, scratch, precision, device="cpu", runtime=name.split()[1])
    return partial(ours, embedder.base, embedder._engine, texts, scratch)


def products(precision: str) -> float:
    """FLOPs a second of a large matrix product, the best of three."""
    left, right = (torch.randn(2048, 2048, dtype=DTYPES[precision]) for _ in range(2))
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        torch.mm(left, right)
        taken.append(time.perf_counter() - began)
    return float(2 * 2048**3 / min(taken))


def measure(model: str, tokens: int, options: argparse.Namespace, scratch: Path) -> list[dict[str, object]]:
    """The rows of one model and one length."""
    base = load_model(resolve_model(model), device="cpu")
    texts = passages(options.collection, base, tokens, options.texts)
    lengths = lengths_of(base, texts)
    flops = sum(find_architecture(model).forward(int(length)) for length in lengths)
    ways = {name: way(name, model, texts, scratch) for name in WAYS}
    rates: dict[str, list[float]] = {name: [] for name in WAYS}
    shares: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(options.runs):
        ceiling = {precision: products(precision) for precision in DTYPES}
        for name, encode in ways.items():
            began = time.perf_counter()
            encode()
            seconds = time.perf_counter() - began
            rates[name].append(len(texts) / seconds)
            shares[name].append(flops / ceiling[WAYS[name]] / seconds)
    defaults = rates["sentence-transformers"]
    return [
        {
            "model": model,
            "tokens": round(float(lengths.mean()), 1),
            "texts": len(texts),
            "way": name,
            "texts_per_second": [round(rate, 2) for rate in rates[name]],
            "median": round(statistics.median(rates[name]), 2),
            "ratio": round(statistics.median(a / b for a, b in zip(rates[name], defaults, strict=True)), 2),
            "share_of_floor": round(statistics.median(shares[name]), 3),
        }
        for name in WAYS
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collection", type=Path, help="default: 2,000 documents of Python's documentation")
    parser.add_argument("--model", action="append", help="default: minilm")
    parser.add_argument("--tokens", type=int, action="append", help="default: 120 and 250")
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--output", type=Path, help="file that is given the JSON too")
    options = parser.parse_args()
    console.quiet = True
    with TemporaryDirectory() as scratch:
        if options.collection is None:
            options.collection = Path(scratch) / "pydocs"
            make = (sys.executable, "-m", "ragcun", "data", "pydocs", options.collection, "--documents", "2000")
            subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
        rows = [
            row
            for model in options.model or ["minilm"]
            for tokens in options.tokens or [120, 250]
            for row in measure(model, tokens, options, Path(scratch))
        ]
    versions = {name: version(name) for name in ("sentence-transformers", "torch", "openvino")}
    text = json.dumps({"cores": cores(), "versions": versions, "rows": rows}, indent=2)
    if options.output is not None:
        write_text(options.output, text + "\n")
    print(text)


if __name__ == "__main__":
    main()
