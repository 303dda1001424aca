"""The measures of samples of N(0, I), which are computed once by the same code and cached."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

import ragcun
from ragcun.analysis import isotropy
from ragcun.analysis.geometry import Geometry, measure
from ragcun.analysis.measures import MEASURES
from ragcun.analysis.reports import GAUSSIAN, IsotropyReport
from ragcun.analysis.sets import Embedded, Sizes
from ragcun.files import atomic_path, ragcun_cache, tree_sha256
from ragcun.intact import read_kept, write_record


def gaussians(sizes: Sizes, seed: int = 0, tick: Callable[[], None] = lambda: None) -> dict[str, Geometry]:
    """Measure a seeded sample of N(0, I): documents and, if `sizes` has queries, queries and both.

    The result is cached by sizes, seed and code. `tick` is called after each measure.
    """
    folder = ragcun_cache() / "gaussian" / _key(sizes, seed)
    names = ("documents", "queries", "both") if sizes.queries else ("documents",)
    files, complete = [folder / f"{name}.npz" for name in names], folder / "complete.json"
    if read_kept(complete) is not None:
        for _ in range(len(names) * len(MEASURES)):
            tick()
        return {name: _read(file) for name, file in zip(names, files, strict=True)}
    found: dict[str, Geometry] = {}
    for view in Embedded.gaussian(sizes, seed).views(seed):
        found[view.of] = measure(GAUSSIAN, view, tick)
        _write(folder / f"{view.of}.npz", found[view.of])
    write_record(complete, {}, files)
    return found


def beside_gaussian(
    geometry: Geometry, reference: Geometry, seed: int = 0, data: str = "", population: int | None = None
) -> IsotropyReport:
    """Combine a geometry's measures with those of the N(0, I) sample; `seed` is that of both measurements."""
    return IsotropyReport(
        model=geometry.label,
        data=data,
        rows=geometry.rows,
        population=population or geometry.rows,
        dimension=geometry.dimension,
        seed=seed,
        slices=isotropy.SLICES,
        measures=geometry.measures,
        gaussian=reference.measures,
        exact={
            entry.key: entry.exact(geometry.dimension)
            for entry in MEASURES
            if entry.exact is not None and entry.key in geometry.measures
        },
        of=geometry.of,
        spectrum=geometry.eigenvalues_D.tolist(),
    )


def _key(sizes: Sizes, seed: int) -> str:
    determining = {**sizes._asdict(), "seed": seed, "code": _code(), "numpy": np.__version__}
    return hashlib.sha256(json.dumps(determining).encode()).hexdigest()[:32]


@lru_cache(maxsize=1)
def _code() -> str:
    """Return a hash of the measuring code, so that samples measured by another version are not used."""
    root = Path(ragcun.__file__).parent
    return tree_sha256(
        root, [f"{part}/{file.name}" for part in ("analysis", "losses") for file in sorted((root / part).glob("*.py"))]
    )


def _write(path: Path, geometry: Geometry) -> None:
    arrays: dict[str, Any] = {field.name: getattr(geometry, field.name) for field in fields(Geometry)}
    arrays["measures"] = json.dumps(geometry.measures)
    with atomic_path(path) as temporary:
        np.savez(temporary, **arrays)


def _read(path: Path) -> Geometry:
    with np.load(path, allow_pickle=False) as arrays:
        values = {name: arrays[name] if arrays[name].ndim else arrays[name].item() for name in arrays.files}
    values["measures"] = json.loads(values["measures"])
    return Geometry(**values)
