"""The token in every form: proof that a page of ours made the form, for this browser.

It is made from the session's token by a keyed hash, so a page of another site, which cannot read the cookie, cannot
make it; nothing has to be stored, and guests without a session have one too. Each page masks it anew, so that the
compressed page does not betray it letter by letter (BREACH).
"""

import base64
import binascii
import hmac
import secrets
from hashlib import sha256

from starlette.requests import Request

from matinee.errors import MatineeError
from matinee.serve.accounts.sessions import session_token, visit_of
from matinee.serve.http.middleware import SAFE_METHODS

FIELD = "csrf"
_LENGTH = sha256().digest_size


class StaleForm(MatineeError):
    """A form without the token of the session it came with."""


def form_token(token: str) -> str:
    """What a form carries for the session behind `token`; another string each time."""
    mask = secrets.token_bytes(_LENGTH)
    return base64.urlsafe_b64encode(mask + _xor(mask, _proof(token))).decode().rstrip("=")


def is_genuine(sent: str, token: str) -> bool:
    """Whether a form's token was made for this session."""
    try:
        raw = base64.urlsafe_b64decode(sent.encode("ascii") + b"==")
    except (UnicodeEncodeError, binascii.Error):
        return False
    return len(raw) == 2 * _LENGTH and hmac.compare_digest(_xor(raw[:_LENGTH], raw[_LENGTH:]), _proof(token))


def page_token(request: Request) -> str:
    """The value of the forms of a page; the response then needs `Visitors.keep`."""
    return form_token(session_token(request))


async def require_token(request: Request) -> None:
    """For every route that pages post to. Raises StaleForm without a token of the session that sends it."""
    if request.method in SAFE_METHODS:
        return
    token = visit_of(request).token
    form = await request.form()
    sent = form.get(FIELD)
    if token is None or not isinstance(sent, str) or not is_genuine(sent, token):
        await form.close()
        raise StaleForm("this form is from an earlier visit; open the page again and send it once more")


def _proof(token: str) -> bytes:
    return hmac.digest(token.encode(), b"form", "sha256")


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(left, right, strict=True))
