"""Evaluating a second head on a stored base, beside MTEB and BEIR on the exported model: whole processes.

    python bench/evaluation.py [--collection FOLDER] [--base MODEL] [--runs 1] [--mteb PYTHON] [--folder FOLDER]

Two heads are trained on the collection and the first is evaluated, which stores the base's embeddings. Then the second
is evaluated: by ragcun, and by MTEB and BEIR, which encode the texts with the exported model.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from measure import Row, of, parser, process, ragcun, report

HERE = Path(__file__).parent


def main() -> None:
    """Measure and print."""
    options = parser(__doc__, runs=1)
    options.add_argument("--collection", type=Path, help="default: 2,000 documents of Python's documentation")
    options.add_argument("--base", default="sentence-transformers/all-MiniLM-L6-v2")
    options.add_argument("--train-data", type=Path, help="what the heads are trained on; default: the collection")
    options.add_argument("--store", type=Path, help="a store that has the collection already")
    options.add_argument("--folder", type=Path, help="of the heads, which are trained unless they are there")
    options.add_argument("--mteb", default=sys.executable, help="Python of an environment that has mteb")
    options.add_argument("--peer", choices=["mteb", "beir"], action="append", help="default: both")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = given.folder or Path(folder)
        collection = given.collection or scratch / "pydocs"
        if given.collection is None:
            ragcun("data", "pydocs", collection, "--documents", "2000")
        store = given.store or scratch / "store"
        common = [
            "train",
            "--train-data",
            given.train_data or collection,
            "--base-model",
            given.base,
            "--store",
            store,
            "--epochs",
            "1",
        ]
        evaluate = ["eval", "collection", collection, "--split", "test", "--store", store, "--model"]
        for name, weight in (("first", "1"), ("second", "10")):
            ragcun(*common, "--lambda-isotropy", weight, "--output-dir", scratch / name)
        ragcun(*evaluate, scratch / "first", "--output", scratch / "warm")
        model = scratch / "second" / "model"
        commands = {
            "mteb": [given.mteb, HERE / "mteb_scores.py", model, collection.parent, f"SciFact={collection.name}"],
            "beir": [sys.executable, HERE / "beir_scores.py", model, collection],
        }
        rows = []
        for peer in given.peer or list(commands):
            ours, theirs, scores = [], [], ""
            for _ in range(given.runs):
                shutil.rmtree(scratch / "results", ignore_errors=True)
                ours.append(ragcun(*evaluate, scratch / "second", "--output", scratch / "results"))
                theirs.append(process(commands[peer]))
                scores = theirs[-1][2].splitlines()[-1]
            result = json.loads(next((scratch / "results").rglob("result.json")).read_text(encoding="utf-8"))
            own, other = result["metrics"]["nDCG@10"], next(iter(json.loads(scores).values()))
            version = process([given.mteb, "-c", "import mteb; print(mteb.__version__)"])[2].strip()
            rows.append(
                Row(
                    layer="Evaluating a second head on a stored base",
                    work=f"{Path(given.base).name}, {collection.name}: {result['documents']:,} documents, "
                    f"{result['queries']:,} queries; whole processes",
                    peer=(f"mteb {version}" if peer == "mteb" else of("beir")) + ", the exported model",
                    seconds=[one[0] for one in ours],
                    peer_seconds=[one[0] for one in theirs],
                    wanted=20,
                    mebibytes=max(one[1] for one in ours),
                    peer_mebibytes=max(one[1] for one in theirs),
                    notes=[f"nDCG@10: {100 * own:.2f} and {100 * other:.2f}."]
                    + (["BEIR searches by dot product, MTEB and ragcun by Euclidean distance."] * (peer == "beir")),
                )
            )
    report(rows)


if __name__ == "__main__":
    main()
