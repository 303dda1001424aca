"""The page as one HTML document with sections, tables, style, script and data."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from ragcun.printable import one_line
from ragcun.report.html import render
from ragcun.report.page.figures import Image
from ragcun.report.page.queries import to_script
from ragcun.table import Table

_SCRIPTS = ("core.js", "statistics.js", "results.js", "compare.js", "queries.js")
_SECTIONS = {
    "results": "Results",
    "ranks": "Ranks",
    "compare": "Side by side",
    "slices": "Slices",
    "queries": "Queries",
    "geometry": "Geometry",
    "figures": "Figures",
    "records": "Records",
}


def document(tables: Mapping[str, Table], images: Sequence[Image], content: Mapping[str, Any]) -> str:
    """Return the page, which loads nothing; its content security policy forbids loading.

    Args:
        tables: tables by section: "results", "comparison", and any others, which are shown under "Geometry".
        images: the figures.
        content: the result of `content.collect`; to_script escapes it for the page.
    """
    style = _file("page.css")
    script = "".join(_file(name) for name in _SCRIPTS)
    others = [table for key, table in tables.items() if key not in {"results", "comparison"}]
    empty = {name for name, found in (("geometry", others), ("figures", images)) if not found}
    shown = [name for name in _SECTIONS if name not in empty]
    links = "".join(f'<li><a href="#{name}">{_SECTIONS[name]}</a></li>' for name in shown)
    bodies = {
        "results": f'<p id="summary"></p>\n{render(tables["results"])}<details><summary>Every comparison with a '
        f"baseline</summary>\n{render(tables['comparison'])}</details>\n",
        "geometry": "".join(map(render, others)),
        "figures": "".join(map(_figure, images)),
    }
    sections = "".join(
        f'<section id="{name}" aria-labelledby="{name}-title">\n<h2 id="{name}-title">{_SECTIONS[name]}</h2>\n'
        f"{bodies.get(name, '')}<div class='made'></div>\n</section>\n"
        for name in shown
    )
    policy = f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<title>Retrieval results</title>\n'
        f"<style>{style}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#results">Skip to the results</a>\n'
        f'<header>\n<h1>Retrieval results</h1>\n<nav aria-label="Sections"><ul>{links}</ul></nav>\n</header>\n'
        "<main>\n<noscript><p>Without JavaScript this page shows its tables and figures only.</p></noscript>\n"
        f"{sections}</main>\n"
        f'<script type="application/json" id="data">{to_script(content)}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _figure(image: Image) -> str:
    name = escape(one_line(image.name))
    if image.url is None:
        return f"<p>{name}: not embedded, because the page had no room for it.</p>\n"
    return (
        f'<figure class="image"><button type="button" class="zoom" aria-label="Enlarge {name}">'
        f'<img alt="{name}" src="{image.url}"></button><figcaption>{name}</figcaption></figure>\n'
    )


def _file(name: str) -> str:
    return files("ragcun.report.page").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
