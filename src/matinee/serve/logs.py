"""Two logs as JSON lines: each request, and what matters for security. Neither holds anything secret.

No cookie, password, key, token or form is logged, and no query, because it may hold a history. A line is one JSON
object whatever a request holds. Nothing is written unless `open_log` names a file; it may be moved away at any time, as
logrotate does.
"""

import json
import logging
import os
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Literal, get_args

from matinee.errors import MatineeError

Log = Literal["access", "security"]
LOGGERS: dict[Log, logging.Logger] = {name: logging.getLogger(f"matinee.{name}") for name in get_args(Log)}
for _logger in LOGGERS.values():
    _logger.propagate = False
    _logger.addHandler(logging.NullHandler())
SecurityEvent = Literal[
    "log_in", "log_in_failed", "throttled", "sign_up", "log_out", "password_changed", "sessions_ended",
    "member_deleted", "guest_deleted", "user_erased", "key_created", "key_revoked", "key_refused",
]  # fmt: skip


class _QuietFileHandler(WatchedFileHandler):
    """A file whose errors, such as a full disk, stop no request."""

    def handleError(self, record: logging.LogRecord) -> None:
        """See Handler."""


def open_log(name: Log, path: Path | None) -> None:
    """Write a log to the end of a file that only its owner reads, or to none. Raises MatineeError if it cannot be."""
    logger = LOGGERS[name]
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.addHandler(logging.NullHandler() if path is None else _file(name, path))
    logger.setLevel(logging.WARNING if path is None else logging.INFO)


def files() -> dict[Log, Path]:
    """The files of the logs that are written, for another process to write them too."""
    return {
        name: Path(handler.baseFilename)
        for name, logger in LOGGERS.items()
        for handler in logger.handlers
        if isinstance(handler, logging.FileHandler)
    }


def is_open(name: Log) -> bool:
    """Whether the log is written."""
    return LOGGERS[name].isEnabledFor(logging.INFO)


def write(name: Log, **fields: object) -> None:
    """Write a line with the time and these fields, None left out."""
    if is_open(name):
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        known = {field: value for field, value in fields.items() if value is not None}
        LOGGERS[name].info("%s", json.dumps({"at": at} | known))


def note(event: SecurityEvent, *, user_id: str | None = None, address: str | None = None, **more: object) -> None:
    """Write a line to the security log. user_id: of whom it is about, where that is known."""
    write("security", event=event, user_id=user_id, address=address or None, **more)


def _file(name: str, path: Path) -> logging.Handler:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
        return _QuietFileHandler(path, encoding="utf-8")
    except OSError as error:
        raise MatineeError(f"--{name}-log {path} cannot be written ({error.strerror})") from None
