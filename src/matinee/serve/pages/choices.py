"""What a visitor chose of how pages look, kept in cookies of this browser: no account and no database is needed."""

from fastapi import Request
from fastapi.responses import Response

from matinee.serve.accounts.sessions import cookie_path

PICKER, TONIGHT, LATER = "matinee_picker", "matinee_tonight", "matinee_later"
"""Whether the invitation to rate is closed; the filters of every row; whether films for later stay in lists."""
SECONDS = 365 * 86_400


def keep_choice(request: Request, response: Response, name: str, value: str) -> None:
    """Keep a choice for a year; an empty value deletes it."""
    path = cookie_path(request)
    if value:
        secure = request.url.scheme == "https"
        response.set_cookie(name, value, SECONDS, path=path, httponly=True, samesite="lax", secure=secure)
    else:
        response.delete_cookie(name, path=path)


def forget_choices(request: Request, response: Response) -> None:
    """Delete all choices."""
    for name in (PICKER, TONIGHT, LATER):
        keep_choice(request, response, name, "")
