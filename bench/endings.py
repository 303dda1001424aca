"""Every long command ended at random moments and given again: what it leaves, and whether it ends with the same result.

    python bench/endings.py [--times 2] [--seed 0] [COMMAND ...]

A tiny encoder and a tiny collection are built. Each command runs once to its end. Then, for each of SIGTERM, SIGINT and
SIGKILL and so many times, it is begun in a copy of the same folder, ended at a random moment, and given again. It is
right where it ended with 143, 130 or by the kill, said so in one line, left no process behind, and where the second run
ends with the result of the uninterrupted one and no temporary file and no lock is left.
"""

import argparse
import os
import random
import runpy
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import psutil

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from children import Child  # noqa: E402

CORRUPTION = SimpleNamespace(**runpy.run_path(str(ROOT / "bench" / "corruption.py")))
SIGNALS = {signal.SIGTERM: (143, "terminated"), signal.SIGINT: (130, "interrupted"), signal.SIGKILL: (-9, "")}
_PATIENCE = 10.0  # seconds in which the processes that a command started must end after it


def commands(work: Path) -> tuple[list[list[str]], dict[str, tuple[list[str], str]]]:
    """What is run before, and the commands with what they end with."""
    from tiny import build_collection, build_model

    model, collection = str(build_model(work)), str(build_collection(work / "animals"))
    texts = [f"The {one} {two} sleeps. A {two} sings under the {one}.\n" for one in "abcdefgh" for two in "stuvwxyz"]
    (work / "passages.txt").write_text("".join(texts), encoding="utf-8")
    pairs = [f'{{"query": "what {text[4:7]}", "positive": "{text.strip()}"}}\n' for text in texts]
    (work / "pairs.jsonl").write_text("".join(pairs), encoding="utf-8")
    store = ["--store", "store"]
    small = ["--train-data", collection, "--base-model", model, "--batch-size", "8", "--output-dim", "16", *store]
    small += ["--epochs", "3"]
    scored = [collection, "--model", model, *store, "--split", "train"]
    before = [
        ["train", *small, "--output-dir", "trained"],
        ["eval", "collection", collection, "--model", model, "--model", "trained", *store, "--output", "scored"],
    ]
    dense, claims = ["--negatives-model", model], ["--train-data", collection, "--claim", "guide-gain"]
    grid = ["--grid", "lambda_isotropy=0,1", "--seeds", "1", "--jobs", "2", "--datasets", collection]
    return before, {
        "data pydocs": (["data", "pydocs", "docs"], "docs"),
        "data pairs": (["data", "pairs", "--documents", "passages.txt", "--output", "made"], "made"),
        "data negatives": (
            ["data", "negatives", "pairs.jsonl", "--negatives", "dense", *dense, *store, "--output", "mined.jsonl"],
            "mined.jsonl",
        ),
        "train (head)": (["train", *small, "--output-dir", "head"], "head/model"),
        "train (encoder)": (
            ["train", *small, "--no-freeze-base", "--lambda-distill", "0", "--output-dir", "encoder"],
            "encoder/model",
        ),
        "eval collection": (["eval", "collection", *scored, "--model", "bm25", "--output", "cells"], "cells"),
        "eval compress": (["eval", "compress", *scored, "--codes", "int8,binary", "--output", "coded"], "coded"),
        "eval abstain": (["eval", "abstain", *scored, "--output", "abstained"], "abstained"),
        "eval neighbours": (["eval", "neighbours", *scored, "--output", "near"], "near/**/run.trec"),
        "analyze isotropy": (
            ["analyze", "isotropy", "--model", model, "--data", collection, *store, "--output", "measured"],
            "measured",
        ),
        "ablate": (["ablate", *small, *grid, "--output-dir", "ablation"], "ablation/ablation.csv"),
        "run": (["run", *small, "--datasets", collection, "--output-dir", "chain"], "chain/tables/*.tex"),
        "claims run": (
            ["claims", "run", collection, "--model", model, *claims, *store, "--output", "claims"],
            "claims/*/measured",
        ),
        "report paper": (["report", "paper", "scored", "--output", "paper", "--data-dir", "."], "paper"),
        "report html": (["report", "html", "scored", "--output", "page", "--data-dir", "."], "page"),
        "export": (["export", "trained", "--to", "released"], "released/modules.json"),
        "export (codes)": (
            ["export", f"{model}:codec=int8", "--to", "codes", "--data", collection, *store, "--output", "codes"],
            "codes/*.safetensors",
        ),
    }


def begin(command: list[str], work: Path) -> Child:
    """Begin `ragcun COMMAND` in `work`, with a cache of its own."""
    variables = {"RAGCUN_CACHE_DIR": str(work / "cache"), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return Child("-m", "ragcun", *command, env={**os.environ, **variables}, cwd=work)


def left_over(work: Path) -> list[str]:
    """Hidden files that no complete command leaves."""
    return [path.name for path in work.rglob(".*") if not (path.name.endswith(".lock") and "openvino" in str(path))]


def end(command: list[str], number: signal.Signals, after: float, work: Path) -> tuple[list[str], bool]:
    """Begin the command, end it after so many seconds, and say what was wrong, and whether it had ended before."""
    child = begin(command, work)
    process = psutil.Process(child.pid)
    time.sleep(after)
    try:
        started = process.children(recursive=True)
    except psutil.NoSuchProcess:
        started = []
    child.send_signal(number)
    done = child.wait()
    if done.returncode == 0:
        return [], True
    code, said = SIGNALS[number]
    told = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    faults = [] if done.returncode == code else [f"exit code {done.returncode}: {done.stderr[-300:]}"]
    if said and (len(told) != 1 or said not in told[0]):
        faults.append(f"said {told}")
    if "Traceback" in done.stderr:
        faults.append(f"a traceback: {done.stderr[-500:]}")
    _, alive = psutil.wait_procs(started, _PATIENCE)
    faults += [f"left process {one.pid}" for one in alive]
    if number != signal.SIGKILL and (left := left_over(work)):
        faults.append(f"left {left[:3]}")
    return faults, False


def main() -> None:
    """Run, end, run again, tell; exit code 1 where something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=2, help="of each signal")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("chosen", nargs="*", metavar="COMMAND")
    given = parser.parse_args()
    draw = random.Random(given.seed)  # noqa: S311
    tried = wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        whole, work = Path(folder) / "whole", Path(folder) / "work"
        work.mkdir()
        before, every = commands(work)
        for command in before:
            done = begin(command, work).wait()
            if done.returncode:
                sys.exit(f"{command}: {done.stderr}")
        shutil.move(work, whole)
        for name, (command, result) in every.items():
            if given.chosen and name not in given.chosen:
                continue
            shutil.copytree(whole, work)
            began = time.perf_counter()
            done = begin(command, work).wait()
            took = time.perf_counter() - began
            if done.returncode:
                sys.exit(f"{name}: {done.stderr}")
            right, falls = CORRUPTION.digest(work, result), 0
            shutil.rmtree(work)
            for number in [number for number in SIGNALS for _ in range(given.times)]:
                shutil.copytree(whole, work)
                faults, ended = end(command, number, draw.uniform(0.1, 0.95) * took, work)
                falls += not ended
                again = begin(command, work).wait()
                if again.returncode and not ended:
                    faults.append(f"given again: {again.stderr[-300:]}")
                elif CORRUPTION.digest(work, result) != right:
                    faults.append("another result")
                elif left := left_over(work):
                    faults.append(f"given again, left {left[:3]}")
                tried += not ended
                wrong += bool(faults)
                for fault in faults:
                    print(f"    {number.name}: {fault}", flush=True)
                shutil.rmtree(work)
            print(f"{name:20} {took:6.1f} s, ended {falls} times", flush=True)
    print(f"{tried - wrong} of {tried} endings right")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
