"""Running one command: signals, standard streams, and the exit code of whatever happens."""

import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import typer

from matinee.cli import output
from matinee.cli.commands import build
from matinee.cli.failures import Terminated, explain

COMPLETE = "_MATINEE_COMPLETE"
"""Set by the shell's completion script."""
PIPE_CLOSED = 141
"""As a shell reports a command that SIGPIPE ended."""


def run(arguments: Sequence[str]) -> int:
    """Run `matinee ARGUMENTS`. An error is one line on standard error. Returns the exit code."""
    output.VOICE.level, output.VOICE.debug = 0, os.environ.get("MATINEE_DEBUG", "") not in ("", "0")
    _settle_environment()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a console that cannot show a title shows a question mark
    with _signals(), _one_line_warnings(), _one_line_logs():
        try:
            code = _invoke(arguments)
            if sys.stdout is not None:
                sys.stdout.flush()
            return code
        except BrokenPipeError:
            _discard_output()
            return PIPE_CLOSED
        except BaseException as error:
            return _fail(error)


def _settle_environment() -> None:
    """Set what Matplotlib would fail on: figures are drawn to files, whatever backend the account is set up for."""
    os.environ["MPLBACKEND"] = "agg"
    if not os.environ.get("SOURCE_DATE_EPOCH", "0").isdecimal():
        del os.environ["SOURCE_DATE_EPOCH"]


def _invoke(arguments: Sequence[str]) -> int:
    command = build()
    if COMPLETE in os.environ:
        command.main(list(arguments), prog_name="matinee", complete_var=COMPLETE)
    try:
        with command.make_context("matinee", list(arguments)) as context:
            command.invoke(context)
    except typer.Exit as stop:
        return stop.exit_code
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    return 0


def _fail(error: BaseException) -> int:
    """Print what an error means, and with --debug its trace first. Returns the exit code."""
    text, code = explain(error)
    try:
        if output.VOICE.debug:
            import traceback

            traceback.print_exception(error, file=sys.stderr)
        output.fail(text)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:  # a full disk or a closed pipe: nothing more can be said
        _discard_output()
    return code


def _discard_output() -> None:
    """Send what is still buffered to nowhere, so that Python does not fail on it at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM stops a command as Ctrl+C does, so that a checkpoint is written; not outside the main thread."""

    def on_sigterm(number: int, frame: FrameType | None) -> None:
        raise Terminated

    try:
        before = signal.signal(signal.SIGTERM, on_sigterm)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _one_line_warnings() -> Iterator[None]:
    """Show Python's warnings as notes, without the line of code that they come from."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *where: output.warn(str(message))
        yield


@contextmanager
def _one_line_logs() -> Iterator[None]:
    """Show what libraries and the site log as notes."""
    handler = _NoteHandler(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


class _NoteHandler(logging.Handler):
    """Prints log records as notes."""

    def emit(self, record: logging.LogRecord) -> None:
        """See Handler."""
        output.warn(record.getMessage())
