"""Moments: from what people write to UTC seconds, and back."""

import math
from datetime import UTC, datetime, timedelta

from matinee.errors import MatineeError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
