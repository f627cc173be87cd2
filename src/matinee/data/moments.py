"""Moments and durations: from what people write to UTC seconds, and back."""

import math
import re
from datetime import UTC, datetime, timedelta

from matinee.errors import MatineeError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = r"(?:\d+\.?\d*|\.\d+)"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def moment(text: str, where: str) -> int:
    """UTC seconds of an ISO date or time, a part of a second rounded up; without an offset it is UTC.

    Raises MatineeError naming `where` if the text is neither.
    """
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        hint = "an ISO date or time such as 2015-06-30 or 2015-06-30T18:00:00Z"
        raise MatineeError(f"{where} = {text!r} is no moment; write {hint}") from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return math.ceil((at - _EPOCH) / timedelta(seconds=1))


def iso(seconds: int) -> str:
    """UTC seconds as an ISO date and time; as a plain number outside the years 1 to 9999."""
    try:
        return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    except OverflowError:
        return str(seconds)


def duration(text: str, where: str) -> int:
    """Seconds of a duration such as `90s`, `30m`, `1.5h`, `1d`, `1h30m` or a plain number of seconds.

    Raises MatineeError naming `where` if the text is none, or no time at all.
    """
    plain = text.strip().lower().replace(" ", "")
    if not re.fullmatch(rf"({_NUMBER}[smhdw])+|{_NUMBER}", plain):
        raise MatineeError(f"{where} = {text!r} is no duration; write a number of s, m, h or d, such as 1h or 30m")
    parts = re.findall(rf"({_NUMBER})([smhdw]?)", plain)
    seconds = math.floor(sum(float(number) * _UNITS[unit or "s"] for number, unit in parts))
    if seconds < 1:
        raise MatineeError(f"{where} = {text!r} is no time at all; give a pause such as 1h or 30m")
    return seconds


def span(seconds: float) -> str:
    """A duration in its largest fitting unit: `45 seconds`, `1 hour`, `1.5 hours`, `12 days`."""
    name, unit = next(
        (each for each in (("day", 86_400), ("hour", 3600), ("minute", 60)) if seconds >= each[1]), ("second", 1)
    )
    count = f"{seconds / unit:,.3g}" if seconds < 1000 * unit else f"{seconds / unit:,.0f}"
    return f"{count} {name}" if count == "1" else f"{count} {name}s"
