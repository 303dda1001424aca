"""Checks of the command line that hold for every command and every option."""

import math
import os
import re
import stat
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from ragcun.errors import UserError

_NO_VALUE = re.compile(r"--[\w-]+=")
_LONGEST_NAME, _LONGEST_PATH = 255, 4095  # bytes, as Linux has it
_LARGEST = 2**53  # a float64, as in JSON, represents whole numbers up to here exactly


class Command(TyperCommand):
    """A command that checks all its values while it parses them, before it reads or writes any file.

    A text must not be empty or contain a NUL character, a number must be finite, a path must not lead through a file,
    what it leads to must be a file or folder, that of an option with `writable=True` must be writable, and the
    variables of a launcher must be numbers.
    """

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse the arguments. Raises `BadParameter` if a value fails a check."""
        from ragcun.distributed import check_launcher

        for before, argument in pairwise(["", *args]):
            named = argument.partition("=")[0] if argument.startswith("--") else before
            if "\0" in argument:
                raise typer.BadParameter(f"{named or 'the first argument'} contains a NUL character", ctx)
            if not argument.strip(" ,\t\r\n") or _NO_VALUE.fullmatch(argument):
                raise typer.BadParameter(f"the value of {named or 'the first argument'} is empty", ctx)
        rest = super().parse_args(ctx, args)
        parameters: Iterable[Any] = self.get_params(ctx)
        for parameter in parameters:
            for value in _values(ctx.params.get(parameter.name or "")):
                if wrong := _wrong(value, parameter.type_descriptor.parameter_info):
                    raise typer.BadParameter(wrong, ctx, parameter)
        check_launcher()
        return rest


def _values(given: Any) -> Iterable[Any]:
    return given if isinstance(given, list | tuple) else (given,)


def _wrong(value: Any, info: Any) -> str:
    """Describe what is wrong with a value; empty if nothing is."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value} is not a finite number"
    if isinstance(value, int) and abs(value) > _LARGEST:
        return f"{value} is too large"
    return _wrong_path(value, info.file_okay, info.writable) if isinstance(value, Path) else ""


def _wrong_path(path: Path, file: bool, written: bool) -> str:
    from ragcun.files import there_of

    if len(os.fsencode(path.absolute())) > _LONGEST_PATH or any(
        len(os.fsencode(n)) > _LONGEST_NAME for n in path.parts
    ):
        return f"{str(path)[:40]}... is too long for a path"
    try:
        there = there_of(path)
    except UserError as error:
        return str(error)
    if written and any("\udc80" <= character <= "\udcff" for character in str(path)):
        return f"{path} is not UTF-8, and not every library can write there"
    if written and not os.access(there, os.W_OK):
        return f"{str(there)!r} cannot be written to"
    if there == path:
        return _wrong_kind(path, file, written)
    return ""


def _wrong_kind(path: Path, file: bool, written: bool) -> str:
    """Describe why what is there is no file or folder: a device, a pipe that nobody writes, a link to nothing."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return f"{str(path)!r} is a link that leads nowhere" if written and path.is_symlink() else ""
    of_shell = stat.S_ISFIFO(mode) and str(path).startswith(("/dev/", "/proc/"))  # --config <(COMMAND)
    if stat.S_ISDIR(mode) or (file and (stat.S_ISREG(mode) or (of_shell and not written))):
        return ""
    return f"{str(path)!r} is not a {'file' if file else 'folder'}"
