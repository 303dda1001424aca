"""One table in every form: the same rows everywhere, and nothing of a name that acts where it is printed."""

import csv
import io
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragcun.cli import output
from ragcun.cli.output import print_table
from ragcun.errors import UserError
from ragcun.printable import one_line
from ragcun.report.forms import FORMS
from ragcun.table import MISSING, Cell, Column, Note, Table, best_marked, cells, decimals

TABLE = Table(
    "Scores on d",
    [Column("model"), Column("nDCG@10", decimals(2, scale=100)), Column("gain", decimals(1, sign=True))],
    [
        [[Cell("base", mark="a"), Cell(0.5, deviation=0.01), Cell(None)]],
        [[Cell("head"), Cell(0.61234, bold=True), Cell(2.0, interval=(-1.0, 5.0))]],
    ],
    [Note("A source.", "a"), Note("The whole.")],
)
NASTY = "a\x1b[31m|b\n=1+1 <b>*x*</b> `y` \x9b2J \u202egnp [z](u) & \udcff [bold]w[/bold]"


@pytest.mark.parametrize("name", FORMS)
def test_every_form_shows_every_row(name: str) -> None:
    text = FORMS[name].render(TABLE)
    assert text.endswith("\n")
    assert text.index("base") < text.rindex("head")
    assert ("0.61234" if name in {"csv", "json"} else "61.23") in text
    assert (MISSING in text) == (name not in {"csv", "json", "latex"})
    assert ("The whole" in text) == (name != "csv")


def test_csv_holds_unrounded_values_with_deviation_and_interval_in_columns() -> None:
    rows = list(csv.DictReader(io.StringIO(FORMS["csv"].render(TABLE))))
    assert rows[0] == {
        "model": "base",
        "nDCG@10": "0.5",
        "nDCG@10 sd": "0.01",
        "gain": "",
        "gain low": "",
        "gain high": "",
    }
    assert rows[1] == {
        "model": "head",
        "nDCG@10": "0.61234",
        "nDCG@10 sd": "",
        "gain": "2.0",
        "gain low": "-1.0",
        "gain high": "5.0",
    }


def test_json_holds_everything() -> None:
    found = json.loads(FORMS["json"].render(TABLE))
    assert found["rows"][0] == {
        "model": {"value": "base", "mark": "a"},
        "nDCG@10": {"value": 0.5, "deviation": 0.01},
        "gain": None,
    }
    assert found["rows"][1]["gain"] == {"value": 2.0, "interval": [-1.0, 5.0]}
    assert found["notes"][0] == {"mark": "a", "text": "A source."}


def test_markdown_is_a_table_with_right_aligned_numbers() -> None:
    lines = FORMS["markdown"].render(TABLE).splitlines()
    assert lines[2:6] == [
        "| model | nDCG@10 | gain |",
        "| --- | ---: | ---: |",
        "| base<sup>a</sup> | 50.00 ± 1.00 | – |",
        r"| head | **61.23** | +2.0 \[-1.0, +5.0\] |",
    ]


class Tags(HTMLParser):
    """The tags of a page in their order, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_is_well_formed_and_names_its_headers() -> None:
    page = FORMS["html"].render(TABLE) * 2
    found = Tags(page)
    assert found.open == []
    assert found.opened.count("table") == found.opened.count("caption") == 2
    assert page.count('<th scope="row">') == 4
    assert page.count('<th scope="col"') == 6


@given(st.text())
def test_one_line_is_printable_whatever_the_text(text: str) -> None:
    line = one_line(text)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]", line)
    line.encode()
    assert one_line(line) == line


@pytest.mark.parametrize("name", FORMS)
def test_no_name_acts_where_it_is_printed(name: str) -> None:
    table = Table(NASTY, [Column(NASTY), Column("n", decimals(1))], [[[Cell(NASTY), Cell(1.0)]]], [Note(NASTY)])
    text = FORMS[name].render(table)
    text.encode()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    plain = FORMS[name].render(
        Table("x", [Column("x"), Column("n", decimals(1))], [[[Cell("x"), Cell(1.0)]]], [Note("x")])
    )
    assert text.count("\n") == plain.count("\n")
    if name == "html":
        assert Tags(text).opened == Tags(plain).opened
        assert "<b>" in Tags(text).text
    if name == "terminal":
        assert "[bold]w[/bold]" in text
    if name == "markdown":
        row = text.splitlines()[4]
        assert len(re.findall(r"(?<!\\)\|", row)) == 3
        assert not re.search(r"(?<!\\)[*`<>\[]", row)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\n=1"])
def test_text_is_no_formula_in_csv_and_numbers_are_numbers(text: str) -> None:
    table = Table("", [Column("a"), Column("b", decimals(1))], [[[Cell(text), Cell(-1.5)]]])
    (row,) = list(csv.DictReader(io.StringIO(FORMS["csv"].render(table))))
    assert row == {"a": f"'{text.strip()}", "b": "-1.5"}


def test_the_best_are_marked_by_what_is_printed() -> None:
    column = Column("x", decimals(1))
    marked = best_marked(column, cells(0.94, 0.86, 0.9, None, 0.1))
    assert [cell.bold for cell in marked] == [True, True, True, False, False]
    assert [cell.underlined for cell in marked] == [False, False, False, False, True]


def test_a_row_of_another_length_is_an_error() -> None:
    with pytest.raises(ValueError, match="a row of 1 cells below 2 columns"):
        Table("", [Column("a"), Column("b")], [[cells("x")]])


def test_a_pipe_gets_whole_rows_without_colour(capsys: pytest.CaptureFixture[str]) -> None:
    long = "m" * 500
    print_table(Table("t" * 200, [Column("a"), Column("b")], [[[Cell(long, bold=True, tone="bad"), Cell("end")]]]))
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "\x1b" not in printed.out
    assert any(line.startswith(long) and line.endswith("end") for line in printed.out.splitlines())


def test_forms_are_chosen_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(TABLE, "csv")
    assert capsys.readouterr().out == FORMS["csv"].render(TABLE)
    with pytest.raises(UserError, match="format 'pdf': unknown; choose one of terminal, latex"):
        print_table(TABLE, "pdf")
    assert output.Format.__metadata__[0].metavar == "|".join(FORMS)
