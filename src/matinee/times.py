"""Times and durations as text."""

import math
import re
from datetime import UTC, datetime, timedelta

from matinee.errors import MatineeError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = r"(?:\d+\.?\d*|\.\d+)"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def format_time(seconds: int) -> str:
    """UTC seconds as an ISO date and time, or as a plain number outside the years 1 to 9999."""
    try:
        return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    except OverflowError:
        return str(seconds)


def parse_duration(text: str, where: str) -> int:
    """Seconds in a duration such as `90s`, `30m`, `1.5h`, `1d`, `1h30m` or a plain number of seconds.

    Raises MatineeError with `where` if the text is not a duration of at least one second.
    """
    plain = text.strip().lower().replace(" ", "")
    if not re.fullmatch(rf"({_NUMBER}[smhdw])+|{_NUMBER}", plain):
        raise MatineeError(f"{where} = {text!r} is not a duration; write a number of s, m, h or d, such as 1h or 30m")
    parts = re.findall(rf"({_NUMBER})([smhdw]?)", plain)
    seconds = math.floor(sum(float(number) * _UNITS[unit or "s"] for number, unit in parts))
    if seconds < 1:
        raise MatineeError(f"{where} = {text!r} is shorter than a second; give a duration such as 1h or 30m")
    return seconds


def format_duration(seconds: float) -> str:
    """A duration in its largest fitting unit: `45 seconds`, `1 hour`, `1.5 hours`, `12 days`."""
    name, unit = next(
        (each for each in (("day", 86_400), ("hour", 3600), ("minute", 60)) if seconds >= each[1]), ("second", 1)
    )
    count = f"{seconds / unit:,.3g}" if seconds < 1000 * unit else f"{seconds / unit:,.0f}"
    return f"{count} {name}" if count == "1" else f"{count} {name}s"
