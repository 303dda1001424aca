"""Write the HTML page of folders of results."""

from collections.abc import Sequence
from pathlib import Path

from ragcun.embedding.resolve import parse_label
from ragcun.evaluation.systems import Method, compare_systems, read_systems
from ragcun.files import write_text
from ragcun.report.html import render
from ragcun.report.page.content import collect
from ragcun.report.page.document import document
from ragcun.report.page.figures import find_figures
from ragcun.report.page.tables import page_tables

LARGEST = 4_800_000  # bytes of a page
_FIGURES = 1_200_000  # bytes of its figures, as base64


def write_page(
    sources: Sequence[str],
    output: Path | None = None,
    baselines: Sequence[str] | None = None,
    method: Method | None = None,
    data_dirs: Sequence[Path] = (),
) -> list[Path]:
    """Write report.html of the results below the folders of `sources` (each [NAME=]FOLDER), and a file per table.

    The same results give the same bytes. Texts of queries and documents come from collections in `data_dirs` and in
    the folder `data` of the sources, if they have the same bytes as the evaluated collections.

    Args:
        sources: folders of results, as for `read_systems`.
        output: folder for the files; if None, the first source.
        baselines: labels of the systems to compare the others with; if None, the first system.
        method: how systems are compared.
        data_dirs: folders of collections.

    Returns:
        The files written, the page first.

    Raises:
        UserError: in the cases of `read_systems` and `compare_systems`.
    """
    method = method or Method()
    systems = read_systems(sources)
    rows = compare_systems(systems, baselines, method)
    folders = [Path(parse_label(source)[1]) for source in sources]
    tables = page_tables(systems, rows, method, folders)
    images = find_figures(folders, _FIGURES)
    room = LARGEST - len(document(tables, images, {}).encode())
    content = collect(systems, rows, method, [*data_dirs, *(folder / "data" for folder in folders)], room)
    texts = {"report.html": document(tables, images, content)}
    texts |= {f"tables/{name}.html": render(table) for name, table in tables.items()}
    for name, text in texts.items():
        write_text((output or folders[0]) / name, text)
    return [(output or folders[0]) / name for name in texts]
