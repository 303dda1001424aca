"""The `ragcun` command. Nothing heavy is imported until a command runs."""

import io
import os
import signal
import sys
import traceback
from typing import Annotated

import typer
from typer._click.exceptions import ClickException, NoArgsIsHelpError  # Typer has no public names for them

from ragcun.cli.commands import Commands
from ragcun.errors import RagcunError, explained, what_it_must_be, with_hint

app = typer.Typer(
    name="ragcun",
    cls=Commands,
    help="Train and evaluate isotropic Gaussian embeddings for dense retrieval.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _version(show: bool) -> None:
    if show:
        from importlib.metadata import version

        typer.echo(f"ragcun {version('ragcun')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Train and evaluate isotropic Gaussian embeddings for dense retrieval."""
    if debug:
        os.environ["RAGCUN_DEBUG"] = "1"


class _Stopped(BaseException):
    """A signal ended the command. This is no KeyboardInterrupt, which Typer would report only as "Aborted"."""


_SIGNALS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


def _stop_at(number: int, _: object) -> None:
    raise _Stopped(number)


def main() -> None:
    """Run the CLI.

    The exit code is 0 on success, 1 on a failure, 2 on a user's mistake, 130 after Ctrl-C, and 143 after SIGTERM.
    """
    for number in _SIGNALS:
        signal.signal(number, _stop_at)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None, where it is closed
            stream.reconfigure(errors="backslashreplace")  # what an encoding does not have, as \u2013
    try:
        done = app(prog_name="ragcun", standalone_mode=False)
        sys.exit(done if isinstance(done, int) else 0)
    except _Stopped as stopped:
        number = stopped.args[0]
        _stop(f"{_SIGNALS[number]}; run the same command again to resume", 128 + number)
    except NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except ClickException as error:
        _stop(_usage(error), error.exit_code)
    except typer.Abort:
        _stop("the question was not answered, so nothing was done", 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        shown = explained(error)
        unexpected = type(shown) is RagcunError and shown is not error and not isinstance(error, OSError)
        _stop(f"{shown} (use `ragcun --debug` to see the traceback)" if unexpected else str(shown), shown.exit_code)


def _usage(error: ClickException) -> str:
    """Format an error in the command line, with the name of the command that was called."""
    command = getattr(error, "ctx", None)
    message = error.format_message().rstrip(".").replace("Value error, ", "")
    if (refused := getattr(error.__cause__, "errors", None)) is not None:  # pydantic's, in its own words
        for problem in refused(include_url=False):
            message = message.replace(problem["msg"], f"{problem['input']!r} {what_it_must_be(problem)}")
    message = with_hint(f"{message[:1].lower()}{message[1:]}")
    return message if command is None else f"{command.command_path}: {message} (see `{command.command_path} --help`)"


def _stop(message: str, code: int) -> None:
    if os.environ.get("RAGCUN_DEBUG"):
        traceback.print_exc()
    from ragcun.console import complain

    complain(message)
    sys.exit(code)
