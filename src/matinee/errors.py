"""Errors that a user can fix, and the hints in their messages."""

from collections.abc import Iterable
from difflib import get_close_matches


class MatineeError(Exception):
    """An error in the user's input. Its message is one line: what is wrong, where, and how to fix it."""


class UsageError(MatineeError):
    """An option, argument or setting that is wrong in itself, whatever the data."""


class DataError(MatineeError):
    """An unreadable or inconsistent log, table or split."""


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """`; did you mean 'x'?` with the closest option, or `; known are: ...` if none is close."""
    options = sorted(options)
    close = get_close_matches(name.lower(), [option.lower() for option in options], n=1, cutoff=0.6)
    if close:
        match = next(option for option in options if option.lower() == close[0])
        return f"; did you mean {match!r}?"
    return f"; known are: {', '.join(options)}"


def first_line(error: BaseException) -> str:
    """The first line of another library's message, cut: some hold the bytes that they stumbled on."""
    return str(error).strip().split("\n", 1)[0][:200]
