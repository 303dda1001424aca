"""`ragcun analyze isotropy`: measures embeddings, and writes a report file and figures."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ragcun.analysis.figures import isotropy_figures
from ragcun.analysis.geometry import SAMPLE, Geometry, measure
from ragcun.analysis.measures import MEASURES
from ragcun.analysis.reference import beside_gaussian, gaussians
from ragcun.analysis.reports import ISOTROPY, IsotropyReport
from ragcun.analysis.resampling import RESAMPLES, intervals
from ragcun.analysis.sample import draw_sample
from ragcun.analysis.sets import Embedded
from ragcun.console import progress
from ragcun.data.collection import Collection
from ragcun.data.texts import Selected
from ragcun.embedding.embedder import Embedder
from ragcun.errors import UserError
from ragcun.files import file_sha256
from ragcun.intact import write_record
from ragcun.manifest import environment


def analyze(
    labelled: Mapping[str, Embedded],
    output: Path,
    seed: int = 0,
    data: str = "",
    populations: Mapping[str, int] | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    with_intervals: bool = False,
) -> list[IsotropyReport]:
    """Measure documents, queries and both of each label, and write isotropy.json and the figures into `output`.

    `data` names the collection, `populations` has the numbers of documents, queries and both before sampling, and
    `settings` has for each label what is needed to reproduce the embeddings. Figures show documents. Raises `UserError`
    for NaN or a single row.
    """
    drawn: list[tuple[Geometry, Geometry]] = []
    reports: list[IsotropyReport] = []
    with progress("measuring isotropy", _steps(labelled, with_intervals), "measures") as bar:
        for label, embedded in labelled.items():
            references = gaussians(embedded.sizes, seed, bar.advance)
            for view in embedded.views(seed):
                bar.note(f"{label}, {view.of}")
                geometry = measure(label, view, bar.advance)
                report = beside_gaussian(geometry, references[view.of], seed, data, (populations or {}).get(view.of))
                found = intervals(view, bar.advance) if with_intervals else {}
                reports.append(replace(report, settings=dict((settings or {}).get(label, {})), intervals=found))
                if view.of == "documents":
                    drawn.append((geometry, references[view.of]))
        bar.note("figures")
        geometries, gaussian = ([pair[at] for pair in drawn] for at in (0, 1))
        figures = isotropy_figures(geometries, gaussian, output / "figures")
    write_record(
        output / ISOTROPY,
        {
            "results": [result.to_json() for result in reports],
            "figures": [path.relative_to(output).as_posix() for path in figures],
            "environment": environment(),
        },
        figures,
    )
    return reports


def _steps(labelled: Mapping[str, Embedded], with_intervals: bool) -> int:
    views = sum(1 if embedded.queries is None else 3 for embedded in labelled.values())
    return views * (2 * len(MEASURES) + (RESAMPLES if with_intervals else 0))


def analyze_models(
    embedders: Sequence[Embedder],
    collection: Collection,
    output: Path,
    seed: int = 0,
    sample: int = SAMPLE,
    split: str | None = None,
    with_intervals: bool = False,
) -> list[IsotropyReport]:
    """Embed a sample of a collection's documents and queries, the same for every model, and `analyze` it.

    At most `sample` documents and `sample` queries are measured; the queries are those of `split`, or all for None.
    Only these, and the documents that are relevant to the queries, are encoded. Raises `UserError` if two models have
    the same label, or if there is no such split.
    """
    labels = [embedder.label for embedder in embedders]
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise UserError(f"two models are called {twice!r}; give one another name, as in --model NAME=MODEL")
    rows = draw_sample(collection, sample, seed, split)
    documents = Selected(collection.corpus, np.concatenate([rows.documents, rows.judged]))
    queries = Selected(collection.queries, rows.queries)
    labelled: dict[str, Embedded] = {}
    settings: dict[str, dict[str, Any]] = {}
    made_of = {"corpus": {"sha256": file_sha256(collection.corpus.path)}, "split": split or "all queries"}
    for embedder in embedders:
        vectors = embedder.documents(documents, f"encoding {len(documents):,} documents with {embedder.label}")
        measured_ND, judged_MD = np.split(vectors.block(0, len(documents)), [len(rows.documents)])
        queries_QD = None
        if len(queries) > 1:
            asked = embedder.queries(queries, f"encoding {len(queries):,} queries with {embedder.label}")
            queries_QD = asked.block(0, len(queries))
        labelled[embedder.label] = Embedded(measured_ND, queries_QD, judged_MD, rows.relevant_P2)
        settings[embedder.label] = {**embedder.describe(), "fingerprint": embedder.fingerprint, **made_of}
    populations = {"documents": len(collection.corpus), "queries": rows.asked}
    populations["both"] = sum(populations.values())
    return analyze(labelled, output, seed, collection.name, populations, settings, with_intervals)
