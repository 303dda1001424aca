"""The list of commands with their summaries, and the import of a command when it is used."""

from collections.abc import Iterator, Mapping
from copy import copy
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

# Name, module with the command as `app`, and the first paragraph of its help.
COMMANDS = {
    "train": ("train", "Train a head on a frozen base, or a whole encoder."),
    "ablate": (
        "ablate",
        "Train a grid of settings over several seeds on the same stored embeddings, and tabulate the results.",
    ),
    "export": ("export", "Export a trained model, an index of its embeddings, or its results."),
    "run": ("run", "Run a whole experiment: prepare data, train, evaluate, analyse and report."),
    "plan": ("plan", "Estimate the time, memory, disk and cost of each step, from a model of FLOPs and bytes."),
    "doctor": (
        "doctor",
        "Check the device, precision, memory, disk, hub access, token and package versions, and suggest fixes.",
    ),
    "data": ("data", "Download and prepare collections and training data."),
    "eval": ("evaluate", "Evaluate retrievers, and compare, explain and verify their scores."),
    "analyze": ("analyze", "Analyse the geometry of embeddings."),
    "report": ("report", "Write tables, papers and pages from results."),
    "claims": ("claims", "Test what the literature claims about isotropy and retrieval."),
    "store": ("store", "List, verify and remove stored base embeddings."),
    "presets": ("presets", "List presets, or print one as TOML."),
}


class _Constructed(Mapping[str, Any]):
    """A mapping of names to commands, each of which is imported and constructed when it is first looked up."""

    def __init__(self, markup: Any) -> None:
        self._command = cache(lambda name: _construct(name, markup))

    def __getitem__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        return self._command(name)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def _construct(name: str, markup: Any) -> Any:
    module, line = COMMANDS[name]
    app: typer.Typer = import_module(f"ragcun.cli.{module}").app
    parent = typer.Typer(rich_markup_mode=markup)
    parent.add_typer(app, help=line)  # an app without a name adds its commands to the parent
    return get_group(parent).commands[name]


class Commands(TyperGroup):
    """The group of all commands. Its help uses the summaries above, so that it imports no command."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands: Any = _Constructed(self.rich_markup_mode)

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """List the names of the commands in the order of the help."""
        return list(self.commands)

    def format_help(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Print the help without constructing a command."""
        listing = copy(self)
        listing.commands = {name: TyperCommand(name, help=line) for name, (_, line) in COMMANDS.items()}
        super(Commands, listing).format_help(ctx, formatter)
