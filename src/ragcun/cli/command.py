"""What every command refuses before it begins: values that no option can mean."""

import math
import os
import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from ragcun.errors import UserError

_NO_VALUE = re.compile(r"--[\w-]+=")
_LARGEST = 2**53  # whole numbers up to here are exact wherever they go


class Command(TyperCommand):
    """A command whose values are checked as they are parsed, whichever option they belong to.

    Text is not empty and has no NUL, a number is finite, a path does not lead through a file, what is written to
    (`writable=True`) can be written to, and a launcher's variables are numbers. Nothing has been made or read before.
    """

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse the arguments. Raises `BadParameter` where a value is none."""
        from ragcun.distributed import check_launcher

        for before, argument in pairwise(["", *args]):
            named = argument.partition("=")[0] if argument.startswith("--") else before
            if "\0" in argument:
                raise typer.BadParameter(f"a NUL character, which no value holds, at {named or 'the first place'}", ctx)
            if not argument.strip() or _NO_VALUE.fullmatch(argument):
                raise typer.BadParameter(f"an empty value of {named or 'the first argument'}", ctx)
        rest = super().parse_args(ctx, args)
        parameters: Iterable[Any] = self.get_params(ctx)
        for parameter in parameters:
            for value in _values(ctx.params.get(parameter.name or "")):
                if wrong := _wrong(value, parameter.type_descriptor.parameter_info.writable):
                    raise typer.BadParameter(wrong, ctx, parameter)
        check_launcher()
        return rest


def _values(given: Any) -> Iterable[Any]:
    return given if isinstance(given, list | tuple) else (given,)


def _wrong(value: Any, written: bool) -> str:
    """What is wrong with a value, in words; empty where nothing is."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value} is not a finite number"
    if isinstance(value, int) and abs(value) > _LARGEST:
        return f"{value} is too large"
    return _wrong_path(value, written) if isinstance(value, Path) else ""


def _wrong_path(path: Path, written: bool) -> str:
    from ragcun.files import there_of

    try:
        there = there_of(path)
    except UserError as error:
        return str(error)
    if written and not os.access(there, os.W_OK):
        return f"{str(there)!r} cannot be written to"
    return ""
