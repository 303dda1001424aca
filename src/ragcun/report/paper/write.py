"""Write the folder of a paper from folders of results.

OUTPUT/main.tex, refs.bib      the article and its references; main.pdf if it was compiled
OUTPUT/tables/NAME.tex, .csv   a table each
OUTPUT/figures/NAME.pdf, .png  a figure each, and NAME.tex, the float that shows it
OUTPUT/sections/NAME.tex       the checklist, the statement of reproducibility, examples
OUTPUT/provenance.json         the files and checksums behind each number
OUTPUT/artefact.zip            all of these files and the results, anonymised
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ragcun.analysis.ablation import ablation_table
from ragcun.analysis.reports import isotropy_table, paper_table
from ragcun.analysis.wording import label_in_symbols, words
from ragcun.console import warn
from ragcun.data.benchmark import find_dataset
from ragcun.files import write_text
from ragcun.intact import check_listed, checksum, or_else, read_kept, write_record
from ragcun.losses.terms import TERMS
from ragcun.report import csv, latex
from ragcun.report.paper import references
from ragcun.report.paper.artefact import write_artefact
from ragcun.report.paper.document import Figure, Section, article, cite, reference
from ragcun.report.paper.further import abstention_tables, claims_tables
from ragcun.report.paper.inputs import Inputs, read_inputs
from ragcun.report.paper.queries import examples_table, helps_table, pair_queries
from ragcun.report.paper.scores import (
    Choice,
    Scores,
    compared_table,
    dataset_title,
    find_scores,
    main_table,
    with_sources,
)
from ragcun.report.paper.setup import data_table, efficiency_table, planned_table, settings_table, trainings_of
from ragcun.report.paper.statements import checklist, checklist_text, reproducibility
from ragcun.table import Table


@dataclass
class Paper:
    """The files of a paper: texts by path, tables by name, paths of figures, and cited keys."""

    inputs: Inputs
    scores: Scores
    output: Path
    texts: dict[str, str] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    cited: list[str] = field(default_factory=list)

    def add_table(self, section: Section, table: Table, name: str = "") -> str:
        """Add a table to a section, and return the reference to it."""
        name = name or table.label
        table = replace(table, label=name)
        self.tables[name] = table
        self.texts[f"tables/{name}.tex"] = f"% The source of each number is in provenance.json.\n{latex.render(table)}"
        self.texts[f"tables/{name}.csv"] = csv.render(table)
        section.fragments.append(f"tables/{name}.tex")
        return reference("Table", name)

    def add_figure(self, section: Section, figure: Figure, drawn: Sequence[Path]) -> str:
        """Add a figure with the files `drawn` to a section, and return the reference to it."""
        self.files += [path.relative_to(self.output).as_posix() for path in drawn]
        self.texts[f"figures/{figure.name}.tex"] = figure.latex()
        section.fragments.append(f"figures/{figure.name}.tex")
        return reference("Figure", figure.name)

    def cite(self, keys: Sequence[str]) -> str:
        """Add keys to the references, and return the LaTeX that cites them."""
        self.cited += keys
        return cite(keys)


def write_paper(
    sources: Sequence[str], output: Path, choice: Choice, digits: int = 1, data_dirs: Sequence[Path] = ()
) -> list[Path]:
    """Write the folder of a paper from the results below `sources`; return the files, main.tex first.

    Texts of queries and documents come from the collections in `data_dirs`; without them there are no examples. A
    main.tex that was edited since it was written is kept.

    Raises `UserError` in the cases of `read_inputs` and `find_scores`.
    """
    inputs = read_inputs(sources)
    scores = find_scores(inputs, choice)
    paper = Paper(inputs, scores, output)
    sections = [_set_up(paper), _results(paper, digits), _efficiency(paper), _isotropy(paper), _trade_off(paper)]
    sections += [*_ablations(paper), _queries(paper, data_dirs), *_further(paper)]
    appendix = [_settings(paper), _all_isotropy(paper), _trainings(paper)]
    appendix += _statements(paper)
    paper.texts["refs.bib"] = references.bibliography(paper.cited)
    written = _write(paper, article(sections, appendix))
    return [*written, write_artefact(output, written, inputs, choice.arguments(digits))]


def _results(paper: Paper, digits: int) -> Section:
    section = Section("Results")
    scores = paper.scores
    if not (scores.ours or scores.baselines):
        return section
    table = paper.add_table(section, main_table(paper.inputs, scores, digits), "main")
    benchmark = [references.BENCHMARK] if any(map(find_dataset, scores.datasets)) else []
    measure = references.of_measure(scores.choice.metric)
    section.text.append(
        f"{table} shows {latex.set_text(scores.choice.metric)}{paper.cite(measure)} on "
        f"{_number(len(scores.datasets))} datasets{paper.cite(benchmark)}. Differences are tested by paired "
        "randomisation tests with Holm's correction and, if a system has several seeds, by a test that also "
        f"generalises to other seeds{paper.cite(references.TESTS)}."
    )
    if (tests := compared_table(paper.inputs, scores)) is not None:
        section.text.append(f"{paper.add_table(section, tests)} has effect sizes, intervals and power.")
    return section


def _number(value: int) -> str:
    words_ = "no one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905
    return words_[value] if value < len(words_) else str(value)


def _set_up(paper: Paper) -> Section:
    section = Section("Set-up")
    scores = paper.scores
    if not scores.datasets:
        return section
    data = paper.add_table(section, data_table(paper.inputs, scores))
    systems = [*scores.baselines, *scores.ours]
    trainings = trainings_of(paper.inputs, scores.ours)
    section.text.append(
        f"{data} lists the data{paper.cite(references.of_datasets(scores.datasets))}. The systems are "
        f"{latex.set_text(', '.join(label_in_symbols(system.label) for system in systems))}"
        f"{paper.cite(references.of_systems(systems, trainings))}."
    )
    used = [t for t in TERMS if any(training.manifest["settings"]["training"].get(t.weight) for training in trainings)]
    if trainings:
        terms = ", ".join(f"${term.symbol}$ ({latex.set_text(words(term.weight))})" for term in used)
        section.text.append(
            f"Heads are trained with a contrastive loss on squared Euclidean distances and the terms {terms}"
            f"{paper.cite(references.of_trainings(trainings))}; {reference('Table', 'settings')} has all settings."
        )
    return section


def _settings(paper: Paper) -> Section:
    section = Section("Settings")
    if (settings := settings_table(paper.inputs, paper.scores)) is not None:
        section.text.append(f"{paper.add_table(section, settings)} has the settings of all trainings.")
    return section


def _efficiency(paper: Paper) -> Section:
    section = Section("Efficiency")
    if not paper.scores.datasets:
        return section
    took = paper.add_table(section, efficiency_table(paper.inputs, paper.scores))
    planned = paper.add_table(section, planned_table())
    section.text.append(f"{took} shows the cost of each system. {planned} shows the planned cost for comparison.")
    return section


def _isotropy(paper: Paper) -> Section:
    section = Section("Isotropy")
    for number, (path, reports) in enumerate(paper.inputs.isotropy.items()):
        table = with_sources(_in_symbols(paper_table(reports)), [paper.inputs.source(path)])
        shown = paper.add_table(section, table, _numbered("isotropy", number))
        section.text.append(f"{shown} has measures of isotropy{paper.cite(references.ISOTROPY)}.")
        for name, caption in _FIGURES.items():
            source = path.parent / "figures" / f"{name}.pdf"
            if source.is_file() and source.with_suffix(".png").is_file():
                with or_else("give `ragcun analyze isotropy` again, which draws it anew"):
                    for suffix in (".pdf", ".png"):
                        check_listed(path, source.with_suffix(suffix))
                copied = [
                    _copy(source.with_suffix(suffix), paper, f"{_numbered(name, number)}{suffix}")
                    for suffix in (".pdf", ".png")
                ]
                paper.add_figure(section, Figure(_numbered(name, number), caption), copied)
    return section


_FIGURES = {
    "spectrum": "Eigenvalues of the covariance of the embeddings, divided by their mean.",
    "norms": "Norms of the embeddings; each density is divided by its maximum.",
    "distances": "Distances to the nearest neighbour and between random pairs.",
}


def _copy(source: Path, paper: Paper, name: str) -> Path:
    target = paper.output / "figures" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return target


def _all_isotropy(paper: Paper) -> Section:
    section = Section("All measures of isotropy")
    for number, (path, reports) in enumerate(paper.inputs.isotropy.items()):
        for of in dict.fromkeys(report.of for report in reports):  # one table would not fit on a page
            of_these = isotropy_table([report for report in reports if report.of == of])
            table = with_sources(_in_symbols(of_these), [paper.inputs.source(path)])
            shown = paper.add_table(section, table, _numbered(f"isotropy-{of}", number))
            section.text.append(f"{shown} has all measures of {of if of != 'both' else 'documents and queries'}.")
    return section


def _in_symbols(table: Table) -> Table:
    return replace(table, columns=[replace(column, name=label_in_symbols(column.name)) for column in table.columns])


def _trade_off(paper: Paper) -> Section:
    from ragcun.analysis.trade import draw_trade

    section = Section("Isotropy against retrieval")
    for number, found in enumerate(paper.inputs.ablations.values()):
        if not found["rows"]:
            continue
        for dataset in found["base"]["scores"]:
            name = _numbered(f"trade-{dataset}", number)
            title = dataset_title(dataset)
            place = "trained on" if dataset in found["in_domain"] else "not trained on"
            drawn = draw_trade(found, dataset, "nDCG@10 (×100)", paper.output / "figures" / name)
            caption = (
                f"Isotropy against retrieval on {title} ({place}); error bars are one standard deviation over seeds."
            )
            shown = paper.add_figure(section, Figure(name, caption), drawn)
            section.text.append(f"{shown} shows {latex.set_text(title)}.")
    return section


def _ablations(paper: Paper) -> list[Section]:
    section = Section("Ablation")
    for number, (path, found) in enumerate(paper.inputs.ablations.items()):
        table = with_sources(ablation_table(found), [paper.inputs.source(path)])
        shown = paper.add_table(section, table, _numbered("ablation", number))
        section.text.append(f"{shown} compares settings.")
    return [section]


def _queries(paper: Paper, data_dirs: Sequence[Path]) -> Section:
    section = Section("When it helps, and examples")
    scores = paper.scores
    if scores.against is None or not scores.ours:
        return section
    ours, base = scores.ours[0], scores.against
    paired = pair_queries(paper.inputs, scores, ours, data_dirs)
    if paired:
        shown = paper.add_table(section, helps_table(paired, ours.label, base.label))
        names = [latex.set_text(label_in_symbols(system.label)) for system in (ours, base)]
        section.text.append(
            f"{shown} has correlations{paper.cite(['Spearman1904'])} of the gain of {names[0]} over {names[1]} with "
            "features of the query."
        )
    if (examples := examples_table(paired, ours.label, base.label)) is not None:
        section.text.append(f"{paper.add_table(section, examples)} has examples.")
    return section


def _further(paper: Paper) -> list[Section]:
    abstention, claims = Section("Abstention"), Section("Claims of the literature")
    for table in abstention_tables(paper.inputs):
        shown = paper.add_table(abstention, _in_symbols(table))
        abstention.text.append(f"{shown} shows how well scores detect queries without an answer.")
    for number, table in enumerate(claims_tables(paper.inputs)):
        shown = paper.add_table(claims, table, _numbered("claims", number))
        claims.text.append(f"{shown} has the verdicts on claims.")
    return [abstention, claims]


def _trainings(paper: Paper) -> Section:
    from ragcun.analysis.figures import training_curves

    section = Section("Training")
    for training in trainings_of(paper.inputs, paper.scores.ours)[:1]:
        if history := training.history:
            drawn = training_curves(history, paper.output / "figures")
            caption = f"Training of {label_in_symbols(training.label)}. Quantities that stay constant are not shown."
            shown = paper.add_figure(section, Figure("training", caption), drawn)
            section.text.append(f"{shown} shows the curves of one training.")
    return section


def _statements(paper: Paper) -> list[Section]:
    if not paper.scores.datasets:
        return []
    paper.texts["sections/checklist.tex"] = checklist_text(checklist(paper.inputs, paper.scores))
    paper.texts["sections/reproducibility.tex"] = reproducibility(paper.inputs, paper.scores)
    return [
        Section("Reproducibility", fragments=["sections/reproducibility.tex"]),
        Section("Responsible NLP checklist", fragments=["sections/checklist.tex"]),
    ]


def _numbered(name: str, number: int) -> str:
    return name if number == 0 else f"{name}-{number + 1}"


def _write(paper: Paper, main: str) -> list[Path]:
    known = _written_before(paper.output)
    path = paper.output / "main.tex"
    changed = path.is_file() and checksum(path) != known.get("main.tex")
    if changed and path.read_text(encoding="utf-8", errors="replace") != main:
        warn(f"{path}: was edited since it was written, so it is kept; delete it to write it again")
    else:
        paper.texts["main.tex"] = main
    for name, text in paper.texts.items():
        write_text(paper.output / name, text)
    written = sorted({*paper.texts, *paper.files})
    record = {
        "numbers": {name: _numbers(table) for name, table in paper.tables.items()},
        "sources": _sources(paper),
        "files": {"main.tex": known.get("main.tex")} | {name: checksum(paper.output / name) for name in written},
    }
    write_record(path.with_name("provenance.json"), record)
    return [path, *(paper.output / name for name in written if name != "main.tex"), paper.output / "provenance.json"]


def _written_before(output: Path) -> Mapping[str, Any]:
    path = output / "provenance.json"
    found: Mapping[str, Any] = (read_kept(path, files=False) or {}).get("files", {})
    return found


def _numbers(table: Table) -> list[dict[str, Any]]:
    """Return each number of a table by row and column, unrounded, with its sources."""
    found = []
    for row in table.rows:
        label = " / ".join(str(cell.value) for cell in row if isinstance(cell.value, str))
        for column, cell in zip(table.columns, row, strict=True):
            if cell.sources and cell.value is not None:
                one = {"row": label, "column": column.name, "value": cell.value, "deviation": cell.deviation}
                found.append({key: value for key, value in one.items() if value is not None} | {"from": cell.sources})
    return found


def _sources(paper: Paper) -> dict[str, str | None]:
    """Return the checksum of each source of numbers; None for a source that is not a single file."""
    names = {source for table in paper.tables.values() for row in table.rows for cell in row for source in cell.sources}
    paths = {paper.inputs.source(folder / "."): folder for folder in paper.inputs.folders.values()}
    found: dict[str, str | None] = {}
    for name in sorted(names):
        root, _, rest = name.partition("/")
        folder = paper.inputs.folders.get(root)
        path = folder / rest if folder is not None else None
        found[name] = checksum(path) if path is not None and path.is_file() else None
    return {**found, **{name: None for name in paths if name in names}}
