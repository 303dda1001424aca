"""Every kind of file that is read back, damaged in four ways: what the same command makes of it.

    python bench/corruption.py [KIND ...]

A tiny encoder and a tiny collection are built, and the commands run once. Then, for each kind of file, one bit in its
middle is flipped, its second half is cut off, it is emptied, or deleted, and the command that reads it runs again.
It is healed where the command ends with the result of the undamaged run, and refused where it ends with exit code 1 or
2 and one line that names the file or its folder; anything else is wrong, and the exit code is 1.
"""

import gzip
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from children import python  # noqa: E402

ALWAYS_SAVED = """
import sys
from ragcun.cli.main import main
from ragcun.retrieval.checkpoint import Checkpoint
Checkpoint.due = lambda self: True
sys.argv[0] = "ragcun"
main()
"""
_TOLD = re.compile(r"^(?:error:|warning: .*(?:damaged|missing))", re.MULTILINE)


@dataclass(frozen=True)
class Kind:
    """A kind of file: where it is, what is removed before the command runs, the command, and the files it ends with."""

    name: str
    pattern: str
    command: list[str]
    result: str
    without: tuple[str, ...] = ()


def main() -> None:
    """Damage, run, tell."""
    chosen = set(sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        whole, work = Path(folder) / "whole", Path(folder) / "work"
        work.mkdir()
        kinds = prepare(work)
        shutil.move(work, whole)
        right: dict[str, str] = {}  # what a command ends with where nothing is damaged
        outcomes = [examine(kind, whole, work, right) for kind in kinds if not chosen or kind.name in chosen]
    print(f"{'kind':32}" + "".join(f"{name:>10}" for name in DAMAGES))
    for name, row in outcomes:
        print(f"{name:32}" + "".join(f"{found:>10}" for found in row), flush=True)
    every = [found for _, row in outcomes for found in row]
    print(f"{len(every)} cases: {every.count('healed')} healed, {every.count('refused')} refused in one line")
    sys.exit(any(found not in {"healed", "refused"} for found in every))


def prepare(work: Path) -> list[Kind]:
    """Run every command once below `work`, and say which files to damage."""
    from tiny import build_collection, build_model

    model, collection = build_model(work), build_collection(work / "animals")
    padded = work / "padded"
    shutil.copytree(collection, padded)
    rows = [json.loads(line) for line in (collection / "corpus.jsonl").read_text(encoding="utf-8").splitlines()]
    padding = " " * (66 * 2**20 // len(rows))  # an index is kept for files of 64 MiB or more
    (padded / "corpus.jsonl").write_text(
        "".join(json.dumps({**row, "text": f"{row['text']}{padding}."}) + "\n" for row in rows), encoding="utf-8"
    )
    packed = work / "packed"
    shutil.copytree(collection, packed)
    (packed / "corpus.jsonl").unlink()
    (packed / "corpus.jsonl.gz").write_bytes(gzip.compress((collection / "corpus.jsonl").read_bytes()))
    pairs = work / "pairs.jsonl"
    pairs.write_text(
        "".join(json.dumps({"query": row["text"][:20], "positive": row["text"]}) + "\n" for row in rows),
        encoding="utf-8",
    )
    store = ["--store", "store"]
    small = ["--base-model", str(model), "--epochs", "2", "--batch-size", "8", "--output-dim", "16", *store]
    train = ["train", "--train-data", str(collection), *small, "--output-dir", "e"]
    grid = ["ablate", "--train-data", str(collection), *small, "--grid", "lambda_isotropy=0", "--seeds", "1"]
    grid += ["--jobs", "1", "--datasets", str(collection), "--output-dir", "ablation"]
    chain = ["run", "--train-data", str(collection), *small, "--datasets", str(collection), "--output-dir", "chain"]
    evaluate = ["eval", "collection", str(collection), "--model", str(model), *store, "--output", "results"]
    auto = [*train[:-1], "auto", "--interpolate", "auto"]
    trained = ["eval", "collection", str(collection), "--model", "e", *store, "--output", "of-trained"]
    indexed = ["eval", "collection", str(padded), "--model", "bm25", "--output", "of-index"]
    unpacked = ["eval", "collection", str(packed), "--model", "bm25", "--output", "of-packed"]
    mined = ["data", "negatives", str(pairs), "--negatives", "random", "--output", "mined.jsonl"]
    (work / "passages.txt").write_text(
        "".join(f"The {one['text']}. The {two['text']} and {one['text']}.\n" for one, two in pairwise(rows)),
        encoding="utf-8",
    )
    made = ["data", "pairs", "--documents", "passages.txt", "--output", "made"]
    compare = ["eval", "compare", "results", "of-trained", "--json"]
    show = ["eval", "show", "results", "--json"]
    for command in (train, auto, evaluate, trained, indexed, unpacked, mined, made, grid, chain):
        run(command, work, must=True)
    cells, weights = "results/cells/*/animals/test", "e/model/**/*.safetensors"
    unfinished, anew = ("e/manifest.json", "e/model"), ("results",)
    kinds = [
        Kind("shard of the store", "store/*/shards/*", evaluate, cells, (*anew, "cache/searches")),
        Kind("key of the store", "store/*/key.json", evaluate, cells, (*anew, "cache/searches")),
        Kind("checkpoint of a search", "cache/searches/*", evaluate, cells, anew),
        Kind("run of a cell", f"{cells}/run.trec", evaluate, cells),
        Kind("scores of a cell", f"{cells}/scores.parquet", evaluate, cells),
        Kind("scores of a cell, compared", f"{cells}/scores.parquet", compare, ""),
        Kind("result of a cell", f"{cells}/result.json", evaluate, cells),
        Kind("result of a cell, shown", f"{cells}/result.json", show, ""),
        Kind("manifest", "e/manifest.json", train, weights),
        Kind("weights of a trained head", "e/model/*_Dense/model.safetensors", train, weights),
        Kind("weights of a trained base", "e/model/model.safetensors", train, weights),
        Kind("modules of a trained encoder", "e/model/modules.json", train, weights),
        Kind("weights of a head, evaluated", "e/model/*_Dense/model.safetensors", trained, "of-trained/cells/*"),
        Kind("manifest, evaluated", "e/manifest.json", trained, "of-trained/cells/*"),
        Kind("checkpoint: start", "e/checkpoints/start.safetensors", train, weights, unfinished),
        Kind("checkpoint: best", "e/checkpoints/best.safetensors", train, weights, unfinished),
        Kind("checkpoint: last", "e/checkpoints/last.safetensors", train, weights, unfinished),
        Kind("history of a training", "e/history.jsonl", train, weights, unfinished),
        Kind("curve of an interpolation", "auto/interpolation.json", auto, "auto/model/**/*.safetensors"),
        Kind("pair table: queries", "cache/pairs/*/queries.arrow", mined, "mined.jsonl"),
        Kind("pair table: documents", "cache/pairs/*/documents.arrow", mined, "mined.jsonl"),
        Kind("pair table: rows", "cache/pairs/*/rows.npz", mined, "mined.jsonl"),
        Kind("pair table: record", "cache/pairs/*/problems.json", mined, "mined.jsonl"),
        Kind("index of JSON Lines", "cache/jsonl/*.npy", indexed, "of-index/cells", ("of-index",)),
        Kind("index of JSON Lines: record", "cache/jsonl/*.json", indexed, "of-index/cells", ("of-index",)),
        Kind("unpacked gzip", "cache/unpacked/*[!n]", unpacked, "of-packed/cells", ("of-packed",)),
        Kind("unpacked gzip: record", "cache/unpacked/*.json", unpacked, "of-packed/cells", ("of-packed",)),
        Kind("pairs that were made", "made/train.jsonl", made, "made/*.jsonl"),
        Kind("pairs that were made: record", "made/source.json", made, "made/*.jsonl"),
        Kind("isotropy of an ablation's cell", "ablation/cells/*/*/dev_isotropy.json", grid, "ablation/ablation.csv"),
        Kind("isotropy of a chain", "chain/analysis/isotropy.json", chain, "chain/tables/isotropy.tex"),
        Kind("isotropy of a chain: record", "chain/analysis/done.json", chain, "chain/tables/isotropy.tex"),
    ]
    for kind in kinds:
        if not sorted(work.glob(kind.pattern)):
            sys.exit(f"{kind.name}: no {kind.pattern}")
    return kinds


def flip(path: Path) -> None:
    """Flip one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "flipped": flip,
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path: os.truncate(path, 0),
    "deleted": Path.unlink,
}


def examine(kind: Kind, whole: Path, work: Path, right: dict[str, str]) -> tuple[str, list[str]]:
    """What the command makes of each damage to all files of a kind."""
    found = []
    same = repr((kind.command, kind.result, kind.without))
    for damage in DAMAGES.values() if same in right else (None, *DAMAGES.values()):
        shutil.copytree(whole, work)
        for name in kind.without:
            path = work / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        damaged = sorted(work.glob(kind.pattern))
        for path in damaged if damage is not None else []:
            damage(path)
        code, output, errors = run(kind.command, work)
        outcome = digest(work, kind.result) if kind.result else output
        temporary = [str(path) for path in work.rglob(".*") if not path.name.endswith(".lock")]
        if damage is None:
            right[same] = outcome
            if code:
                sys.exit(f"{kind.name}: fails undamaged: {errors}")
        elif code == 0 and outcome == right[same] and not temporary:
            found.append("healed")
        elif code in {1, 2} and len(_TOLD.findall(errors)) == 1 and not temporary:
            named = any(path.parent.name in errors or path.name in errors for path in damaged)
            found.append("refused" if named else "UNNAMED")
        else:
            found.append("WRONG" if code == 0 else f"EXIT {code}")
        if damage is not None and found[-1] not in {"healed", "refused"}:
            print(f"{kind.name}: exit code {code}, {temporary}\n{errors}", file=sys.stderr)
        shutil.rmtree(work)
    print(f"{kind.name:32}" + "".join(f"{one:>10}" for one in found), file=sys.stderr, flush=True)
    return kind.name, found


def run(command: list[str], work: Path, must: bool = False) -> tuple[int, str, str]:
    """Run `ragcun COMMAND` in `work`: its exit code, standard output and error."""
    environment = {**os.environ, "RAGCUN_CACHE_DIR": str(work / "cache"), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    done = python("-c", ALWAYS_SAVED, *command, env=environment, cwd=work)
    if must and done.returncode:
        sys.exit(f"ragcun {' '.join(command)}: {done.stderr}")
    return done.returncode, done.stdout, done.stderr


def digest(work: Path, pattern: str) -> str:
    """SHA-256 of the files that match, or lie below what matches, but for those that hold times."""
    found = hashlib.sha256()
    for match in sorted(work.glob(pattern)):
        for path in [match] if match.is_file() else sorted(match.rglob("*")):
            if path.is_file() and path.name != "result.json":
                found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()


if __name__ == "__main__":
    main()
