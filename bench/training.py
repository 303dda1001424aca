"""What the embedding store saves.

    python bench/training.py [--collection FOLDER] [--base MODEL] [--epochs 5] [--in-loop-steps 2]

Three trainings of the same MLP head on the same pairs with the same batch: a first `ragcun train`, which has to
encode; a second one with another lambda; and sentence-transformers' trainer with the frozen base in the loop, as one
would without a store. The first two are whole processes; the third is timed over a few steps, and its whole training
is that time a step times the steps.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BATCH = 256


def ragcun(*arguments: str) -> float:
    """Wall time of a whole `ragcun` process, in seconds."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "ragcun", *arguments], check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def in_the_loop(collection: Path, base: str, steps: int, scratch: Path) -> float:
    """Seconds a step of sentence-transformers' trainer with the frozen base in the loop."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.modules import Dense
    from torch import nn
    from transformers import TrainerCallback

    from ragcun import IsotropicRetrievalLoss
    from ragcun.data.pairs import load_pairs
    from ragcun.embedding.load import load_model
    from ragcun.embedding.resolve import resolve_model

    model = load_model(resolve_model(base), device="cpu").requires_grad_(requires_grad=False)
    width = model.get_embedding_dimension()
    head = [Dense(width, 2 * width, activation_function=nn.GELU()), Dense(2 * width, width, activation_function=None)]
    encoder = SentenceTransformer(modules=[*model, *head], device="cpu")
    pairs = load_pairs(collection, "train").take(BATCH * (steps + 1), seed=0)
    rows = zip(pairs.anchor.tolist(), pairs.positive.tolist(), strict=True)
    dataset = Dataset.from_list([{"anchor": pairs.queries[a], "positive": pairs.documents[p]} for a, p in rows])
    times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: object, **__: object) -> None:
            times.append(time.perf_counter())

    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(scratch),
        per_device_train_batch_size=BATCH,
        num_train_epochs=1,
        report_to="none",
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
    )
    loss = IsotropicRetrievalLoss(encoder, temperature=width / 10)
    trainer = SentenceTransformerTrainer(
        model=encoder, args=arguments, train_dataset=dataset, loss=loss, callbacks=[Clock()]
    )
    trainer.train()
    return (times[-1] - times[0]) / (len(times) - 1)


def main() -> None:
    """Run all three and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collection", type=Path, help="default: 2,000 docstrings")
    parser.add_argument("--base", default="sentence-transformers/all-MiniLM-L6-v2")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--in-loop-steps", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        collection = options.collection or scratch / "pydocs"
        if options.collection is None:
            ragcun("data", "pydocs", str(collection), "--documents", "2000")
        common = ["train", "--train-data", str(collection), "--base-model", options.base, "--store", str(scratch / "s")]
        common += ["--output-dim", "384", "--batch-size", str(BATCH), "--epochs", str(options.epochs)]
        first = ragcun(*common, "--lambda-isotropy", "1", "--output-dir", str(scratch / "first"))
        second = ragcun(*common, "--lambda-isotropy", "10", "--output-dir", str(scratch / "second"))
        manifest = json.loads((scratch / "second" / "manifest.json").read_text(encoding="utf-8"))
        step = in_the_loop(collection, options.base, options.in_loop_steps, scratch / "loop")
        looped = step * manifest["steps"]
        print(
            json.dumps(
                {
                    "collection": collection.name,
                    "base": options.base,
                    "pairs": manifest["data"]["pairs"],
                    "steps": manifest["steps"],
                    "cores": len(os.sched_getaffinity(0)),
                    "first_seconds": round(first, 1),
                    "second_seconds": round(second, 1),
                    "first_over_second": round(first / second, 1),
                    "in_loop_seconds": round(looped, 1),
                    "in_loop_over_second": round(looped / second, 1),
                },
                indent=2,
            )
        )


if __name__ == "__main__":
    main()
