"""Every kind of file that is read back, damaged in eight ways: what the command that reads it makes of it.

    python bench/corruption.py [KIND ...]

A tiny encoder and a tiny collection are built, and the commands run once. Then, for each kind of file, one bit is
flipped in its first byte, a quarter, half and three quarters into it, or in its last byte, its second half is cut off,
it is emptied, or deleted, and the command that reads it runs again. It is healed where the command ends with the result
of the undamaged run, and refused where it ends with exit code 1 or 2 and one line that names the file or its folder;
anything else is wrong, and the exit code is 1.
"""

import gzip
import hashlib
import importlib.util
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
from typing import Any

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
    """A kind of file: where it is, what is removed before the command runs, the command, and the files it ends with.

    What is optional is none the less right where it was deleted: then it is as if it had never been made.
    """

    name: str
    pattern: str
    command: list[str]
    result: str
    without: tuple[str, ...] = ()
    optional: bool = False


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
    print(f"{'kind':36}" + "".join(f"{name:>10}" for name in DAMAGES))
    for name, row in outcomes:
        print(f"{name:36}" + "".join(f"{found:>10}" for found in row), flush=True)
    every = [found for _, row in outcomes for found in row]
    print(f"{len(every)} cases: {every.count('healed')} healed, {every.count('refused')} refused in one line")
    sys.exit(any(found not in {"healed", "refused"} for found in every))


def build(work: Path) -> tuple[Path, ...]:
    """Write a model, a collection, the same with a large corpus and with a compressed one, and pairs; and a text."""
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
    (work / "passages.txt").write_text(
        "".join(f"The {one['text']}. The {two['text']} and {one['text']}.\n" for one, two in pairwise(rows)),
        encoding="utf-8",
    )
    return model, collection, padded, packed, pairs


def prepare(work: Path) -> list[Kind]:
    """Run every command once below `work`, and say which files to damage."""
    model, collection, padded, packed, pairs = build(work)
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
    made = ["data", "pairs", "--documents", "passages.txt", "--output", "made"]
    compare = ["eval", "compare", "results", "of-trained", "--json"]
    show = ["eval", "show", "results", "--json"]
    on_made = ["train", "--train-data", "made/train.jsonl", *small, "--output-dir", "of-made"]
    documented = ["data", "pydocs", "docs", "--documents", "60"]
    on_docs = ["eval", "collection", "docs", "--model", "bm25", "--output", "of-docs"]
    train_split = [str(collection), "--split", "train", "--model", str(model), *store]
    both = ["eval", "collection", str(collection), "--model", str(model), "--model", "e", *store]
    both += ["--output", "reported"]
    abstained = ["eval", "abstain", *train_split, "--output", "reported"]
    approximated = ["eval", "neighbours", *train_split, "--output", "of-neighbours"]
    coded = ["eval", "compress", *train_split, "--codes", "int8", "--output", "of-codes"]
    claimed = ["claims", "run", str(collection), "--model", str(model), *store, "--output", "reported"]
    claimed += ["--claim", "mean-removal"]
    measured = ["analyze", "isotropy", "--model", str(model), "--data", str(collection), *store, "--output", "reported"]
    audited = ["data", "audit", str(pairs), "--test", str(collection), "--results", "reported"]
    trade = ["analyze", "tradeoff", "ablation", "--output", "ablation"]
    paper = ["report", "paper", "reported", "--output", "paper", "--data-dir", "."]
    page = ["report", "html", "reported", "--output", "page", "--data-dir", "."]
    tabled = ["report", "markdown", "reported"]
    of_ablation = ["report", "latex", "ablation"]
    released = ["export", "e", "--to", "ir_metadata", "--results", "of-trained", "--output", "archive"]
    explained = ["eval", "diff", "reported/cells/work", "of-trained", "--json"]
    commands = [train, auto, evaluate, trained, indexed, unpacked, mined, made, grid, chain, on_made, documented]
    commands += [on_docs, both, abstained, approximated, coded, claimed, measured, audited, trade, paper]
    for command in commands:
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
        Kind("pairs that were made, trained on", "made/train.jsonl", on_made, "of-made/model", ("of-made",)),
        Kind("documentation", "docs/corpus.jsonl", documented, "docs"),
        Kind("documentation: qrels", "docs/qrels/test.tsv", documented, "docs"),
        Kind("documentation: record", "docs/source.json", documented, "docs"),
        Kind("documentation, evaluated", "docs/corpus.jsonl", on_docs, "of-docs/cells", ("of-docs",)),
        Kind("its queries, evaluated", "docs/queries.jsonl", on_docs, "of-docs/cells", ("of-docs",)),
        Kind("its qrels, evaluated", "docs/qrels/test.tsv", on_docs, "of-docs/cells", ("of-docs",)),
        Kind("its record, evaluated", "docs/source.json", on_docs, "of-docs/cells", ("of-docs",)),
        Kind(
            "evidence of abstention", "reported/cells-abstain/**/evidence.parquet", abstained, "reported/cells-abstain"
        ),
        Kind("result of abstention", "reported/cells-abstain/**/result.json", abstained, "reported/cells-abstain"),
        Kind("evidence of abstention, reported", "reported/cells-abstain/**/evidence.parquet", paper, "paper/tables"),
        Kind("result of abstention, reported", "reported/cells-abstain/**/result.json", paper, "paper/tables"),
        Kind("result of neighbours", "of-neighbours/**/result.json", approximated, "of-neighbours/**/run.trec"),
        Kind("scores of neighbours", "of-neighbours/**/scores.parquet", approximated, "of-neighbours/**/*t*"),
        Kind("range of ties", "of-codes/**/ties.json", coded, "of-codes"),
        Kind("result of a codec", "of-codes/**/result.json", coded, "of-codes"),
        Kind("values of a claim", "reported/*/measured/*.parquet", claimed, "reported/*/measured"),
        Kind("what a claim found", "reported/*/measured/*.json", claimed, "reported/*/measured"),
        Kind("verdicts of claims", "reported/*/claims.json", paper, "paper/tables", optional=True),
        Kind("audit", "reported/audit.json", tabled, "reported/tables", optional=True),
        Kind("isotropy report, tabled", "reported/isotropy.json", tabled, "reported/tables", optional=True),
        Kind("isotropy report, in a paper", "reported/isotropy.json", paper, "paper/tables", optional=True),
        Kind("isotropy report, in a page", "reported/isotropy.json", page, "page/tables", optional=True),
        Kind("figure, in a page", "reported/figures/*.png", page, "page/report.html", optional=True),
        Kind("figure, in a paper", "reported/figures/*.p*", paper, "paper/figures", optional=True),
        Kind("what N(0, I) measures", "cache/gaussian/*/*.npz", measured, "reported/isotropy.json"),
        Kind("what N(0, I) measures: record", "cache/gaussian/*/*.json", measured, "reported/isotropy.json"),
        Kind("scores, in a page", "reported/cells/*/*/*/scores.parquet", page, "page/tables"),
        Kind("run, in a page", "reported/cells/*/*/*/run.trec", page, "page"),
        Kind("scores, in a paper", "reported/cells/*/*/*/scores.parquet", paper, "paper/tables"),
        Kind("result, in a paper", "reported/cells/*/*/*/result.json", paper, "paper/tables"),
        Kind("record of a paper", "paper/provenance.json", paper, "paper"),
        Kind("run, in an archive", "of-trained/**/run.trec", released, "archive"),
        Kind("result, explained", "of-trained/**/result.json", explained, ""),
        Kind("scores, explained", "of-trained/**/scores.parquet", explained, ""),
        Kind("ablation", "ablation/ablation.json", of_ablation, "ablation/tables", optional=True),
        Kind("trade-off", "ablation/tradeoff.json", of_ablation, "ablation/tables", optional=True),
        Kind("manifest, in a trade-off", "ablation/cells/*/*/manifest.json", trade, "ablation/tradeoff.json"),
    ]
    if importlib.util.find_spec("openvino") is not None:
        encoded = ("store", *anew, "cache/searches")
        kinds += [
            Kind(f"graph of OpenVINO: {suffix}", f"cache/openvino/*/*.{suffix}", evaluate, cells, encoded)
            for suffix in ("xml", "bin", "json")
        ]
    for kind in kinds:
        if not sorted(work.glob(kind.pattern)):
            sys.exit(f"{kind.name}: no {kind.pattern}")
    return kinds


def flip(share: float) -> Callable[[Path], None]:
    """What flips a bit at that share of a file."""

    def flip_one(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[min(int(share * len(content)), len(content) - 1)] ^= 1
        path.write_bytes(content)

    return flip_one


DAMAGES: dict[str, Callable[[Path], None]] = {
    **{f"bit {share:.0%}": flip(share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)},
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path: os.truncate(path, 0),
    "deleted": Path.unlink,
}


def examine(kind: Kind, whole: Path, work: Path, right: dict[str, str]) -> tuple[str, list[str]]:
    """What the command makes of each damage to all files of a kind."""
    found = []
    same = repr((kind.command, kind.result, kind.without))
    for damage in DAMAGES.values() if same in right else (None, *DAMAGES.values()):
        copy(whole, work, kind.pattern)
        for name in kind.without:
            path = work / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        damaged = sorted(work.glob(kind.pattern))
        for path in damaged if damage is not None else []:
            damage(path)
        code, output, errors = run(kind.command, work)
        outcome = digest(work, kind.result) if kind.result and not code else output
        temporary = [str(path) for path in work.rglob(".*") if not path.name.endswith(".lock")]
        if damage is None:
            right[same] = outcome
            if code:
                sys.exit(f"{kind.name}: fails undamaged: {errors}")
        elif code == 0 and not temporary and (outcome == right[same] or (kind.optional and damage is Path.unlink)):
            found.append("healed")
        elif code in {1, 2} and len(_TOLD.findall(errors)) == 1 and not temporary:
            places = {
                part for path in damaged for part in (path.name, path.parent.name, path.relative_to(work).parts[0])
            }
            named = any(place in errors for place in places)
            found.append("refused" if named else "UNNAMED")
        else:
            found.append("WRONG" if code == 0 else f"EXIT {code}")
        if damage is not None and found[-1] not in {"healed", "refused"}:
            print(f"{kind.name}: exit code {code}, {temporary}\n{errors}", file=sys.stderr)
        shutil.rmtree(work)
    print(f"{kind.name:36}" + "".join(f"{one:>10}" for one in found), file=sys.stderr, flush=True)
    return kind.name, found


def copy(whole: Path, work: Path, pattern: str) -> None:
    """Copy a folder; large files, which are never written in place, are linked where they are not to be damaged."""
    damaged = set(map(str, whole.glob(pattern)))

    def one(source: str, target: str) -> None:
        if Path(source).stat().st_size > 2**20 and source not in damaged:
            os.link(source, target)
        else:
            shutil.copy2(source, target)

    shutil.copytree(whole, work, copy_function=one)


def run(command: list[str], work: Path, must: bool = False) -> tuple[int, str, str]:
    """Run `ragcun COMMAND` in `work`: its exit code, standard output and error."""
    environment = {**os.environ, "RAGCUN_CACHE_DIR": str(work / "cache"), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    done = python("-c", ALWAYS_SAVED, *command, env=environment, cwd=work)
    if must and done.returncode:
        sys.exit(f"ragcun {' '.join(command)}: {done.stderr}")
    return done.returncode, done.stdout, done.stderr


def digest(work: Path, pattern: str) -> str:
    """SHA-256 of the files that match, or lie below what matches; of JSON without times and checksums."""
    found = hashlib.sha256()
    for match in sorted(work.glob(pattern)):
        for path in [match] if match.is_file() else sorted(match.rglob("*")):
            if path.is_file():
                found.update(path.name.encode() + content(path))
    return found.hexdigest()


def content(path: Path) -> bytes:
    """What a file holds that is the same in each run."""
    if path.name == "report.html":  # holds the records, with their times
        return b""
    return lasting(json.loads(path.read_bytes())) if path.suffix == ".json" else path.read_bytes()


def lasting(value: Any) -> bytes:
    """JSON without what differs from run to run."""
    if isinstance(value, dict):
        kept = {name: lasting(one).decode() for name, one in value.items() if name not in _PASSING}
        return json.dumps(kept, sort_keys=True).encode()
    return json.dumps([lasting(one).decode() for one in value] if isinstance(value, list) else value).encode()


_PASSING = {
    "environment",
    "seconds",
    "xxh3_128",
    "files",
    "resources",
    "sources",
    "build_seconds",
    "queries_per_second",
}


if __name__ == "__main__":
    main()
