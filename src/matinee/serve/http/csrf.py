"""The token in every form, which proves that a page of this site made the form for this browser.

It is a keyed hash of the session's token. A page of another site cannot read the cookie, and so cannot make it; nothing
is stored, and visitors without a session have one too. Each page masks it with fresh random bytes, because an attacker
could otherwise guess it letter by letter from the size of the compressed page (BREACH).
"""

import base64
import binascii
import hmac
import secrets
from hashlib import sha256

from starlette.requests import Request

from matinee.errors import MatineeError
from matinee.serve.accounts.sessions import ensure_token, session_of
from matinee.serve.http.middleware import SAFE_METHODS

FIELD = "csrf"
_LENGTH = sha256().digest_size


class StaleForm(MatineeError):
    """A form without the token of its session."""


def form_token(token: str) -> str:
    """The form token of a session; a different string on each call."""
    mask = secrets.token_bytes(_LENGTH)
    return base64.urlsafe_b64encode(mask + _xor(mask, _proof(token))).decode().rstrip("=")


def is_genuine(sent: str, token: str) -> bool:
    """Whether a form token was made for this session."""
    try:
        raw = base64.urlsafe_b64decode(sent.encode("ascii") + b"==")
    except (UnicodeEncodeError, binascii.Error):
        return False
    return len(raw) == 2 * _LENGTH and hmac.compare_digest(_xor(raw[:_LENGTH], raw[_LENGTH:]), _proof(token))


def page_token(request: Request) -> str:
    """The token for the forms of a page; the response then needs `Visitors.keep_cookie`."""
    return form_token(ensure_token(request))


async def require_token(request: Request) -> None:
    """Dependency of all page routes. Raises StaleForm if a form lacks the token of the session that sends it."""
    if request.method in SAFE_METHODS:
        return
    token = session_of(request).token
    form = await request.form()
    sent = form.get(FIELD)
    if token is None or not isinstance(sent, str) or not is_genuine(sent, token):
        await form.close()
        raise StaleForm("this form is from an earlier visit; open the page again and send it once more")


def _proof(token: str) -> bytes:
    return hmac.digest(token.encode(), b"form", "sha256")


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(left, right, strict=True))
