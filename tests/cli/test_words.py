"""The words of the help and of the documentation's index."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ragcun.settings.schema import Settings

DOCS = Path(__file__).parents[2] / "docs"


def _commands(command: Any, path: str = "ragcun") -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, f"{path} {name}")


def _help() -> Iterator[tuple[str, str]]:
    """What help says of each command and of each of its options and arguments, settings included."""
    import typer
    from typer.main import get_command

    from ragcun.cli.main import app

    for path, command in _commands(get_command(app)):
        for paragraph in (command.help or "").split("\n\n"):
            yield path, " ".join(paragraph.split())
        with typer.Context(command, info_name=path) as context:
            for parameter in command.get_params(context):
                yield f"{path} {parameter.name}", parameter.help or ""


def _settings(section: type[BaseModel], path: str = "") -> Iterator[tuple[str, str]]:
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _settings(inner, f"{path}{name}.")
        else:
            yield f"{path}{name}", field.description or ""


def _is_a_sentence(text: str) -> bool:
    return text[:1].isupper() and text.endswith(".") and len(text.split()) >= 3


@pytest.mark.parametrize("source", [_help, lambda: _settings(Settings)], ids=["help", "settings"])
def test_descriptions_are_sentences(source: Any) -> None:
    described = list(source())
    assert len(described) > 50
    assert [f"{name}: {text}" for name, text in described if not _is_a_sentence(text)] == []


def test_the_index_links_every_page() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    pages = {page.name for page in DOCS.glob("*.md")} - {"index.md"}
    assert len(pages) > 15
    assert {page for page in pages if f"({page})" not in index} == set()


def test_the_page_on_settings_lists_every_setting() -> None:
    page = (DOCS / "settings.md").read_text(encoding="utf-8").splitlines()
    for name, text in _settings(Settings):
        row = f"| `{name}` |"
        found = [line for line in page if line.startswith(row)]
        assert found and found[0].endswith(f"| {text.replace('|', chr(92) + '|')} |"), f"docs/settings.md: {row} {text}"
