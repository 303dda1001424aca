"""Trainings killed at random moments and resumed: do they end with the bits of one that was not?

    python bench/kills.py --train-data FOLDER --base-model MODEL [--kills 20] [ragcun train's options]

Two trainings, of a head and of a whole encoder, each once without interruption and then, from an empty store, killed
(SIGKILL) at random moments until half of `--kills` have fallen, resumed each time by the same command.
"""

import argparse
import hashlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def digest(experiment: Path) -> str:
    """SHA-256 over the weights of the saved encoder."""
    digest = hashlib.sha256()
    for path in sorted((experiment / "model").rglob("*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train-data", required=True)
    parser.add_argument("--base-model", required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments, options = parser.parse_known_args()
    draw = random.Random(arguments.seed)  # noqa: S311
    scratch = Path(tempfile.mkdtemp())
    failed = False
    try:
        for kind, flags in (("head", []), ("encoder", ["--no-freeze-base", "--keep-base", "0"])):
            command = [sys.executable, "-m", "ragcun", "train", "--train-data", arguments.train_data, *flags, *options]
            command += ["--base-model", arguments.base_model, "--store", str(scratch / f"{kind}-store")]
            began = time.perf_counter()
            whole = scratch / f"{kind}-whole"
            subprocess.run([*command, "--output-dir", str(whole)], check=True, stderr=subprocess.DEVNULL)
            took = time.perf_counter() - began
            shutil.rmtree(scratch / f"{kind}-store")
            killed, falls = scratch / f"{kind}-killed", 0
            while falls < arguments.kills // 2:
                process = subprocess.Popen([*command, "--output-dir", str(killed)], stderr=subprocess.DEVNULL)
                try:
                    process.wait(draw.uniform(0.3, 1.0) * took)
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    falls += 1
                    continue
                failed |= digest(killed) != digest(whole)  # it ended before the kill: begin again
                shutil.rmtree(killed)
            subprocess.run([*command, "--output-dir", str(killed)], check=True, stderr=subprocess.DEVNULL)
            same = digest(killed) == digest(whole)
            failed |= not same
            print(f"{kind}: {took:.1f} s whole; {falls} kills; {'same bits' if same else 'OTHER BITS'}", flush=True)
    finally:
        shutil.rmtree(scratch)
    sys.exit(failed)


if __name__ == "__main__":
    main()
