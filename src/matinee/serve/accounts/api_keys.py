"""API keys: making, checking and revoking them. No HTTP, no SQL.

A key is `matinee_`, its id (12 hexadecimal digits), `_`, and a secret of 256 random bits. Only the SHA-256 of the
secret is stored: a random secret of this length needs no salt and no slow hash.
"""

import hmac
import re
import secrets
from collections.abc import Callable, Sequence

from matinee.errors import UsageError, did_you_mean
from matinee.serve.accounts.sessions import hash_token
from matinee.store.api_keys import SCOPES, ApiKey, ApiKeyBook, Scope

NAME_LETTERS = 100
DAY = 86_400
LONGEST_DAYS = 36_500
_FORM = re.compile(r"matinee_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NO_SECRET = hash_token("")
"""What the secret of an unknown key is compared with, so that it takes as long."""


class ApiKeys:
    """The API keys of a site. clock: UTC seconds; saw_admin: whether a valid key of scope admin was found or made."""

    def __init__(self, book: ApiKeyBook, clock: Callable[[], float]) -> None:
        self._book, self._clock = book, clock
        self.saw_admin = False

    def create(self, name: str, scopes: Sequence[Scope], days: int | None = None) -> tuple[ApiKey, str]:
        """Make a key. days: until it expires, None for never. Returns it with its text, which is not stored.

        Raises UsageError for a name that is empty, long or unprintable, no scope, or an impossible number of days.
        """
        shown = " ".join(name.split())
        if not 0 < len(shown) <= NAME_LETTERS or not shown.isprintable():
            raise UsageError(f"the name of a key has 1 to {NAME_LETTERS} printable letters, such as: shop")
        if not scopes:
            raise UsageError(f"a key needs a scope: {', '.join(SCOPES)}")
        if days is not None and not 1 <= days <= LONGEST_DAYS:
            raise UsageError(f"--days {days}: a key is valid for 1 to {LONGEST_DAYS} days, or without it for ever")
        now = int(self._clock())
        expires = None if days is None else now + days * DAY
        key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        in_order = tuple(scope for scope in SCOPES if scope in scopes)
        key = ApiKey(key_id, shown, in_order, now, expires, secret_hash=hash_token(secret))
        self._book.add(key)
        self.saw_admin = self.saw_admin or key.allows("admin")
        return key, f"matinee_{key_id}_{secret}"

    def find(self, text: str) -> ApiKey | None:
        """The valid key with this text; None if there is none, or it is revoked or expired."""
        parts = _FORM.fullmatch(text)
        if parts is None:
            return None
        key = self._book.find(parts[1])
        is_same = hmac.compare_digest(key.secret_hash if key else _NO_SECRET, hash_token(parts[2]))
        if key is None or not is_same or not key.is_valid_at(int(self._clock())):
            return None
        self.saw_admin = self.saw_admin or key.allows("admin")
        return key

    def all(self) -> Sequence[ApiKey]:
        """Every key, the oldest first."""
        return self._book.all()

    def has(self, scope: Scope) -> bool:
        """Whether any valid key has a scope."""
        now = int(self._clock())
        return any(key.allows(scope) and key.is_valid_at(now) for key in self._book.all())

    def revoke(self, key_id: str) -> None:
        """End a key. Raises UsageError if there is no such key, or it was revoked before."""
        if not self._book.revoke(key_id, int(self._clock())):
            known = self._book.find(key_id[:100])
            reason = "it was revoked before" if known else "no key has this id; see `matinee keys list`"
            raise UsageError(f"the key {key_id[:100]!r} is not revoked: {reason}")


def read_scopes(text: str) -> list[Scope]:
    """The scopes in `read,write`. Raises UsageError for an unknown one."""
    names = [part.strip() for part in text.split(",") if part.strip()]
    for name in names:
        if name not in SCOPES:
            raise UsageError(f"no scope {name[:100]!r}{did_you_mean(name, SCOPES)}")
    return [scope for scope in SCOPES if scope in names]
