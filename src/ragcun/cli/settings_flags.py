"""Flags generated from the settings' schema: fields become options, and options become settings.

Importing the schema takes longer than `ragcun --help` may take, so a command's flags are generated only when this
command is used.
"""

from functools import cache
from inspect import Parameter, Signature
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

import typer
from typer.main import get_command

from ragcun.cli.command import Command
from ragcun.cli.completion import NAMES, complete

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from ragcun.settings.schema import Settings

_BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


class WithSettings(Command):
    """A command with a flag for each setting in `sections`, besides its own options; "" is the top level.

    Its function finds the values that the user gave in `context.obj`, by dotted names ("training.epochs"), as
    `load_settings` takes them. The help shows the defaults, or the values of --preset and --config.
    """

    sections: tuple[str, ...] = ("", "data", "model", "training", "evaluation")

    def get_params(self, ctx: typer.Context) -> list[Any]:  # type: ignore[override]
        """List the command's own parameters, then the flags, then --help."""
        *own, help_ = super().get_params(ctx)
        return [*own, *_flags(self.sections, ctx.meta.get(__name__)), help_]

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse as any command does. Before --help, load the settings whose values the help shows."""
        if set(ctx.help_option_names) & set(args):
            from ragcun.settings.load import load_settings

            given, _, _ = self.make_parser(ctx).parse_args(list(args))
            config = Path(given["config"]) if given.get("config") else None
            if given.get("preset") or config:
                ctx.meta[__name__] = load_settings(given.get("preset"), config)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Call the function with the given flags in `ctx.obj`."""
        values = {flag.name: ctx.params.pop(flag.name) for flag in _flags(self.sections, ctx.meta.get(__name__))}
        ctx.obj = {name.replace("__", "."): value for name, value in values.items() if _given(ctx, name)}
        return super().invoke(ctx)


def of_sections(*sections: str) -> type[WithSettings]:
    """Make a class of commands with the flags of these sections."""
    return type("WithSettings", (WithSettings,), {"sections": sections})


def _given(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


@cache
def _flags(sections: tuple[str, ...], shown: "Settings | None") -> list[Any]:
    """Make an option for each field. The help shows the values of `shown` as defaults."""
    from pydantic import BaseModel

    from ragcun.settings.schema import Settings

    values = shown or Settings()
    parameters = []
    for section in sections:
        owner: BaseModel = getattr(values, section) if section else values
        for name, field in type(owner).model_fields.items():
            if isinstance(field.json_schema_extra, dict):
                dotted = f"{section}__{name}" if section else name
                parameters.append(_parameter(dotted, name, field, getattr(owner, name)))

    def flags(**_: Any) -> None:
        """Accept every flag."""

    flags.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    flags.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    app = typer.Typer(add_completion=False)
    app.command()(flags)
    return list(get_command(app).params)


def _parameter(dotted: str, name: str, field: "FieldInfo", default: Any) -> Parameter:
    extra: Any = field.json_schema_extra
    plain, bounds = _plain(field)
    choices: tuple[str, ...] = ()
    if get_origin(plain) is list:
        choices = get_args(get_args(plain)[0])  # Typer does not accept a list of a Literal
        plain = list[str]
    flag = extra.get("flag", name).replace("_", "-")
    if isinstance(default, tuple):
        default = list(default)
    option = typer.Option(
        f"--{flag}/--no-{flag}" if plain is bool else f"--{flag}",
        help=field.description,
        rich_help_panel=extra["panel"],
        metavar=f"<{'|'.join(choices)}>" if choices else _metavar(plain, bounds),
        show_default=extra.get("unset", True) if default is None else bool(default != []),
        autocompletion=complete(NAMES[extra["names"]]) if "names" in extra else complete(choices) if choices else None,
    )
    annotation = Annotated[plain | None if default is None else plain, option]  # type: ignore[valid-type]
    return Parameter(dotted, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _plain(field: "FieldInfo") -> tuple[Any, dict[str, Any]]:
    """Find the type of a field's values on the command line, and their bounds."""
    found = [*field.metadata]
    annotation: Any = field.annotation
    while get_origin(annotation) in {Annotated, Union, UnionType}:
        if get_origin(annotation) is Annotated:
            annotation, *metadata = get_args(annotation)
            found += metadata
        else:
            inner = [one for one in get_args(annotation) if one is not NoneType]
            annotation = inner[0] if len(inner) == 1 else str
    if get_origin(annotation) is tuple:
        annotation = list[get_args(annotation)[0]]  # type: ignore[misc]
    metadata = [one for entry in found for one in getattr(entry, "metadata", [entry])]
    return annotation, {b: getattr(one, b) for b in _BOUNDS for one in metadata if getattr(one, b, None) is not None}


def _metavar(plain: Any, bounds: dict[str, Any]) -> str | None:
    """Format the type and range of a number; None for another type, which Typer formats."""
    if plain not in {int, float}:
        return None
    ranges = ", ".join(f"{_BOUNDS[bound]}{value}" for bound, value in bounds.items() if value != 2**32)
    return f"<{plain.__name__} {ranges}>" if ranges else None
