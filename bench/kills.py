"""Trainings killed at random moments and resumed: do they end with the bits of one that was not?

    python bench/kills.py --train-data FOLDER --base-model MODEL [--kills 20] [ragcun train's options]

Three trainings: of a head, of a whole encoder, and of one in two stages (preset prototype, both on the same data).
Each is run once without interruption and then, from an empty store, killed (SIGKILL) at random moments until its third
of `--kills` have fallen, resumed each time by the same command. Each kill is printed with the last checkpoint that it
left; `--save-interval 1` among the options leaves the most. Options are for the head, the encoder and stage 2; for
stage 1 its settings are given by `--pretraining NAME=VALUE` (as epochs=3), repeatedly.
"""

import argparse
import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from safetensors.torch import load_file

from ragcun.training.checkpoint import load_tensors

PRETRAINING = "pretraining"


def digest(experiment: Path) -> str:
    """SHA-256 over all tensors of an experiment: encoders and checkpoints, optimisers among them, of both stages."""
    digest = hashlib.sha256()
    for path in sorted(experiment.rglob("*.safetensors")):
        for name, tensor in sorted(load_file(path).items()):
            digest.update(f"{path.relative_to(experiment)} {name}".encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def reached(experiment: Path) -> str:
    """The last checkpoint of an experiment that was killed, in words."""
    for folder in (experiment, experiment / PRETRAINING):
        last = folder / "checkpoints" / "last.safetensors"
        if last.is_file():
            return f"{'stage 1, ' if folder.name == PRETRAINING else ''}step {load_tensors(last)[1]['step']}"
    return "no checkpoint"


def train(command: list[str], experiment: Path) -> None:
    """Run to the end."""
    done = subprocess.run([*command, "--output-dir", str(experiment)], check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)


def survives(kind: str, command: list[str], kills: int, draw: random.Random, scratch: Path) -> bool:
    """Whether `command`, killed so many times, ends with the bits of one run of it; prints a line for each kill."""
    whole, killed = scratch / "whole", scratch / "killed"
    began = time.perf_counter()
    train(command, whole)
    took = time.perf_counter() - began
    shutil.rmtree(scratch / "store")
    falls, same = 0, True
    while falls < kills:
        process = subprocess.Popen([*command, "--output-dir", str(killed)], stderr=subprocess.DEVNULL)
        after = draw.uniform(0.3, 1.0) * took
        try:
            if process.wait(after):
                sys.exit(f"failed: {' '.join(command)}")
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if (killed / "manifest.json").is_file():  # it ended before the kill: begin again
            same &= digest(killed) == digest(whole)
            shutil.rmtree(killed)
            shutil.rmtree(scratch / "store")
            continue
        falls += 1
        print(f"{kind:12} kill {falls:2} after {after:5.1f} s   {reached(killed)}", flush=True)
    train(command, killed)
    same &= digest(killed) == digest(whole) and not list(scratch.rglob(".*.safetensors"))  # nor a file half-written
    print(f"{kind:12} {took:.1f} s whole, {falls} kills: {'same bits' if same else 'OTHER BITS'}", flush=True)
    return same


def main() -> None:
    """Kill and compare all three; exit code 1 where one ended with other bits."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--train-data", required=True)
    parser.add_argument("--base-model", required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--pretraining", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    arguments, options = parser.parse_known_args()
    draw = random.Random(arguments.seed)  # noqa: S311
    kinds = {
        "head": [],
        "encoder": ["--no-freeze-base", "--lambda-distill", "0"],
        "two stages": ["--preset", "prototype", "--freeze-early-layers", "0", "--pretrain-data", arguments.train_data],
    }
    stage_one = [setting.split("=", 1) for setting in arguments.pretraining]
    survived = []
    for number, (kind, flags) in enumerate(kinds.items()):
        kills = arguments.kills * (number + 1) // len(kinds) - arguments.kills * number // len(kinds)
        if kind == "two stages":
            os.environ |= {f"RAGCUN_PRETRAINING__{name.upper()}": value for name, value in stage_one}
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "ragcun", "train", "--train-data", arguments.train_data, *flags, *options]
            command += ["--base-model", arguments.base_model, "--store", str(Path(folder) / "store")]
            survived.append(survives(kind, command, kills, draw, Path(folder)))
    sys.exit(not all(survived))


if __name__ == "__main__":
    main()
