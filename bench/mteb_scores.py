"""MTEB's own scores of a model on collections that are on disk; run by the Python of an environment that has mteb.

    python bench/mteb_scores.py MODEL COLLECTIONS SciFact=scifact NFCorpus=nfcorpus

Prints JSON: MTEB's task -> nDCG@10, unrounded. The tasks are MTEB's, but for their data, read from COLLECTIONS/FOLDER
in BEIR's layout instead of from the hub.
"""

import json
import sys
from pathlib import Path

import mteb
from datasets import Dataset
from sentence_transformers import SentenceTransformer


def rows(path: Path) -> Dataset:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    kept = ("title", "text") if path.stem == "corpus" else ("text",)
    return Dataset.from_list([{"id": line["_id"]} | {key: line.get(key, "") for key in kept} for line in lines])


def judgements(path: Path) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        found.setdefault(query, {})[document] = int(grade)
    return found


model, collections, *names = sys.argv[1:]
scores = {}
for name in names:
    task_name, folder = name.split("=")
    path = Path(collections) / folder
    task = mteb.get_task(task_name)
    qrels = judgements(path / "qrels" / "test.tsv")
    queries = rows(path / "queries.jsonl").filter(lambda row, qrels=qrels: row["id"] in qrels)
    split = {"corpus": rows(path / "corpus.jsonl"), "queries": queries, "relevant_docs": qrels, "top_ranked": None}
    task.dataset = {"default": {"test": split}}
    task.data_loaded = True
    result = mteb.evaluate(SentenceTransformer(model, device="cpu"), task, cache=None, co2_tracker=False)
    scores[task_name] = result[0].scores["test"][0]["ndcg_at_10"]
print(json.dumps(scores))
