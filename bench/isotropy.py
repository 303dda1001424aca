"""The price of isotropy in little time: a grid of heads on stored base embeddings, scored from memory.

python bench/isotropy.py --train-data COLLECTIONS/medquad --collections COLLECTIONS/medquad COLLECTIONS/scifact \
    --grid output_dim=64 --grid lambda_covariance=0,10 --seeds 5 --set training.epochs=10 --output OUTPUT

trains as `ragcun ablate` does, seed by seed, with data and collections read once, and keeps nDCG@10 of each query of
the test splits, without rankings of 1,000 documents. `ragcun analyze tradeoff OUTPUT` reads what it writes. Cells that
are there are kept. Several of it may run at once, each with its own grid.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from ragcun.console import console
from ragcun.data.collection import Collection
from ragcun.data.provenance import Provenance
from ragcun.data.texts import Selected
from ragcun.embedding.embedder import Embedder
from ragcun.embedding.resolve import resolve_model
from ragcun.embedding.width import with_output_dim
from ragcun.evaluation.metrics import score
from ragcun.evaluation.results import Cell as Place
from ragcun.evaluation.results import Result
from ragcun.files import ragcun_cache
from ragcun.heads.registry import HEADS
from ragcun.heads.spectrum import spectrum
from ragcun.intact import write_record
from ragcun.pipeline.grid import Cell, cells_of, parse_grid
from ragcun.retrieval.search import search
from ragcun.settings.load import load_settings
from ragcun.settings.schema import Settings
from ragcun.training.accelerator import make_accelerator
from ragcun.training.batches import PairVectors
from ragcun.training.data import general_sources, general_texts, training_data
from ragcun.training.dev import StoredDev
from ragcun.training.encoder import EncoderWithObjective
from ragcun.training.interpolation import interpolated
from ragcun.training.loop import Job, Training
from ragcun.training.start import starting_encoder

METRIC = "nDCG@10"
Floats = npt.NDArray[np.float32]


class Test:
    """The test split of a collection, with its base embeddings in memory."""

    def __init__(self, path: Path, embedder: Embedder) -> None:
        self.collection = Collection.open(path)
        self.qrels = self.collection.qrels("test")
        rows = self.collection.queries.rows(list(self.qrels))
        queries = embedder.queries(Selected(self.collection.queries, rows))
        documents = embedder.documents(self.collection.corpus)
        self.queries, self.documents = (vectors.block(0, len(vectors)) for vectors in (queries, documents))
        self.ids = list(self.collection.corpus.ids())

    def scores(self, queries: Floats, documents: Floats, similarity: str) -> dict[str, float]:
        """nDCG@10 of each query."""
        found = search(queries, documents, 10, similarity)
        run = {
            query: {self.ids[row]: float(s) for row, s in zip(rows, values, strict=True) if row >= 0}
            for query, rows, values in zip(self.qrels, found.rows.tolist(), found.scores.tolist(), strict=True)
        }
        of = score(self.qrels, run, [METRIC])
        return dict(zip(of.queries, of.values[METRIC], strict=True))


@torch.no_grad()
def _through(encoder: EncoderWithObjective, base_Nb: Floats) -> Floats:
    parts = [encoder.head(part) for part in torch.from_numpy(base_Nb).split(8_192)]
    embedded: Floats = torch.cat(parts).numpy()
    return embedded


def _keep(place: Place, label: str, scores: Mapping[str, float], domain: Any) -> float:
    mean = sum(scores.values()) / len(scores)
    place.path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"query_id": list(scores), METRIC: list(scores.values())})
    pq.write_table(table, place.path.with_name("scores.parquet"))
    place.path.with_name("run.trec").write_text("", encoding="utf-8")
    dataset = place.path.parent.parent.name
    place.write(
        Result(label, dataset, "test", {METRIC: mean}, {}, place.path, label, len(scores), domain=domain), {}, {}
    )
    return mean


def _train(cell: Cell, settings: Settings, encoder: EncoderWithObjective, vectors: PairVectors, dev: StoredDev) -> None:
    if not HEADS[settings.model.head].trainable:
        return
    job = Job(
        encoder, vectors, dev, settings.training, settings.seed, settings.model.start_power is not None, cell.label
    )
    outcome = Training(job, cell.folder, make_accelerator(settings, cell.folder)).run()
    encoder.load_trained(interpolated(outcome.start, outcome.best, float(settings.training.interpolate)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train-data", required=True)
    parser.add_argument("--collections", type=Path, nargs="+", required=True)
    parser.add_argument("--base-model", default="minilm")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--preset")
    parser.add_argument("--grid", action="append", default=[])
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--store", type=Path, default=ragcun_cache() / "store")
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Train, score, print a line a cell."""
    options = _options()
    console.quiet = True
    flags: dict[str, Any] = dict(one.split("=", 1) for one in options.set)
    flags |= {"data.train": options.train_data, "model.base": options.base_model, "model.precision": options.precision}
    cells = cells_of(
        parse_grid(options.grid),
        options.seeds,
        lambda values: load_settings(options.preset, flags={**flags, **values}),
        options.output,
    )
    base = resolve_model(options.base_model)
    embedder = Embedder(options.base_model, options.store, options.precision)
    pairs, dev_texts = training_data(cells[0].settings)
    general = general_texts(cells[0].settings.data)
    vectors = PairVectors(pairs, embedder, "training", general=[part for parts in general.values() for part in parts])
    dev = StoredDev(dev_texts, embedder)
    found = spectrum(vectors.sample(50_000, 0))
    sources = {"train": pairs.source, "dev": dev_texts.source, "general": general_sources(general)}
    known = Provenance.of_training(sources)
    tests = [Test(path, embedder) for path in options.collections]
    for test in tests:
        name = test.collection.name
        place = Place(options.output / "results", embedder.label, name, "test")
        if place.path.is_file():
            continue
        mean = _keep(place, embedder.label, test.scores(test.queries, test.documents, embedder.similarity), None)
        print(f"{embedder.label}: {name} {100 * mean:.2f}", flush=True)
    for cell in sorted(cells, key=lambda cell: cell.settings.seed):
        if (cell.folder / "manifest.json").is_file():
            continue
        settings = with_output_dim(cell.settings, base)
        encoder = starting_encoder(settings, found, base, None).eval()
        start = dev.isotropy(encoder)
        _train(cell, settings, encoder, vectors, dev)
        encoder.eval()
        isotropy = {**dev.gaussian(settings.model.dimension), "start": start, "end": dev.isotropy(encoder)}
        means = {}
        for test in tests:
            scores = test.scores(_through(encoder, test.queries), _through(encoder, test.documents), "euclidean")
            name = test.collection.name
            place = Place(options.output / "results", cell.label, name, "test")
            means[name] = _keep(place, cell.label, scores, known.domain(test.collection))
        manifest = {"label": cell.label, "settings": settings.model_dump(mode="json"), "data": sources}
        manifest |= {"dev": {"end": dev.ndcg(encoder)}, "isotropy": isotropy}
        write_record(cell.folder / "manifest.json", manifest)
        told = ", ".join(f"{name} {100 * mean:.2f}" for name, mean in means.items())
        ratio = isotropy["end"]["participation_ratio"] / isotropy["gaussian"]["participation_ratio"]
        print(f"{cell.label}: dev {100 * manifest['dev']['end']:.2f}, ratio {ratio:.3f}; {told}", flush=True)


if __name__ == "__main__":
    main()
