import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragcun.data.docstrings import read_docstrings, split_docstring
from ragcun.data.prose import paragraphs

REST = "The rest says enough, in twelve words or more, to be a document."
CHINESE = "\u4e0a\u83dc" * 40


def split(docstring: str, name: str = "shop.serve", max_words: int = 100) -> tuple[str, str] | None:
    return split_docstring(docstring, name, max_words)


@pytest.mark.parametrize(
    ("docstring", "summary", "body"),
    [
        (f"Bring what a guest ordered.\n\n{REST}", "Bring what a guest ordered", REST),
        (f"Bring what a guest\n    has ordered.\n\n    {REST}", "Bring what a guest has ordered", REST),
        (f"Bring what a guest ordered. Be quick.\n\n{REST}", "Bring what a guest ordered", f"Be quick. {REST}"),
        (f"Bring drinks, e.g. Tea, to guests.\n\n{REST}", "Bring drinks, e.g. Tea, to guests", REST),
        (f"serve(guest, order) -> Bill\n\nBring what a guest ordered.\n\n{REST}", "Bring what a guest ordered", REST),
    ],
)
def test_summary_is_the_first_sentence(docstring: str, summary: str, body: str) -> None:
    assert split(docstring) == (summary, body)


@pytest.mark.parametrize(
    "docstring",
    [
        f"Bring it.\n\n{REST}",
        "Bring what a guest ordered.\n\nToo short a rest.",
        f"x: Where the guest sits tonight.\n\n{REST}",
        f"Copyright (C) 1999 by the innkeeper.\n\n{REST}",
        f"+1 -2 *3 /4 %5 &6 (7) [8] {{9}}\n\n{REST}",
        f"Bring what a guest ordered.\n\n{CHINESE} {REST}",
        f"Bring a half pair \ud800 of a surrogate.\n\n{REST}",
        "Bring what a guest ordered.",
        "   \n ",
    ],
)
def test_what_is_no_summary_and_body_is_left_out(docstring: str) -> None:
    assert split(docstring) is None


@pytest.mark.parametrize(
    "mention",
    ["read_csv", "ReadCSV", "readcsv", "read-csv", "io.read_csv", "pandas.io.read_csv(path, sep)", "Read_CSV()"],
)
def test_the_name_is_left_out_in_every_spelling(mention: str) -> None:
    texts = split(f"Parse a table of a file.\n\nHere {mention} stands between words. {REST}", "pandas.io.read_csv")
    assert texts == ("Parse a table of a file", f"Here stands between words. {REST}")
    assert split(f"Parse a table with {mention} alone.\n\n{REST}", "pandas.io.read_csv") is None


def test_no_punctuation_is_left_where_only_the_name_stood() -> None:
    texts = split(
        f"Parse a table of a file.\n\n%(shared)s {REST} See `load`.\n\nReturns\n-------\nload : Table\n    It.",
        "io.load",
    )
    assert texts == ("Parse a table of a file", f"{REST} See Returns: It.")


def test_words_that_only_contain_the_name_stay() -> None:
    body = "Readers and reads of already read_csv_files, to read csv as prose, and twelve words."
    assert split(f"Parse a table of a file.\n\n{body}", "io.re") == ("Parse a table of a file", body)
    assert split(f"Parse a table of a file.\n\n{body}", "io.read_csv") == ("Parse a table of a file", body)


@pytest.mark.parametrize("separator", [": ", " -- ", " - "])
def test_a_summary_that_opens_with_its_name_loses_it(separator: str) -> None:
    assert split(f"serve{separator}Bring what a guest ordered.\n\n{REST}") == ("Bring what a guest ordered", REST)


def test_markup_becomes_prose() -> None:
    docstring = """Compute the `spread` of :class:`~numpy.ndarray` values.

    .. versionadded:: 1.2
       Not before.

    .. note:: Empty input is **refused**, see `the guide <https://example.org>`_ [1]_.

    Use it like this::

        spread([1, 2])

    Parameters
    ----------
    values : array_like, optional
        Numbers of
        any kind.

    Args:
        axis (`int`, defaults to 0): Along which to go.
    :param out: Where to put it.
    :type out: ndarray

    ======  =====
    a       b
    ======  =====

    Returns
    -------
    result : float
        The value.

    Examples
    --------
    Some words here.

    >>> spread([1])
    0

    References
    ----------
    .. [1] A. Author
    """
    assert list(paragraphs(docstring)) == [
        "Compute the spread of ndarray values.",
        "Empty input is refused, see the guide.",
        "Use it like this:",
        "Parameters:",
        "values: Numbers of any kind.",
        "Args:",
        "axis: Along which to go.",
        "out: Where to put it.",
        "a b",
        "Returns:",
        "result: The value.",
    ]


def test_code_is_left_out() -> None:
    docstring = (
        "Before the code.\n\n```python\nx = 1\n\ny = 2\n```\nBetween.\n\n>>> f()\n1\n\nExample:\n    f(2)\n\nAfter."
    )
    assert list(paragraphs(docstring)) == ["Before the code.", "Between.", "After."]


@given(st.text(st.sampled_from("ab. \n`*_:>-=~<>[](){}\\|+#xX1\t")))
def test_any_text_has_paragraphs_of_one_line(docstring: str) -> None:
    for text in paragraphs(docstring):
        assert text == " ".join(text.split()) != ""


def test_long_bodies_are_cut() -> None:
    texts = split("Bring what a guest ordered.\n\n" + "word " * 500, max_words=30)
    assert texts == ("Bring what a guest ordered", "word " * 29 + "word")


def test_what_is_read_of_a_file() -> None:
    text = f'"""Bring what a guest number {{}} ordered.\n\n{REST}"""'
    source = f"""
{text.format(0)}
class Inn:
    {text.format(1)}
    async def serve(self):
        {text.format(2)}
        def inner():
            {text.format(3)}
    def _hidden(self):
        {text.format(4)}
    def __len__(self):
        {text.format(5)}
if True:
    def here():
        {text.format(6)}
else:
    def there():
        {text.format(7)}
def here():
    {text.format(8)}
"""
    found = {docstring.name: docstring.summary for docstring in read_docstrings(source.encode(), "town.inn", 100)}
    assert {name: summary.split()[-2] for name, summary in found.items()} == {
        "town.inn": "0",
        "town.inn.Inn": "1",
        "town.inn.Inn.serve": "2",
        "town.inn.here": "6",
        "town.inn.there": "7",
    }


def test_nothing_is_imported_and_no_warning_leaks(tmp_path: Path) -> None:
    trap = tmp_path / "trap.py"
    trap.write_text(f'"""Bring what a guest ordered.\n\n{REST} \\d"""\nopen({str(tmp_path / "ran")!r}, "w")\n1 / 0\n')
    with pytest.warns((DeprecationWarning, SyntaxWarning)):
        compile(trap.read_bytes(), "trap", "exec")
    found = read_docstrings(trap.read_bytes(), "trap", 100)
    assert [docstring[:2] for docstring in found] == [("trap", "Bring what a guest ordered")]
    assert list(tmp_path.iterdir()) == [trap]
    assert "trap" not in sys.modules
