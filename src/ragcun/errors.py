"""Errors that speak: one line that says what is wrong, where, and what to do."""


class RagcunError(Exception):
    """A failure that is not the user's mistake (disk full, NaN in training). The CLI prints it and exits with 1."""

    exit_code = 1


class UserError(RagcunError):
    """A mistake of the user's: a bad value, a missing file, a malformed line. The CLI prints it and exits with 2."""

    exit_code = 2
