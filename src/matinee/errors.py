"""Errors that a user can mend, and the hint that goes with them."""

from collections.abc import Iterable
from difflib import get_close_matches


class MatineeError(Exception):
    """A mistake outside Matinee's code; its text is one line: what is wrong, where, and how to mend it."""


class DataError(MatineeError):
    """A log, table or split that cannot be read as it is."""


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the closest option, else `; known are: ...`."""
    options = sorted(options)
    close = get_close_matches(name.lower(), [option.lower() for option in options], n=1, cutoff=0.6)
    if close:
        match = next(option for option in options if option.lower() == close[0])
        return f"; did you mean {match!r}?"
    return f"; known are: {', '.join(options)}"
