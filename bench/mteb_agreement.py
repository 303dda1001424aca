"""Does ragcun score a trained model as MTEB does? Both evaluate the exported model by themselves, from the texts on.

    python -m venv mteb && mteb/bin/pip install -c constraints.txt mteb
    python bench/mteb_agreement.py --model EXPERIMENT/model --collections FOLDER --mteb mteb/bin/python

FOLDER holds scifact and nfcorpus in BEIR's layout. Exit code 1 where nDCG@10 differs by more than 0.0001.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from ragcun.evaluation.beir import evaluate
from ragcun.retrieval.retrievers import RetrieverOptions

TASKS = {"SciFact": "scifact", "NFCorpus": "nfcorpus"}
TOLERANCE = 1e-4

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--model", type=Path, required=True, help="exported model's folder")
parser.add_argument("--collections", type=Path, required=True)
parser.add_argument("--mteb", required=True, help="Python of an environment that has mteb")
options = parser.parse_args()

with tempfile.TemporaryDirectory() as scratch:
    datasets = [options.collections / folder for folder in TASKS.values()]
    results = evaluate([str(options.model)], datasets, Path(scratch), RetrieverOptions(Path(scratch) / "store"))
command = [options.mteb, str(Path(__file__).with_name("mteb_scores.py")), str(options.model), str(options.collections)]
done = subprocess.run(
    [*command, *(f"{task}={folder}" for task, folder in TASKS.items())], check=True, stdout=subprocess.PIPE, text=True
)
theirs = json.loads(done.stdout.splitlines()[-1])
agree = True
for task, result in zip(TASKS, results, strict=True):
    ours = result.metrics["nDCG@10"]
    print(f"{task}: ragcun {ours:.5f}, MTEB {theirs[task]:.5f}, difference {ours - theirs[task]:+.5f}")
    agree &= abs(ours - theirs[task]) <= TOLERANCE
sys.exit(0 if agree else 1)
