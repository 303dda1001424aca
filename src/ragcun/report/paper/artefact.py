"""The anonymised archive of a paper: its folder, and the results from which ragcun can make it again.

artefact.zip/paper/       the folder without the PDF
artefact.zip/results/     records and scores of each query, manifests, histories, ablation.json, isotropy.json, figures
artefact.zip/README.md    description and commands
artefact.zip/rebuild.sh   makes the tables and figures again, and the PDF
"""

import re
import shlex
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from ragcun.files import atomic_path
from ragcun.intact import or_else, read_record, write_record
from ragcun.manifest import package_versions
from ragcun.report.paper.inputs import Inputs

_KEPT = {"result.json", "manifest.json", "ablation.json", "isotropy.json", "claims.json"}
_BYTES = {"scores.parquet", "evidence.parquet", "history.jsonl"}
_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip archive can store
_ABSOLUTE = re.compile(r"(?<![\w./])(?!//)(~|[A-Za-z]:)?[/\\](?:[^\s/\\\"',;]+[/\\])+(?=[^\s/\\\"',;]*)")
_PRIVATE = {"git"}  # it can identify the authors


def write_artefact(paper: Path, written: Sequence[Path], inputs: Inputs, arguments: Sequence[str]) -> Path:
    """Write PAPER/artefact.zip with the files `written` of the paper and its inputs.

    `arguments` are the options of `ragcun report paper` for rebuild.sh. The same files give the same bytes.
    """
    path = paper / "artefact.zip"
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(written):
            _add(archive, f"paper/{file.relative_to(paper).as_posix()}", file.read_bytes())
        for name, content in _inputs(inputs):
            _add(archive, f"results/{name}", content)
        _add(archive, "README.md", _readme().encode())
        _add(archive, "rebuild.sh", _rebuild(inputs, arguments).encode(), executable=True)
    return path


def anonymous(value: Any) -> Any:
    """Return JSON values without the state of git and with absolute paths cut to their last part."""
    if isinstance(value, dict):
        return {anonymous(name): None if name in _PRIVATE else anonymous(one) for name, one in value.items()}
    if isinstance(value, list):
        return [anonymous(one) for one in value]
    return _ABSOLUTE.sub("", value) if isinstance(value, str) else value


def _inputs(inputs: Inputs) -> Iterator[tuple[str, bytes]]:
    for folder in inputs.folders.values():
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = inputs.source(file)
            if file.name in _KEPT:
                yield name, _record(file)
            elif file.name in _BYTES or (
                file.parent.name == "figures" and (file.parents[1] / "isotropy.json").is_file()
            ):
                yield name, file.read_bytes()


def _record(file: Path) -> bytes:
    """Return a record without private parts, with checksums of itself and of its files in the archive."""
    with or_else("run the command that wrote it again"):
        content = anonymous(read_record(file, files=False))
    listed = content.pop("files", {})
    kept = {name: found for name, found in listed.items() if PurePosixPath(name).name in _BYTES}
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / file.name
        write_record(path, content | ({"files": kept} if kept else {}))
        return path.read_bytes()


def _add(archive: zipfile.ZipFile, name: str, content: bytes, executable: bool = False) -> None:
    entry = zipfile.ZipInfo(f"artefact/{name}", _TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (0o755 if executable else 0o644) << 16
    archive.writestr(entry, content)


def _readme() -> str:
    version = package_versions().get("ragcun", "")
    return f"""# Artefact

`paper/` compiles as it is: `cd paper && latexmk -pdf main.tex`.

`results/` has the results behind the paper: scores of each query, and the settings, fingerprints, versions and
hardware of each evaluation and training. `paper/provenance.json` names the results behind each number. `rebuild.sh`
makes the tables and figures again from these results with ragcun {version} (`pip install ragcun=={version}`) and
compiles the PDF. Texts of the collections are not included, so examples and correlations with features of texts are
made again only if `--data-dir` names the folder of the collections.

Absolute paths and the state of git were removed.
"""


def _rebuild(inputs: Inputs, arguments: Sequence[str]) -> str:
    names = {root: f"{name}=" for root, name in inputs.names.items()}
    folders = [f"{names.get(root, '')}results/{root}" for root in inputs.folders]
    command = shlex.join(["ragcun", "report", "paper", *folders, *arguments, "--output", "rebuilt"])
    return f'#!/bin/sh\nset -e\ncd "$(dirname "$0")"\n{command}\ncd rebuilt && latexmk -pdf main.tex\n'
