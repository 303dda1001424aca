"""Encoding on the CPU: ragcun's runtimes beside `SentenceTransformer.encode` with its defaults and in bf16, in turn.

    python bench/encoding.py [--collection FOLDER] [--model minilm --model FOLDER] [--tokens 120 --tokens 250]
                             [--texts 200] [--runs 5] [--runtime torch --runtime openvino]

For each model and length, passages of about that many tokens are encoded by each way in turn. The floor is the FLOPs of
the passages at this machine's rate for a large matrix product in that precision.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from measure import Row, in_turn, of, parser, ragcun, report
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
from ragcun.planning.architecture import find_architecture

WAYS = {
    "sentence-transformers": "fp32",
    "sentence-transformers bf16": "bf16",
    "ragcun torch": "fp32",
    "ragcun torch bf16": "bf16",
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


def measure(model: str, tokens: int, options: argparse.Namespace, scratch: Path) -> list[Row]:
    """The rows of one model and one length."""
    base = load_model(resolve_model(model), device="cpu")
    texts = passages(options.collection, base, tokens, options.texts)
    lengths = lengths_of(base, texts)
    flops = sum(find_architecture(model).forward(int(length)) for length in lengths)
    ways = {name: way(name, model, texts, scratch) for name in WAYS if _asked(name, options)}
    taken = in_turn(ways, options.runs, warm=options.warm)
    name = Path(model).name
    work = f"{len(texts)} passages of {lengths.mean():.0f} tokens on average, into a new store"
    peers = {
        "sentence-transformers": "SentenceTransformer.encode, its defaults (fp32, 32 texts a batch)",
        "sentence-transformers bf16": "SentenceTransformer.encode of the model in bf16, its best that installs",
    }
    rows = []
    for way_name in ways:
        if way_name in peers:
            continue
        precision = WAYS[way_name]
        for peer, how in peers.items():
            if peer.endswith("bf16") and precision == "fp32":
                continue
            wanted = 1 if peer.endswith("bf16") else 2.8 if precision == "fp32" else 5
            rows.append(
                Row(
                    layer=f"Encoding {name}, {tokens} tokens, {way_name.split()[1]} {precision}",
                    work=work,
                    peer=f"{of('sentence-transformers')}, {how}",
                    seconds=taken[way_name],
                    peer_seconds=taken[peer],
                    wanted=wanted,
                    least=(flops, precision),
                    least_of="layers of the model on these tokens",
                    notes=[f"{len(texts) / statistics.median(taken[way_name]):.1f} texts a second."],
                )
            )
    return rows


def _asked(name: str, options: argparse.Namespace) -> bool:
    return not name.startswith("ragcun") or not options.runtime or name.split()[1] in options.runtime


def main() -> None:
    """Measure and print."""
    made = parser(__doc__, texts=200, runs=5)
    made.add_argument("--collection", type=Path, help="default: 2,000 documents of Python's documentation")
    made.add_argument("--model", action="append", help="default: minilm")
    made.add_argument("--tokens", type=int, action="append", help="default: 120 and 250")
    made.add_argument("--runtime", action="append", choices=["torch", "openvino"], help="of ragcun; default: both")
    made.add_argument("--warm", action="store_true", help="one turn before that does not count")
    options = made.parse_args()
    console.quiet = True
    with TemporaryDirectory() as scratch:
        if options.collection is None:
            options.collection = Path(scratch) / "pydocs"
            ragcun("data", "pydocs", options.collection, "--documents", "2000")
        rows = [
            row
            for model in options.model or ["minilm"]
            for tokens in options.tokens or [120, 250]
            for row in measure(model, tokens, options, Path(scratch))
        ]
    report(rows)


if __name__ == "__main__":
    main()
