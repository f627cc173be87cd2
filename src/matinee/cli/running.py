"""Running one command: signals, standard streams, and the exit code of whatever happens."""

import logging
import os
import signal
import sys
import threading
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
    _settle_environment()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a console that cannot show a title shows a question mark
    with _voice(), _signals() as arrived, _one_line_warnings(), _one_line_logs():
        try:
            code = _invoke(arguments)
            if sys.stdout is not None:
                sys.stdout.flush()
            return code
        except BrokenPipeError:
            _discard_output()
            return PIPE_CLOSED
        except BaseException as error:
            return _fail(arrived[0] if arrived else error)  # a library that is interrupted may fail in its own way


@contextmanager
def _voice() -> Iterator[None]:
    """The voice of one command, as its switches set it; the next command of this process starts with its own."""
    output.VOICE.level, output.VOICE.debug = 0, os.environ.get("MATINEE_DEBUG", "") not in ("", "0")
    try:
        yield
    finally:
        output.VOICE.level, output.VOICE.debug = 0, False


def _settle_environment() -> None:
    """Set what Matplotlib would fail on: figures are drawn to files, whatever backend the account is set up for."""
    os.environ["MPLBACKEND"] = "agg"
    if not os.environ.get("SOURCE_DATE_EPOCH", "0").isdecimal():
        del os.environ["SOURCE_DATE_EPOCH"]


def _invoke(arguments: Sequence[str]) -> int:
    command = build()
    try:
        if COMPLETE in os.environ:
            command.main(list(arguments), prog_name="matinee", complete_var=COMPLETE)
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
def _signals() -> Iterator[list[KeyboardInterrupt]]:
    """SIGTERM stops a command as Ctrl+C does, so that a checkpoint is written. Yields what arrived.

    An ignored signal stays ignored; outside the main thread, signals are left as they are.
    """
    arrived: list[KeyboardInterrupt] = []

    def stop(number: int, frame: FrameType | None) -> None:
        arrived.append(Terminated() if number == signal.SIGTERM else KeyboardInterrupt())
        raise arrived[-1]

    ours = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN]
    before = {}
    try:
        for number in ours if threading.current_thread() is threading.main_thread() else []:
            before[number] = signal.signal(number, stop)
        yield arrived
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
