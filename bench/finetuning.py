"""A step of full fine-tuning beside sentence-transformers' trainer with its own loss.

    python bench/finetuning.py [--base MODEL] [--batch 32] [--steps 6] [--runs 5]

Both train all weights of the base on the same pairs with AdamW in fp32, ragcun with InfoNCE on distances, its head and
without further terms, the trainer with MultipleNegativesRankingLoss. Each run is `--steps` steps after one that does
not count; a figure is the seconds of a step.
"""

import tempfile
from pathlib import Path
from typing import Any

from measure import Row, clock, of, parser, ragcun, report, trainer_step
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

from ragcun.console import console
from ragcun.data.pairs import Pairs, load_pairs
from ragcun.embedding.embedder import Embedder
from ragcun.embedding.load import load_model
from ragcun.embedding.resolve import resolve_model
from ragcun.heads.spectrum import spectrum
from ragcun.settings.load import load_settings
from ragcun.training.accelerator import make_accelerator
from ragcun.training.batches import PairTexts, sample_vectors
from ragcun.training.loop import Job, Training
from ragcun.training.start import starting_encoder


def theirs(base: str, pairs: Pairs, batch: int, scratch: Path) -> float:
    """Seconds a step of sentence-transformers' trainer."""
    model = load_model(resolve_model(base), device="cpu")
    return trainer_step(model, MultipleNegativesRankingLoss(model), pairs, batch, scratch)


def ours(base: str, pairs: Pairs, batch: int, scratch: Path) -> float:
    """Seconds a step of ragcun's training loop."""
    stage = {
        "batch_size": batch,
        "learning_rate": 5e-5,
        "lambda_isotropy": 0,
        "lambda_reg": 0,
        "lambda_distill": 0,
        "lambda_general": 0,
    }
    settings = load_settings(
        None, None, {"training": stage, "model": {"base": base, "freeze_base": False, "output_dim": 384}}
    )
    resolved = resolve_model(base)
    embedder = Embedder(base, scratch / "store", device="cpu")
    encoder = starting_encoder(settings, spectrum(sample_vectors(pairs, embedder, 1_000, 0)), resolved, None)
    dev: Any = None
    source = PairTexts(pairs, encoder.base, None) if encoder.base is not None else None
    assert source is not None  # noqa: S101
    job = Job(encoder, source, dev, settings.training, seed=0, keep_start=True, identity="")
    training = Training(job, scratch, make_accelerator(settings, scratch))
    sums: dict[str, float] = {}
    times = []
    for step in range(len(pairs) // batch):
        training._step(step, sums)
        times.append(clock())
    return (times[-1] - times[0]) / (len(times) - 1)


def main() -> None:
    """Measure and print."""
    options = parser(__doc__, batch=32, steps=6, runs=5)
    options.add_argument("--base", default="sentence-transformers/all-MiniLM-L6-v2")
    given = options.parse_args()
    console.quiet = True
    taken: dict[str, list[float]] = {"ragcun": [], "peer": []}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        ragcun("data", "pydocs", scratch / "pydocs", "--documents", "2000")
        pairs = load_pairs(scratch / "pydocs", "train").take(given.batch * (given.steps + 1), seed=0)
        for run in range(given.runs):
            taken["peer"].append(theirs(given.base, pairs, given.batch, scratch / f"peer{run}"))
            taken["ragcun"].append(ours(given.base, pairs, given.batch, scratch / f"own{run}"))
    report(
        [
            Row(
                layer="A step of full fine-tuning",
                work=f"{Path(given.base).name}, {given.batch} pairs of Python's documentation, fp32, all weights",
                peer=f"{of('sentence-transformers')}, its trainer with MultipleNegativesRankingLoss",
                seconds=taken["ragcun"],
                peer_seconds=taken["peer"],
                wanted=0.95,
                notes=[f"Each run is the mean of {given.steps} steps."],
            )
        ]
    )


if __name__ == "__main__":
    main()
