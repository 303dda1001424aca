"""Write the tables of a folder of results to files, and compile them to a PDF if LaTeX is installed."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ragcun.analysis.ablation import ablation_table
from ragcun.analysis.reports import isotropy_table, paper_table, read_reports
from ragcun.analysis.tradeoff import tradeoff_table
from ragcun.errors import RagcunError, UserError
from ragcun.evaluation.audit import audit_notes
from ragcun.evaluation.mteb import read_mteb
from ragcun.evaluation.results import average_parts, read_results
from ragcun.evaluation.tables import benchmark_table, with_published
from ragcun.files import atomic_path, write_text
from ragcun.intact import read_written
from ragcun.report.forms import find_form
from ragcun.table import Table

_ENGINES = {
    "pdflatex": ("-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "-output-directory"),
    "tectonic": ("--untrusted", "--outdir"),
}


def write_tables(
    folder: Path,
    output: Path | None = None,
    metric: str = "nDCG@10",
    digits: int = 1,
    isotropy: Path | None = None,
    order: Sequence[str] = (),
    form: str = "latex",
    mteb: Path | None = None,
) -> list[Path]:
    """Write the tables beir, isotropy, isotropy-all, ablation and tradeoff, and main, which includes all of them.

    isotropy has the six measures for a paper, isotropy-all has every measure of documents, queries and both, for an
    appendix. Overlap with training data, from an audit.json, is a note below the scores.

    Args:
        folder: folder with result.json files at any depth, and with ablation.json and tradeoff.json; a file that is
            missing has no table.
        output: the tables are written to its subfolder `tables`; `folder` if None.
        metric: measure of the scores.
        digits: decimals of the scores.
        isotropy: an isotropy.json; if None, the only one below `folder`.
        order: labels of models that come first, in this order; the others are sorted by path.
        form: format of the tables; main is written for formats that have a document.
        mteb: folder with result files of MTEB, whose scores get rows of their own.

    Returns:
        The files written, main last.

    Raises:
        UserError: there is nothing to report, or the format is unknown.
    """
    chosen = find_form(form)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name the folder of an experiment or of results")
    tables: dict[str, Table] = {}
    if results := read_results(folder):
        scores = benchmark_table(average_parts(results), metric, digits, order)
        if mteb is not None:
            scores = with_published(scores, read_mteb(mteb), average_parts(results), metric)
        tables[f"beir{chosen.suffix}"] = replace(scores, notes=[*scores.notes, *audit_notes(folder)])
    if path := isotropy or _only_isotropy(folder):
        reports = read_reports(path)
        tables[f"isotropy{chosen.suffix}"] = paper_table(reports)
        tables[f"isotropy-all{chosen.suffix}"] = replace(isotropy_table(reports), label="isotropy-all")
    if (path := folder / "ablation.json").is_file():
        tables[f"ablation{chosen.suffix}"] = ablation_table(read_written(path, "rows"))
    if (path := folder / "tradeoff.json").is_file():
        tables[f"tradeoff{chosen.suffix}"] = tradeoff_table(read_written(path, "heads"))
    if not tables:
        raise UserError(f"{folder}: contains neither a result.json nor an isotropy.json; run `ragcun eval beir` first")
    texts = {name: chosen.render(table) for name, table in tables.items()}
    if chosen.document is not None:
        texts[f"main{chosen.suffix}"] = chosen.document(tables)
    target = (output or folder) / "tables"
    for name, text in texts.items():
        write_text(target / name, text)
    return [target / name for name in texts]


def _only_isotropy(folder: Path) -> Path | None:
    found = sorted(folder.rglob("isotropy.json"))
    if len(found) > 1:
        raise UserError(f"{folder}: {len(found)} files isotropy.json; choose one with --isotropy")
    return found[0] if found else None


def has_latex() -> bool:
    """Return whether LaTeX is installed."""
    return _engine() is not None


def _engine() -> str | None:
    return next((name for name in _ENGINES if shutil.which(name)), None)


def compile_pdf(source: Path) -> Path:
    """Compile a .tex file to a PDF beside it, with pdflatex or tectonic, and without shell escape.

    The same sources give the same bytes. Raises `UserError` if neither is installed, and `RagcunError` with LaTeX's
    first error if the file does not compile.
    """
    engine = _engine()
    if engine is None:
        raise UserError(f"LaTeX is not installed ({' or '.join(_ENGINES)}); install it, or omit --compile")
    with tempfile.TemporaryDirectory() as scratch:
        command = [engine, *_ENGINES[engine], scratch, source.name]
        _compiled(command, source)
        if engine == "pdflatex":
            cites = rb"\bibdata" in (Path(scratch) / source.name).with_suffix(".aux").read_bytes()
            if cites and shutil.which("bibtex"):
                _compiled(["bibtex", source.stem], source, Path(scratch))
                _compiled(command, source)
            _compiled(command, source)  # this pass reads the labels of the previous pass
        pdf = source.with_suffix(".pdf")
        with atomic_path(pdf) as temporary:
            shutil.copyfile(Path(scratch) / pdf.name, temporary)
    return pdf


def _compiled(command: list[str], source: Path, folder: Path | None = None) -> None:
    """Run a command on `source` in `folder` (by default that of the source), with its clock fixed to 1970."""
    dates = {"SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1", "BIBINPUTS": f"{source.parent.resolve()}{os.pathsep}"}
    done = subprocess.run(  # noqa: S603
        command,
        cwd=folder or source.parent,
        env=os.environ | dates,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        complaint = re.search(r"^(!|error:|I couldn't) .*", done.stdout + done.stderr, re.MULTILINE)
        raise RagcunError(f"{source}: {command[0]} failed: {complaint.group() if complaint else 'see its log'}")
