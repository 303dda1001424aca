"""The analysis as the pipeline and the command call it: embeddings in, a report file and figures out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ragcun.analysis.figures import isotropy_figures
from ragcun.analysis.geometry import SAMPLE, Geometry, measure, report, sample_rows
from ragcun.analysis.reports import IsotropyReport
from ragcun.console import progress
from ragcun.data.collection import Collection
from ragcun.data.texts import Selected
from ragcun.embedding.embedder import Embedder
from ragcun.errors import UserError
from ragcun.files import file_sha256, write_json
from ragcun.manifest import environment


def analyze(
    labelled: Mapping[str, npt.NDArray[np.floating]],
    output: Path,
    seed: int = 0,
    sample: int = SAMPLE,
    data: str = "",
    population: int | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[IsotropyReport]:
    """Measure each (N, D) array, at most `sample` rows of it, and write isotropy.json and the figures into `output`.

    `data` names what was embedded, `population` how many rows there were before any sampling (N where None), and
    `settings`, by label, what a reader needs to make the embeddings again. Raises `UserError` on NaN or a single row.
    """
    geometries: list[Geometry] = []
    reports: list[IsotropyReport] = []
    with progress("measuring isotropy", len(labelled), "models") as bar:
        for label, embeddings in labelled.items():
            rows = sample_rows(len(embeddings), sample, seed)
            geometry = measure(label, embeddings[rows], seed)
            measured = report(geometry, data, population or len(embeddings), seed)
            geometries.append(geometry)
            reports.append(replace(measured, settings=dict((settings or {}).get(label, {}))))
            bar.advance()
    figures = isotropy_figures(geometries, output / "figures", seed)
    write_json(
        output / "isotropy.json",
        {
            "results": [result.to_json() for result in reports],
            "figures": [path.relative_to(output).as_posix() for path in figures],
            "environment": environment(),
        },
    )
    return reports


def analyze_models(
    embedders: Sequence[Embedder], collection: Collection, output: Path, seed: int = 0, sample: int = SAMPLE
) -> list[IsotropyReport]:
    """Embed a sample of a collection's documents, the same for every model, and `analyze` it.

    Only the sampled texts are encoded. Raises `UserError` where two models share a label.
    """
    labels = [embedder.label for embedder in embedders]
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise UserError(f"two models are called {twice!r}; name each model once, in folders of different names")
    rows = sample_rows(len(collection.corpus), sample, seed)
    texts = Selected(collection.corpus, rows)
    corpus = {"sha256": file_sha256(collection.corpus.path)}
    labelled: dict[str, npt.NDArray[np.floating]] = {}
    settings: dict[str, dict[str, Any]] = {}
    for embedder in embedders:
        vectors = embedder.documents(texts, f"encoding {len(texts):,} documents with {embedder.label}")
        labelled[embedder.label] = vectors.block(0, len(texts))
        settings[embedder.label] = {**embedder.describe(), "fingerprint": embedder.fingerprint, "corpus": corpus}
    return analyze(labelled, output, seed, sample, collection.name, len(collection.corpus), settings)
