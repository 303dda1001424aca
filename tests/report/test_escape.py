"""Escaping: pure ASCII, nothing special left, and the words that a real LaTeX prints."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragcun.files import write_text
from ragcun.report.escape import escape
from ragcun.report.latex import article
from ragcun.report.write import compile_pdf

NASTY = [
    "a_b&c%d#e$f",
    "~tilde^caret\\back{slash}",
    "[0.5ex] bracket",
    "* star",
    "a--b---c",
    "<x> | \"y\" 'z' `w`",
    "``double'' ?`",
    "naïve Žižek Łódź Ångström façade Øre ß",
    "λ = 0.5 ± ∞ → Ω",
    "中文 🙂",
    "\\input{/etc/passwd}",
    "line\nbreak\ttab",
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MiniLM-L6 v2", "MiniLM-L6 v2"),
        ("a_b&c%", r"a\_b\&c\%"),
        ("\\", r"\textbackslash{}"),
        ("é", r"\'{e}"),
        ("e\u0301", r"\'{e}"),
        ("λ", r"\ensuremath{\lambda}"),
        ("ω", r"\ensuremath{\omega}"),
        ("--", "-{}-"),
        ("中", "U+4E2D"),
        (" a \n b ", "a b"),
    ],
)
def test_escape(text: str, expected: str) -> None:
    assert escape(text) == expected


@given(st.text())
def test_whatever_the_text_no_character_stays_special(text: str) -> None:
    escaped = escape(text)
    assert escaped.isascii()
    bare = re.sub(r"\\[{}$&%#_~]", "", escaped)
    assert not set(bare) & set("$&%#_~\n")
    assert bare.count("{") == bare.count("}")
    assert "[" not in bare.replace("{[}", "")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_pdflatex_prints_what_was_escaped(tmp_path: Path) -> None:
    rows = "\n".join(rf"{escape(text)} & x \\" for text in NASTY)
    table = f"\\begin{{tabular}}{{ll}}\nfirst & x \\\\\n{rows}\n\\end{{tabular}}"
    source = tmp_path / "nasty.tex"
    write_text(source, article([table]))
    pdf = compile_pdf(source)
    assert pdf.read_bytes().startswith(b"%PDF")
    if shutil.which("pdftotext"):
        words = subprocess.run(
            ["pdftotext", "-layout", str(pdf), "-"], capture_output=True, text=True, check=True
        ).stdout
        for piece in ("a b&c%d#e$f", "{slash}", "[0.5ex] bracket", "* star", "a--b", "U+4E2D", "input{/etc/passwd}"):
            assert piece in words.replace("∗", "*"), words  # the underscore is a rule
