"""Errors with a message of one line, which says what is wrong, where, and what to do."""

import difflib
import errno
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


class RagcunError(Exception):
    """A failure that is not the user's mistake (disk full, NaN in training). The CLI prints it and exits with 1."""

    exit_code = 1


class UserError(RagcunError):
    """A user's mistake: an invalid value, a missing file, a malformed line. The CLI prints it and exits with 2."""

    exit_code = 2


# For each error of the operating system: the kind of error, and what the user can do.
_REFUSALS: dict[int, tuple[type[RagcunError], str]] = {
    errno.ENOENT: (UserError, "check the path"),
    errno.ENOTDIR: (UserError, "one of the names before the last is a file; check the path"),
    errno.EISDIR: (UserError, "a file is expected here; check the path"),
    errno.EEXIST: (UserError, "remove it or choose another name"),
    errno.ENOTEMPTY: (UserError, "empty it or choose another folder"),
    errno.EACCES: (UserError, "change its permissions or choose another place"),
    errno.EPERM: (UserError, "change its permissions or choose another place"),
    errno.EROFS: (UserError, "choose a place that can be written to"),
    errno.ENAMETOOLONG: (UserError, "choose a shorter name"),
    errno.ELOOP: (UserError, "repair the symbolic links"),
    errno.ENOSPC: (RagcunError, "free some space, then run the same command again"),
    errno.EDQUOT: (RagcunError, "free some space, then run the same command again"),
    errno.EFBIG: (RagcunError, "raise the limit of the size of files (ulimit -f) or choose another disk"),
    errno.EMFILE: (RagcunError, "raise the limit of open files (ulimit -n)"),
    errno.ENOMEM: (RagcunError, "free some memory, then run the same command again"),
    errno.EIO: (RagcunError, "the disk failed; copy the data to another one"),
}


def explained(error: Exception) -> RagcunError:
    """Turn any exception into an error with one line and an exit code; errors of the operating system get a remedy."""
    if isinstance(error, RagcunError):
        return error
    error = _of_the_system(error)
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        kind, remedy = _REFUSALS[error.errno]
        place = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes | os.PathLike) else ""
        return kind(f"{place}{error.strerror or type(error).__name__}; {remedy}")
    if isinstance(error, UnicodeEncodeError) and error.encoding.startswith("utf") and _UNDECODED.search(error.object):
        return UserError(f"{error.object}: a name that is not UTF-8, which a library cannot open; rename it")
    return RagcunError(f"{type(error).__name__}: {' '.join(str(error).split())}")


def _of_the_system(error: Exception) -> Exception:
    """Return the operating system's error that a library reports in its own words, or else the error itself.

    Libraries in Rust write `(os error 28)`, and `shutil.copytree` collects the errors of all files.
    """
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list) and error.args[0]:
        _, target, why = error.args[0][0]
        found = re.search(r"\[Errno (\d+)\]", str(why))
        return error if found is None else OSError(int(found[1]), os.strerror(int(found[1])), target)
    if isinstance(error, OSError):
        return error
    return os_error_in(error) or error


def os_error_in(error: Exception, *path: str) -> OSError | None:
    """Return the operating system's error that the message of a library in Rust contains, about `path` if given."""
    found = re.search(r"\(os error (\d+)\)", str(error))
    return None if found is None else OSError(int(found[1]), os.strerror(int(found[1])), *path)


# The message for each type of pydantic's errors, by the start of the type's name; braces are filled from the context.
_VALUES = {
    "int_": "must be a whole number",
    "float_": "must be a number",
    "bool_": "must be true or false",
    "string_": "must be text",
    "list_": "must be a list",
    "tuple_": "must be a list",
    "dict_": "must be a table of settings",
    "model_": "must be a table of settings",
    "literal_error": "must be one of {expected}",
    "finite_number": "must be a finite number",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be greater than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
}


_UNDECODED = re.compile("[\udc80-\udcff]")  # how Python writes the bytes of a name that is not UTF-8
_QUOTED = re.compile(r"'([^']*)'")
_NO_CHOICE = re.compile(r"'([^']*)' is not one of ((?:'[^']*'(?:, )?)+)")


def with_hint(message: str) -> str:
    """Return the parser's message with a suggestion, if it is about a value that is none of the choices."""
    found = _NO_CHOICE.search(message)
    return message if found is None else message + did_you_mean(found[1], _QUOTED.findall(found[2]))


def what_it_must_be(problem: Mapping[str, Any]) -> str:
    """Say what a refused value must be, from one of the errors of a pydantic `ValidationError`."""
    context = problem.get("ctx", {})
    bounds = {name: f"{value:g}" if isinstance(value, float) else value for name, value in context.items()}
    for kind, text in _VALUES.items():
        if problem["type"].startswith(kind):
            expected = _QUOTED.findall(str(context.get("expected", "")))
            return text.format(**bounds) + did_you_mean(str(problem["input"]), expected)
    message = str(problem["msg"]).removeprefix("Value error, ")
    if message.startswith("Input should "):
        return f"must {message.removeprefix('Input should ')}"
    return f"{message[:1].lower()}{message[1:]}"


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return " (did you mean X?)" with the known name that is most similar to `name`; empty if none is similar.

    `cutoff` is the minimum similarity, 0 to 1.
    """
    spelt = {one.lower(): one for one in known}
    close = difflib.get_close_matches(name.lower(), spelt, n=1, cutoff=cutoff)
    return f" (did you mean {spelt[close[0]]}?)" if close else ""


@dataclass(frozen=True)
class Failure:
    """The failure of one dataset or model, after which the others were still processed.

    Attributes:
        dataset: the dataset that failed; None if the retriever failed before any dataset.
        model: the retriever that failed; None if the dataset failed before any retriever.
        error: the message, one line.
        exit_code: the exit code of this failure alone.
    """

    dataset: str | None
    model: str | None
    error: str
    exit_code: int

    @classmethod
    def of(cls, dataset: str | None, error: Exception, model: str | None = None) -> "Failure":
        """Make a failure from an exception."""
        shown = explained(error)
        return cls(dataset, model, " ".join(str(shown).split()), shown.exit_code)

    def to_json(self) -> dict[str, Any]:
        """Return the failure as `--json` prints it."""
        return asdict(self)

    def __str__(self) -> str:
        place = f"{' on '.join(filter(None, (self.model, self.dataset)))}: "
        return place + self.error.removeprefix(place)


def exit_code(failures: Sequence[Failure], done: bool) -> int:
    """Return 0 without failures, 2 if nothing was `done` and all failures are the user's mistakes, otherwise 1."""
    if done:
        return 1 if failures else 0
    return min((failure.exit_code for failure in failures), default=0)
