"""Python packages that are certainly installed, the standard library and what ragcun requires, as source files."""

import re
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ragcun.errors import UserError

_LEFT_OUT = re.compile(
    r"(?:.*_)?tests?|tests?_.*|testing|conftest|idle_test|benchmarks?|examples|.*vendor(?:ed)?|_distutils|extern"
)


@dataclass(frozen=True)
class Package:
    """A distribution, or a top-level module of the standard library: its source files by dotted module name, sorted."""

    name: str
    version: str
    licence: str
    modules: Mapping[str, Path]


def required_packages(root: str = "ragcun") -> list[Package]:
    """The installed distributions that `root` requires, directly or through others, without extras; sorted by name.

    Tests, examples and vendored copies are left out of their files. Raises `UserError` where `root` is not installed.
    """
    try:
        waiting = list(metadata.requires(root) or ())
    except metadata.PackageNotFoundError:
        raise UserError(f"{root}: not installed, so what it requires is unknown; pip install it") from None
    found: dict[str, Package] = {}
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        files = ((file.parts, Path(str(distribution.locate_file(file)))) for file in distribution.files or ())
        found[name] = Package(name, distribution.version, _licence(distribution.metadata), _modules(files))
        waiting += distribution.requires or ()
    return [found[name] for name in sorted(found)]


def standard_library(names: Iterable[str] = sys.stdlib_module_names) -> list[Package]:
    """Top-level modules of the running Python's standard library, each a package of its own; sorted by name."""
    root = Path(sysconfig.get_path("stdlib"))
    version = ".".join(map(str, sys.version_info[:3]))
    packages = []
    for name in sorted(names):
        paths = [path for path in (root / f"{name}.py", *(root / name).rglob("*.py")) if path.is_file()]
        modules = _modules((path.relative_to(root).parts, path) for path in paths)
        packages.append(Package(name, version, "PSF-2.0", modules))
    return packages


def _modules(files: Iterable[tuple[Sequence[str], Path]]) -> dict[str, Path]:
    modules = {}
    for parts, path in files:
        names = [*parts[:-1], path.stem]
        if path.suffix == ".py" and all(name.isidentifier() and not _LEFT_OUT.fullmatch(name) for name in names):
            modules[".".join(names).removesuffix(".__init__")] = path
    return dict(sorted(modules.items()))


def _licence(fields: metadata.PackageMetadata) -> str:
    stated = [*fields.get_all("License-Expression", []), *fields.get_all("License", [])]
    classified = [value.rpartition(" :: ")[2] for value in fields.get_all("Classifier", []) if "License ::" in value]
    return next((licence for licence in [*stated, *classified] if len(licence) <= 60), "see the package")
