"""Figures below folders of results, as images inside the page."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import PIL.Image

from ragcun.errors import RagcunError


@dataclass(frozen=True)
class Image:
    """A figure: its path below its folder, and its PNG as a data URL, which is None if the page has no room for it."""

    name: str
    url: str | None


def _refuse_damage(path: Path) -> None:
    """Raise a `RagcunError` if a PNG is damaged, by the checksums of its parts."""
    try:
        with PIL.Image.open(path) as opened:
            opened.verify()
    except (OSError, SyntaxError, ValueError):
        raise RagcunError(f"{path}: damaged (no whole PNG); draw it again, or delete it") from None


def find_figures(folders: Iterable[Path], largest: int) -> list[Image]:
    """Return every PNG in a folder called figures below `folders`, by name, as far as `largest` bytes hold them."""
    images: dict[str, Image] = {}
    for folder in folders:
        for path in sorted(folder.rglob("figures/**/*.png")):
            name = path.relative_to(folder.parent).with_suffix("").as_posix()
            _refuse_damage(path)
            url = f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
            largest -= len(url)
            images.setdefault(name, Image(name, url if largest >= 0 else None))
    return list(images.values())
