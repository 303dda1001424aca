"""The tables' content: bold ties, averages of complete rows only, order, settings, sources."""

import re
from pathlib import Path
from typing import Any

import pytest

from ragcun.analysis import reports
from ragcun.analysis.measures import MEASURES
from ragcun.analysis.reports import IsotropyReport
from ragcun.errors import UserError
from ragcun.evaluation.results import Result
from ragcun.evaluation.tables import benchmark_table
from ragcun.report.latex import render
from ragcun.table import Cell, Column, Table, decimals, significant


def result(label: str, dataset: str, score: float, split: str = "test", **settings: object) -> Result:
    return Result(label, dataset, split, {"nDCG@10": score, "Recall@100": score / 2}, settings, Path("result.json"))


def beir_table(results: list[Result], **options: Any) -> str:
    return render(benchmark_table(results, **options))


def isotropy_table(found: list[IsotropyReport]) -> str:
    return render(reports.isotropy_table(found))


def rows(table: str) -> dict[str, list[str]]:
    """The table's body: the cells of each row by its first cell."""
    body = table.split("\\midrule\n")[1].split("\\bottomrule", maxsplit=1)[0]
    cells = [line.removesuffix(" \\\\").split(" & ") for line in body.strip().splitlines()]
    return {first: rest for first, *rest in cells}


def header(table: str) -> list[str]:
    return table.split("\\toprule\n")[1].split(" \\\\\n", maxsplit=1)[0].split(" & ")


def test_values_average_and_best() -> None:
    table = beir_table(
        [result("a", "x", 0.5), result("a", "y", 0.7), result("b", "x", 0.6), result("b", "y", 0.2)], digits=1
    )
    assert header(table) == ["Model", "x", "y", "Average"]
    assert rows(table) == {
        "a": [r"\underline{\tabnum{50.0}}", r"\textbf{\tabnum{70.0}}", r"\textbf{\tabnum{60.0}}"],
        "b": [r"\textbf{\tabnum{60.0}}", r"\underline{\tabnum{20.0}}", r"\underline{\tabnum{40.0}}"],
    }


def test_ties_are_judged_on_what_is_printed_and_all_are_bold() -> None:
    results = [result("a", "x", 0.64512), result("b", "x", 0.64488), result("c", "x", 0.6)]
    coarse, fine = (rows(beir_table(results, digits=digits)) for digits in (1, 2))
    assert [coarse[label] for label in "abc"] == [
        [r"\textbf{\tabnum{64.5}}"],
        [r"\textbf{\tabnum{64.5}}"],
        [r"\underline{\tabnum{60.0}}"],
    ]
    assert [fine[label] for label in "abc"] == [
        [r"\textbf{\tabnum{64.51}}"],
        [r"\underline{\tabnum{64.49}}"],
        [r"\tabnum{60.00}"],
    ]


def test_a_missing_cell_is_a_dash_and_its_row_has_no_average() -> None:
    table = rows(beir_table([result("a", "x", 0.5), result("a", "y", 0.5), result("b", "x", 0.9)]))
    assert table["b"] == [r"\textbf{\tabnum{90.0}}", "--", "--"]
    assert table["a"] == [r"\underline{\tabnum{50.0}}", r"\textbf{\tabnum{50.0}}", r"\textbf{\tabnum{50.0}}"]


def test_one_dataset_needs_no_average() -> None:
    assert header(beir_table([result("a", "x", 0.5)])) == ["Model", "x"]


def test_order_and_metric_are_the_callers() -> None:
    table = beir_table([result(label, "x", 0.5) for label in "abc"], metric="Recall@100", order=["c", "unknown"])
    assert list(rows(table)) == ["c", "a", "b"]
    assert rows(table)["c"] == [r"\textbf{\tabnum{25.0}}"]
    with pytest.raises(UserError, match=r"a on x has no 'MRR', only nDCG@10, Recall@100"):
        beir_table([result("a", "x", 0.5)], metric="MRR")


def test_splits_are_named_where_they_differ() -> None:
    one = beir_table([result("a", "x", 0.5)])
    two = beir_table([result("a", "x", 0.5), result("a", "x", 0.6, split="dev")])
    assert "on the test split" in one
    assert header(two) == ["Model", "x (dev)", "x (test)", "Average"]


def test_names_are_escaped_in_rows_and_columns() -> None:
    table = beir_table([result("a_b&c%", "d#1", 0.5)])
    assert header(table)[1] == r"d\#1"
    assert r"a\_b\&c\% & \textbf{\tabnum{50.0}}" in table


def test_settings_are_said_once_for_all_models_that_share_them() -> None:
    shared = {
        "max_length": 256,
        "precision": "fp32",
        "similarity": "cosine",
        "prompts": {"query": "q: ", "document": ""},
    }
    table = beir_table(
        [result("a", "x", 0.1, **shared), result("b", "x", 0.2, **shared), result("bm25", "x", 0.3, k1=0.9)]
    )
    note = r"a; b: query prompt \textquotedblleft{}q:\textquotedblright{}, 256 tokens, fp32, cosine similarity."
    assert table.count(note) == 1
    assert "bm25: k1 = 0.9." in table
    assert r"\footnotesize" not in beir_table([result("a", "x", 0.1)])


def report(model: str, dimension: int = 4, **changed: float) -> IsotropyReport:
    measures = {measure.key: 0.5 for measure in MEASURES}
    return IsotropyReport(model, "scifact", 100, 100, dimension, 0, 8, measures | changed, measures, {})


def test_isotropy_table_has_a_row_for_each_measure_and_a_note_for_each_source() -> None:
    table = isotropy_table([report("base_1"), report("head")])
    assert header(table) == ["Measure", r"base\_1", "head", r"\ensuremath{\mathcal{N}(0, I)}"]
    assert len(rows(table)) == len(MEASURES)
    letters = set(re.findall(r"\\textsuperscript\{(\w)\}", table))
    assert letters == set("abcdefghijklmnopqrstuvwxyz"[: len({m.source for m in MEASURES if m.source})])
    for measure in MEASURES:
        if "arXiv" in measure.source:
            assert measure.source[-10:] in table


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (0.0, "0.00"),
        (0.12345, "0.123"),
        (22.627, "22.6"),
        (337.99, "338"),
        (12345.6, "12346"),
        (-0.013, "-0.0130"),
        (0.000211, "2.1e-04"),
        (-0.000211, "-2.1e-04"),
    ],
)
def test_numbers_have_three_digits_and_small_ones_are_powers_of_ten(value: float, printed: str) -> None:
    table = render(Table("", [Column("a"), Column("b", significant)], [[[Cell("x"), Cell(value)]]]))
    assert rows(table)["x"] == [rf"\tabnum{{{printed}}}"]


def test_deviations_intervals_and_groups() -> None:
    columns = [Column("a"), Column("b", decimals(1, sign=True))]
    row = [Cell("x"), Cell(2.0, deviation=0.5, interval=(-1.0, 5.0), bold=True, mark="a")]
    table = render(Table("", columns, [[row], [row]]))
    behind = r"{\scriptsize\,$\pm$\,\tabnum{+0.5}}{\scriptsize\,{[}\tabnum{-1.0}, \tabnum{+5.0}{]}}\textsuperscript{a}"
    assert table.count(rf"x & \textbf{{\tabnum{{+2.0}}}} & {behind} \\") == 2
    assert r"\begin{tabular}{@{}lr@{}l@{}}" in table
    assert table.count(r"\midrule") == 2
    assert r"\caption" not in table


def test_a_wide_table_is_split_into_panels_that_repeat_the_names_and_hold_every_column_once() -> None:
    columns = [Column("Model"), *(Column(f"dataset {n}", decimals(1)) for n in range(18))]
    table = render(Table("", columns, [[[Cell("a model"), *(Cell(float(n)) for n in range(18))]]]))
    assert r"\begin{table*}" in table
    panels = table.split(r"\toprule")[1:]
    assert len(panels) == 2
    assert all(panel.count("a model & ") == 1 for panel in panels)
    assert re.findall(r"\\tabnum\{(\d+)\.0\}", table) == [str(n) for n in range(18)]


def test_headings_name_the_groups() -> None:
    groups = [[[Cell("x"), Cell(1.0)]], [[Cell("y"), Cell(2.0)]]]
    table = Table("", [Column("a"), Column("b", decimals(1))], groups, headings=["ours_", "theirs"])
    text = render(table)
    assert text.index(r"\multicolumn{2}{@{}l}{\textit{ours\_}}") < text.index(r"x & \tabnum{1.0}")
    assert text.index(r"x & \tabnum{1.0}") < text.index(r"\textit{theirs}") < text.index("y & ")
    assert [[cell.value for cell in row] for row in table.flat().rows] == [["ours_", "x", 1.0], ["theirs", "y", 2.0]]
