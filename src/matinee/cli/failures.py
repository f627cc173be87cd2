"""What an error means to the person at the terminal: one line, and the exit code."""

import errno
import os
import re

import typer

from matinee.errors import MatineeError, UsageError
from matinee.extras import EXTRAS, missing

FAILED, WRONG_USAGE, INTERRUPTED, TERMINATED = 1, 2, 130, 143
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
WRONG_COMMAND_LINE: type[Exception] = typer.BadParameter.__mro__[1]
"""Typer's error for a wrong command line, which it does not export."""
WORDS_OF_NUMBERS = (
    (r"Input should be greater than or equal to (\S+)", r"must be \1 or more"),
    (r"Input should be less than or equal to (\S+)", r"must be \1 or less"),
    (r"Input should be a valid integer, .*", "is not a whole number"),
    (r"Input should be a valid (?:boolean|bool), .*", "is neither true nor false"),
)
"""Typer's words for a wrong number, and ours."""
MORE_MEMORY = (
    "filter the data (--min-item-events, --sample-users), take a smaller setting, or a machine with more memory"
)


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived."""


def explain(error: BaseException) -> tuple[str, int]:
    """The line that says what is wrong and how to fix it, and the exit code."""
    if isinstance(error, MatineeError):
        return str(error), WRONG_USAGE if isinstance(error, UsageError) else FAILED
    if isinstance(error, WRONG_COMMAND_LINE):
        return _usage(error), WRONG_USAGE
    if isinstance(error, Terminated):
        return "terminated", TERMINATED
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", INTERRUPTED
    return _failure(error), FAILED


def _failure(error: BaseException) -> str:
    if _is_out_of_memory(error):
        return f"not enough memory{_detail(error)}; {MORE_MEMORY}"
    if isinstance(error, ModuleNotFoundError) and (package := (error.name or "").partition(".")[0]) in EXTRAS:
        return str(missing(package, f"this needs {package}"))
    if isinstance(error, RecursionError):
        return "the input is nested too deeply to be read"
    if isinstance(error, FileNotFoundError) and not _has_folder():
        return "the folder you work in no longer exists; change to another"
    if isinstance(error, OSError) and error.strerror:
        where = f": {_short(str(error.filename))}" if error.filename else ""
        fix = "; free some space, or write to another disk" if error.errno in FULL else ""
        return f"{error.strerror}{where}{fix}"
    first = next(iter(str(error).strip().splitlines()), "")
    return (
        f"unexpected {type(error).__name__}{': ' if first else ''}{first}; this is a fault of Matinee: "
        "repeat the command with --debug for a trace, and report it"
    )


def _usage(error: BaseException) -> str:
    """A wrong command line, with the command whose --help says more."""
    text = str(getattr(error, "format_message", error.__str__)())
    for pattern, words in WORDS_OF_NUMBERS:
        text = re.sub(pattern, words, text)
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "matinee"
    return f"{text[:1].lower()}{text[1:].rstrip('.')} (see `{path} --help`)"


def _has_folder() -> bool:
    try:
        os.getcwd()
    except OSError:
        return False
    return True


def _short(path: str) -> str:
    return path if len(path) <= 200 else f"{path[:100]}..."


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, as numpy, torch, polars and the system say it."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("can't allocate memory" in text or "not enough memory" in text)


def _detail(error: BaseException) -> str:
    """What numpy could not allocate: `: 1.9 GiB for an array with shape ...`."""
    text = str(error).partition("Unable to allocate ")[2].partition(" and data type")[0]
    return f": {text}" if text else ""
