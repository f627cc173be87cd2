"""Members: signing up, logging in and out, passwords, sessions, leaving. No HTTP, no SQL, no words.

What is refused is told as a key of the texts (`account.refused.KEY`).
"""

import secrets
import threading
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from matinee.histories import UserId
from matinee.serve.accounts.rate_limit import Throttle, network_of
from matinee.serve.accounts.sessions import hashed
from matinee.store.protocols import AccountBook, Identity, Member, Session

SHORTEST, LONGEST = 8, 200
"""Bytes of a password in UTF-8, after NFC. There are no rules of composition: length is what counts."""
NAME_LETTERS = 40
ACCOUNT_TRIES, ADDRESS_TRIES, TRIES_SECONDS = 10, 50, 900
"""Wrong passwords for a name, and tries to log in from an address, in a quarter of an hour."""
SIGN_UPS, SIGN_UPS_SECONDS = 30, 3600
"""New members from an address in an hour."""
AT_ONCE, PATIENCE = 2, 5.0
"""Passwords hashed at a time (64 MB and a core each), and the seconds that further ones wait for their turn."""
REMEMBERED = 60 * 86_400
"""Seconds after which a session that was not used is deleted."""
DEVICE_LETTERS = 60


class RefusedError(Exception):
    """What cannot be done, as a key of the texts; seconds: when it may be tried again."""

    def __init__(self, key: str, seconds: int = 0) -> None:
        super().__init__(key)
        self.key, self.seconds = key, seconds


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a request came from. token: of the session it brought, None without; address: as the server saw it."""

    token: str | None = field(repr=False)
    address: str
    device: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A session just opened; token: for its cookie and for nothing else."""

    token: str = field(repr=False)
    who: Identity


class Accounts:
    """The members of a site.

    clock: UTC seconds; hasher: argon2id with its authors' settings, unless given.
    """

    def __init__(self, book: AccountBook, clock: Callable[[], float], hasher: PasswordHasher | None = None) -> None:
        self._book, self._clock = book, clock
        self._hasher = hasher or PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_urlsafe())  # what an unknown name is checked against
        self._by_name = Throttle(clock, ACCOUNT_TRIES, TRIES_SECONDS)
        self._by_address = Throttle(clock, ADDRESS_TRIES, TRIES_SECONDS)
        self._sign_ups = Throttle(clock, SIGN_UPS, SIGN_UPS_SECONDS)
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    def sign_up(self, name: str, password: str, caller: Caller) -> Opened:
        """Make a member of whoever asks; a guest brings along all they did. Raises RefusedError."""
        shown, key = name_of(name), name_key(name)
        secret = require_fit(password)
        if name_key(password) == key:
            raise RefusedError("password_is_name")
        self._require_turn(self._sign_ups, network_of(caller.address))
        if self._book.member_named(key) is not None:
            return self._again(name, password, caller)
        now = int(self._clock())
        member = Member(f"member-{secrets.token_urlsafe(16)}", shown, self._hash(secret), now, now)
        opened, session = self._new_session(member, caller, now)
        if not self._book.add_member(member, key, session, _guest(caller)):
            return self._again(name, password, caller)
        return opened

    def log_in(self, name: str, password: str, caller: Caller) -> Opened:
        """Open a session for a member; a guest brings along all they did. Raises RefusedError.

        A wrong name and a wrong password get the same answer in the same time.
        """
        member = self._check(name_key(name), password, caller)
        opened, session = self._new_session(member, caller, int(self._clock()))
        self._end(caller, member)
        self._book.open_session(session, _guest(caller), session.created - REMEMBERED)
        return opened

    def log_out(self, who: Identity) -> None:
        """End the session; a guest has none to end."""
        if who.session_id is not None:
            self._book.close_sessions(who.user_id, only=who.session_id)

    def member(self, who: Identity) -> Member:
        """The member behind a session. Raises RefusedError for a guest."""
        found = self._book.member(who.user_id) if who.session_id else None
        if found is None:
            raise RefusedError("no_member")
        return found

    def change_password(self, who: Identity, old: str, new: str, caller: Caller) -> Opened:
        """Set a new password, end every session, and open another for whoever asks. Raises RefusedError."""
        member = self.member(who)
        secret = require_fit(new)
        if name_key(new) == name_key(member.name):
            raise RefusedError("password_is_name")
        self._check(name_key(member.name), old, caller)
        now = int(self._clock())
        self._book.set_password(member.user_id, self._hash(secret), now)
        self._book.close_sessions(member.user_id)
        opened, session = self._new_session(member, caller, now)
        self._book.open_session(session, None, now - REMEMBERED)
        return opened

    def sessions(self, who: Identity) -> list[Session]:
        """Where the member is logged in, the last used first. Empty for a guest."""
        return self._book.sessions(who.user_id) if who.session_id else []

    def revoke(self, who: Identity, session_id: str) -> int:
        """End one of one's own sessions; another's is not found. How many ended."""
        return self._book.close_sessions(self.member(who).user_id, only=session_id)

    def revoke_others(self, who: Identity) -> int:
        """End every session but this one. How many ended."""
        return self._book.close_sessions(self.member(who).user_id, but=who.session_id)

    def leave(self, who: Identity, password: str, caller: Caller) -> None:
        """Delete a member with everything they did. Raises RefusedError."""
        member = self.member(who)
        self._check(name_key(member.name), password, caller)
        self._book.forget(member.user_id)

    def _again(self, name: str, password: str, caller: Caller) -> Opened:
        """The second click on signing up, or a member who forgot being one: the right password opens a session."""
        try:
            return self.log_in(name, password, caller)
        except RefusedError as error:
            raise RefusedError("name_taken" if error.key == "wrong" else error.key, error.seconds) from None

    def everything(self, user_id: UserId) -> Iterator[dict[str, Any]]:
        """Every event that is kept of a guest or member."""
        return self._book.everything(user_id)

    def lists(self, user_id: UserId) -> Iterator[dict[str, Any]]:
        """Every list that a guest or member was shown."""
        return self._book.lists(user_id)

    def _check(self, key: str, password: str, caller: Caller) -> Member:
        """The member with this name and password. Raises RefusedError: wrong, too_often or busy."""
        address = network_of(caller.address)
        self._require_turn(self._by_address, address)
        try:
            self._require_turn(self._by_name, key)
        except RefusedError:
            self._by_address.give_back(address)
            raise
        member = self._book.member_named(key)
        secret = _bytes(password)
        fits = self._verify(member.password if member else self._nobody, secret[:LONGEST])
        if member is None or not fits or len(secret) > LONGEST:
            raise RefusedError("wrong")
        self._by_name.forgive(key)
        self._by_address.give_back(address)
        if self._hasher.check_needs_rehash(member.password):
            self._book.set_password(member.user_id, self._hash(secret))
        return member

    def _require_turn(self, throttle: Throttle, key: str) -> None:
        seconds = throttle.take(key)
        if seconds:
            raise RefusedError("too_often", seconds)

    def _hash(self, secret: bytes) -> str:
        self._wait()
        try:
            return self._hasher.hash(secret)
        finally:
            self._turns.release()

    def _verify(self, encoded: str, secret: bytes) -> bool:
        self._wait()
        try:
            return self._hasher.verify(encoded, secret)
        except (Argon2Error, InvalidHashError):
            return False
        finally:
            self._turns.release()

    def _wait(self) -> None:
        if not self._turns.acquire(timeout=PATIENCE):
            raise RefusedError("busy", int(PATIENCE))

    def _new_session(self, member: Member, caller: Caller, now: int) -> tuple[Opened, Session]:
        token, session_id = secrets.token_urlsafe(32), secrets.token_urlsafe(12)
        session = Session(member.user_id, session_id, caller.device[:DEVICE_LETTERS], now, now, hashed(token))
        return Opened(token, Identity(member.user_id, member.name, session_id, now)), session

    def _end(self, caller: Caller, member: Member) -> None:
        """End the member's session that this browser had until now: it gets another one."""
        who = self._book.who(hashed(caller.token)) if caller.token else None
        if who is not None and who.session_id is not None:
            self._book.close_sessions(who.user_id, only=who.session_id)


def name_of(name: str) -> str:
    """A name as it is shown. Raises RefusedError for one that is empty, too long or not made of letters on a line."""
    shown = " ".join(unicodedata.normalize("NFC", name).split())
    if not shown or len(shown) > NAME_LETTERS:
        raise RefusedError("name_length")
    if not shown.isprintable() or not any(letter.isalnum() for letter in shown):
        raise RefusedError("name_letters")
    return shown


def name_key(name: str) -> str:
    """What makes names the same: case, width and spaces do not count. Hashed, so every database compares it alike."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return sha256(" ".join(plain.split()).encode("utf-8", "surrogatepass")).hexdigest()


def require_fit(password: str) -> bytes:
    """A new password as it is hashed. Raises RefusedError if it is too short or too long."""
    secret = _bytes(password)
    if len(secret) < SHORTEST:
        raise RefusedError("password_short")
    if len(secret) > LONGEST:
        raise RefusedError("password_long")
    return secret


def device_of(user_agent: str) -> str:
    """Browser and system in two words, which is all that is kept of it; empty where neither is known."""
    browsers = (("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("Firefox", "Firefox"),
                ("FxiOS", "Firefox"), ("CriOS", "Chrome"), ("Chrome", "Chrome"), ("Safari", "Safari"))  # fmt: skip
    systems = (("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"),
               ("CrOS", "ChromeOS"), ("Mac OS X", "Mac"), ("Linux", "Linux"))  # fmt: skip
    found = [next((name for mark, name in marks if mark in user_agent), "") for marks in (browsers, systems)]
    return ", ".join(name for name in found if name)


def _bytes(password: str) -> bytes:
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _guest(caller: Caller) -> str | None:
    return hashed(caller.token) if caller.token else None
