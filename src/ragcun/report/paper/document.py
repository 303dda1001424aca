r"""The article: an outline with a sentence on each table and figure, which it includes by \input."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ragcun.report.latex import NUMBERS, PACKAGES, set_text

PREAMBLE = rf"""% Written by ragcun. Compiles with pdflatex and bibtex, or with latexmk -pdf main.tex.
\documentclass[10pt,twocolumn]{{article}}
\usepackage[T1]{{fontenc}}
\usepackage[utf8]{{inputenc}}
\usepackage{{mathptmx}}
\usepackage[margin=2cm,columnsep=0.6cm]{{geometry}}
\usepackage{{{PACKAGES}}}
\usepackage[round]{{natbib}}
\usepackage[hidelinks]{{hyperref}}
\usepackage{{url}}
\emergencystretch=2em
\renewcommand{{\topfraction}}{{.9}}\renewcommand{{\dbltopfraction}}{{.9}}
\renewcommand{{\textfraction}}{{.05}}\renewcommand{{\floatpagefraction}}{{.8}}
\renewcommand{{\dblfloatpagefraction}}{{.8}}\setcounter{{dbltopnumber}}{{4}}\setcounter{{topnumber}}{{4}}
% The same sources give the same PDF, byte for byte, at any time and on any machine.
\ifdefined\pdfinfoomitdate\pdfinfoomitdate=1\pdftrailerid{{}}\pdfsuppressptexinfo=-1\fi
{NUMBERS}
\title{{Isotropic Gaussian Embeddings for Dense Retrieval}}
\author{{Anonymous}}
\date{{}}
"""


@dataclass(frozen=True)
class Figure:
    """A figure of the article: its file below figures/ without suffix, and its caption as plain text."""

    name: str
    caption: str
    wide: bool = False

    def latex(self) -> str:
        """Return the LaTeX float of the figure."""
        kind, width = ("figure*", r"\textwidth") if self.wide else ("figure", r"\columnwidth")
        lines = [
            r"% Written by ragcun; needs \usepackage{graphicx}",
            rf"\begin{{{kind}}}[tbp]",
            r"\centering",
            rf"\includegraphics[width={width}]{{figures/{self.name}}}",
            rf"\caption{{{set_text(self.caption)}}}",
            rf"\label{{fig:{self.name}}}",
            rf"\end{{{kind}}}",
        ]
        return "\n".join(lines) + "\n"


@dataclass
class Section:
    """A section: title, sentences in LaTeX, and files that it includes, in their order."""

    title: str
    text: list[str] = field(default_factory=list)
    fragments: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.text or self.fragments)


def article(sections: Sequence[Section], appendix: Sequence[Section]) -> str:
    """Return main.tex without empty sections."""
    lines = [PREAMBLE + r"\begin{document}", r"\maketitle", ""]
    for section in filter(None, sections):
        lines += _section(section)
    lines += [r"\bibliographystyle{plainnat}", r"\bibliography{refs}", "", r"\appendix", ""]
    for section in filter(None, appendix):
        lines += _section(section)
    return "\n".join([*lines, r"\end{document}"]) + "\n"


def reference(kind: str, label: str) -> str:
    r"""Return Table~\ref{tab:label} or Figure~\ref{fig:label}."""
    prefix = {"Table": "tab", "Figure": "fig"}[kind]
    return rf"{kind}~\ref{{{prefix}:{label}}}"


def cite(keys: Sequence[str]) -> str:
    r"""Return ~\citep of these keys, or an empty string if there are none."""
    return rf"~\citep{{{','.join(keys)}}}" if keys else ""


def _section(section: Section) -> list[str]:
    texts = [text + "\n" for text in section.text]
    return [
        rf"\section{{{set_text(section.title)}}}",
        *texts,
        *(rf"\input{{{name}}}" for name in section.fragments),
        "",
    ]
