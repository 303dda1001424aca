"""What the embedding store saves.

    python bench/training.py [--collection FOLDER] [--base MODEL] [--runs 1] [--in-loop-steps 2]

Three trainings of the same MLP head on the same pairs with the same batch: a first `ragcun train`, which has to
encode; a second one with another lambda; and sentence-transformers' trainer with the frozen base in the loop, as one
would without a store. The first two are whole processes; the third is timed over a few steps, and its whole training
is that time a step times the steps.
"""

import json
import tempfile
from pathlib import Path

from measure import Row, of, parser, ragcun, report, trainer_step


def in_the_loop(collection: Path, base: str, batch: int, steps: int, scratch: Path) -> float:
    """Seconds a step of sentence-transformers' trainer with the frozen base in the loop."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense
    from torch import nn

    from ragcun import IsotropicRetrievalLoss
    from ragcun.data.pairs import load_pairs
    from ragcun.embedding.load import load_model
    from ragcun.embedding.resolve import resolve_model

    model = load_model(resolve_model(base), device="cpu").requires_grad_(requires_grad=False)
    width = model.get_embedding_dimension()
    head = [Dense(width, 2 * width, activation_function=nn.GELU()), Dense(2 * width, width, activation_function=None)]
    encoder = SentenceTransformer(modules=[*model, *head], device="cpu")
    pairs = load_pairs(collection, "train").take(batch * (steps + 1), seed=0)
    loss = IsotropicRetrievalLoss(encoder, temperature=width / 10)
    return trainer_step(encoder, loss, pairs, batch, scratch)


def main() -> None:
    """Measure all three in turn and print."""
    options = parser(__doc__, runs=1, in_loop_steps=2, documents=2000)
    options.add_argument("--collection", type=Path, help="default: --documents of Python's documentation")
    options.add_argument("--base", default="sentence-transformers/all-MiniLM-L6-v2")
    options.add_argument("--dimension", default="384", help="of the head's output; default: 384")
    options.add_argument("--preset", default="hybrid", help="default: hybrid")
    given = options.parse_args()
    seconds: dict[str, list[float]] = {"first": [], "second": [], "looped": []}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        collection = given.collection or scratch / "pydocs"
        if given.collection is None:
            ragcun("data", "pydocs", str(collection), "--documents", str(given.documents))
        for run in range(given.runs):
            place = scratch / str(run)
            common = ["train", "--preset", given.preset, "--train-data", str(collection), "--base-model", given.base]
            common += ["--store", str(place / "store"), "--output-dim", given.dimension, "--output-dir"]
            seconds["first"].append(ragcun(*common, str(place / "first"))[0])
            seconds["second"].append(ragcun(*common, str(place / "second"), "--lambda-isotropy", "10")[0])
            manifest = json.loads((place / "second" / "manifest.json").read_text(encoding="utf-8"))
            batch = manifest["batch"]
            steps, epochs = manifest["steps"], manifest["settings"]["training"]["epochs"]
            pairs = batch["size"] * batch["accumulation"]
            step = in_the_loop(collection, given.base, pairs, given.in_loop_steps, place / "loop")
            seconds["looped"].append(step * steps)
    peer = f"{of('sentence-transformers')}, its trainer with the frozen base in the loop, the same loss"
    work = (
        f"preset {given.preset}, {Path(given.base).name}, {collection.name}: {manifest['data']['pairs']:,} pairs, "
        f"{epochs} epochs, {steps:,} steps of {pairs}"
    )
    told = [f"The peer's time is that of {given.in_loop_steps} steps, times {steps:,} / {given.in_loop_steps}."]
    report(
        [
            Row("First training of a head", work, peer, seconds["first"], seconds["looped"], 2.8 * epochs, notes=told),
            Row("Second training of a head", work, peer, seconds["second"], seconds["looped"], 100, notes=told),
        ]
    )


if __name__ == "__main__":
    main()
