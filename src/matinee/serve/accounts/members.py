"""Members: signing up, logging in and out, passwords, sessions, leaving. No HTTP, no SQL, no texts.

A refusal carries the key of its text (`account.refused.KEY`).
"""

import secrets
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from zxcvbn import zxcvbn  # type: ignore[import-untyped]

from matinee.histories import UserId
from matinee.serve.accounts.rate_limit import RateLimit, network_of
from matinee.serve.accounts.sessions import IDLE_SECONDS, hash_token
from matinee.serve.logs import note
from matinee.store.protocols import AccountBook, Identity, Member, Session

SHORTEST, LONGEST = 10, 200
"""Characters of a new password at least, and bytes in UTF-8 at most, after NFC. There are no rules of composition."""
EASY_GUESSES, ESTIMATED_LETTERS = 1e7, 40
"""A password that takes fewer guesses by zxcvbn's estimate of its first letters is refused as a common one."""
NAME_LETTERS = 40
ACCOUNT_TRIES, ADDRESS_TRIES, TRIES_SECONDS = 10, 50, 900
"""Wrong passwords for a name, and tries to log in from an address, in 15 minutes."""
SIGN_UPS, SIGN_UPS_SECONDS = 30, 3600
"""New members from an address in an hour."""
AT_ONCE, PATIENCE = 2, 5.0
"""Passwords hashed at a time (64 MB and a core each), and the seconds that others wait."""
DEVICE_LETTERS = 60


class RefusedError(Exception):
    """A refusal, as the key of a text; seconds: until the next try is allowed."""

    def __init__(self, key: str, seconds: int = 0) -> None:
        super().__init__(key)
        self.key, self.seconds = key, seconds


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a request comes from. token: of its session, if any; address: as the server sees it."""

    token: str | None = field(repr=False)
    address: str
    device: str


@dataclass(frozen=True, slots=True)
class NewSession:
    """A new session. token: for its cookie and nothing else."""

    token: str = field(repr=False)
    identity: Identity


class Accounts:
    """The members of a site.

    clock: UTC seconds; ticks: seconds of a clock that is never set back, for the limits; hasher: argon2id with its
    authors' settings, unless given.
    """

    def __init__(
        self,
        book: AccountBook,
        clock: Callable[[], float],
        hasher: PasswordHasher | None = None,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._book, self._clock = book, clock
        self._hasher = hasher or PasswordHasher()
        self._dummy_hash = self._hasher.hash(secrets.token_urlsafe())  # so that an unknown name takes as long
        self._by_name = RateLimit(ticks, ACCOUNT_TRIES, TRIES_SECONDS)
        self._by_address = RateLimit(ticks, ADDRESS_TRIES, TRIES_SECONDS)
        self._sign_ups = RateLimit(ticks, SIGN_UPS, SIGN_UPS_SECONDS)
        self._hashing = threading.BoundedSemaphore(AT_ONCE)

    def sign_up(self, name: str, password: str, caller: Caller) -> NewSession:
        """Make a new member; a guest's events become the member's. Raises RefusedError."""
        displayed, key = name_of(name), name_key(name)
        secret = check_password(password, displayed)
        self._require_try(self._sign_ups, network_of(caller.address), caller)
        if self._book.member_named(key) is not None:
            return self._log_in_instead(name, password, caller)
        now = int(self._clock())
        member = Member(f"member-{secrets.token_urlsafe(16)}", displayed, self._hash(secret), now, now)
        new_session, session = self._new_session(member, caller, now)
        if not self._book.add_member(member, key, session, _guest(caller)):
            return self._log_in_instead(name, password, caller)
        note("sign_up", user_id=member.user_id, address=caller.address)
        return new_session

    def log_in(self, name: str, password: str, caller: Caller) -> NewSession:
        """Open a session for a member; a guest's events become the member's. Raises RefusedError.

        A wrong name and a wrong password get the same answer after the same time.
        """
        member = self._check(name_key(name), password, caller)
        new_session, session = self._new_session(member, caller, int(self._clock()))
        self._end(caller, member)
        note("log_in", user_id=member.user_id, address=caller.address)
        self._book.open_session(session, _guest(caller), session.created - IDLE_SECONDS)
        return new_session

    def log_out(self, identity: Identity) -> None:
        """End the session, if it is a member's."""
        if identity.session_id is not None:
            self._book.close_sessions(identity.user_id, only=identity.session_id)
            note("log_out", user_id=identity.user_id)

    def member(self, identity: Identity) -> Member:
        """The member behind a session. Raises RefusedError for a guest."""
        found = self._book.member(identity.user_id) if identity.session_id else None
        if found is None:
            raise RefusedError("no_member")
        return found

    def change_password(self, identity: Identity, old: str, new: str, caller: Caller) -> NewSession:
        """Set a new password, end all sessions, and open a new one. Raises RefusedError."""
        member = self.member(identity)
        secret = check_password(new, member.name)
        self._check(name_key(member.name), old, caller)
        now = int(self._clock())
        self._book.set_password(member.user_id, self._hash(secret), now)
        self._book.close_sessions(member.user_id)
        new_session, session = self._new_session(member, caller, now)
        self._book.open_session(session, None, now - IDLE_SECONDS)
        note("password_changed", user_id=member.user_id, address=caller.address)
        return new_session

    def sessions(self, identity: Identity) -> list[Session]:
        """The member's sessions, the last used first. Empty for a guest."""
        return self._book.sessions(identity.user_id) if identity.session_id else []

    def revoke(self, identity: Identity, session_id: str) -> int:
        """End one of the member's own sessions. Returns how many ended: 0 for another member's."""
        note("sessions_ended", user_id=identity.user_id)
        return self._book.close_sessions(self.member(identity).user_id, only=session_id)

    def revoke_others(self, identity: Identity) -> int:
        """End every session but this one. Returns how many ended."""
        note("sessions_ended", user_id=identity.user_id)
        return self._book.close_sessions(self.member(identity).user_id, but=identity.session_id)

    def leave(self, identity: Identity, password: str, caller: Caller, erase: Callable[[str], object]) -> None:
        """Delete a member and all their events. erase: deletes a user by their id. Raises RefusedError."""
        member = self.member(identity)
        self._check(name_key(member.name), password, caller)
        erase(member.user_id)
        note("member_deleted", user_id=member.user_id, address=caller.address)

    def _log_in_instead(self, name: str, password: str, caller: Caller) -> NewSession:
        """Log in after a sign-up under an existing name, perhaps by a double click. Raises RefusedError."""
        try:
            return self.log_in(name, password, caller)
        except RefusedError as error:
            raise RefusedError("name_taken" if error.key == "wrong" else error.key, error.seconds) from None

    def everything(self, user_id: UserId) -> Iterator[dict[str, Any]]:
        """Every stored event of a guest or member."""
        return self._book.all_events(user_id)

    def lists(self, user_id: UserId) -> Iterator[dict[str, Any]]:
        """Every impression of a guest or member."""
        return self._book.lists(user_id)

    def _check(self, key: str, password: str, caller: Caller) -> Member:
        """The member with this name and password. Raises RefusedError: wrong, too_often or busy."""
        address = network_of(caller.address)
        self._require_try(self._by_address, address, caller)
        try:
            self._require_try(self._by_name, key, caller)
        except RefusedError:
            self._by_address.refund(address)
            raise
        member = self._book.member_named(key)
        secret = _bytes(password)
        matches = self._verify(member.password if member else self._dummy_hash, secret[:LONGEST])
        if member is None or not matches or len(secret) > LONGEST:
            note("log_in_failed", user_id=member.user_id if member else None, address=caller.address)
            raise RefusedError("wrong")
        self._by_name.reset(key)
        self._by_address.refund(address)
        if self._hasher.check_needs_rehash(member.password):
            self._book.set_password(member.user_id, self._hash(secret))
        return member

    def _require_try(self, throttle: RateLimit, key: str, caller: Caller) -> None:
        seconds = throttle.take(key)
        if seconds:
            note("throttled", address=caller.address)
            raise RefusedError("too_often", seconds)

    def _hash(self, secret: bytes) -> str:
        self._wait()
        try:
            return self._hasher.hash(secret)
        finally:
            self._hashing.release()

    def _verify(self, encoded: str, secret: bytes) -> bool:
        self._wait()
        try:
            return self._hasher.verify(encoded, secret)
        except (Argon2Error, InvalidHashError):
            return False
        finally:
            self._hashing.release()

    def _wait(self) -> None:
        if not self._hashing.acquire(timeout=PATIENCE):
            raise RefusedError("busy", int(PATIENCE))

    def _new_session(self, member: Member, caller: Caller, now: int) -> tuple[NewSession, Session]:
        token, session_id = secrets.token_urlsafe(32), secrets.token_urlsafe(12)
        session = Session(member.user_id, session_id, caller.device[:DEVICE_LETTERS], now, now, hash_token(token))
        return NewSession(token, Identity(member.user_id, member.name, session_id, now, now)), session

    def _end(self, caller: Caller, member: Member) -> None:
        """End the session that this browser had until now, because it gets a new one."""
        identity = self._book.identity(hash_token(caller.token)) if caller.token else None
        if identity is not None and identity.session_id is not None:
            self._book.close_sessions(identity.user_id, only=identity.session_id)


def name_of(name: str) -> str:
    """A name as displayed. Raises RefusedError if it is empty, too long, unprintable or without a letter or digit."""
    displayed = " ".join(unicodedata.normalize("NFC", name).split())
    if not displayed or len(displayed) > NAME_LETTERS:
        raise RefusedError("name_length")
    if not displayed.isprintable() or not any(letter.isalnum() for letter in displayed):
        raise RefusedError("name_letters")
    return displayed


def name_key(name: str) -> str:
    """Equal for names that differ only in case, width or spaces. Hashed, so that all databases compare it equally."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return sha256(" ".join(plain.split()).encode("utf-8", "surrogatepass")).hexdigest()


def check_password(password: str, name: str) -> bytes:
    """The bytes of a new password to hash.

    Raises RefusedError if it is too short or too long, the member's name, or easy to guess: zxcvbn knows 30,000 common
    passwords, words and names, and how people vary them.
    """
    secret = _bytes(password)
    if len(unicodedata.normalize("NFC", password)) < SHORTEST:
        raise RefusedError("password_short")
    if len(secret) > LONGEST:
        raise RefusedError("password_long")
    if name_key(password) == name_key(name):
        raise RefusedError("password_is_name")
    if zxcvbn(password[:ESTIMATED_LETTERS], user_inputs=[name, "matinee"])["guesses"] < EASY_GUESSES:
        raise RefusedError("password_common")
    return secret


def device_of(user_agent: str) -> str:
    """Browser and operating system, all that is stored of a User-Agent; empty if neither is known."""
    browsers = (("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("Firefox", "Firefox"),
                ("FxiOS", "Firefox"), ("CriOS", "Chrome"), ("Chrome", "Chrome"), ("Safari", "Safari"))  # fmt: skip
    systems = (("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"),
               ("CrOS", "ChromeOS"), ("Mac OS X", "Mac"), ("Linux", "Linux"))  # fmt: skip
    found = [next((name for mark, name in marks if mark in user_agent), "") for marks in (browsers, systems)]
    return ", ".join(name for name in found if name)


def _bytes(password: str) -> bytes:
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _guest(caller: Caller) -> str | None:
    return hash_token(caller.token) if caller.token else None
