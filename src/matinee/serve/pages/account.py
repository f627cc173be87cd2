"""Members: signing up, logging in and out, and the account page."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from matinee.serve.accounts.members import Caller, NewSession, RefusedError, device_of
from matinee.serve.accounts.sessions import session_of
from matinee.serve.dependencies import CurrentSite
from matinee.serve.pages.context import Page, PageContext, own_path
from matinee.serve.pages.eraser import DONE, eraser
from matinee.store.protocols import Identity

Name = Annotated[str, Form(max_length=400)]
Password = Annotated[str, Form(max_length=2000)]
Next = Annotated[str, Form(alias="next", max_length=500)]
SIGN_IN_PATHS = ("/log-in", "/log-out", "/sign-up")
"""Nobody is sent back to these after logging in."""
STATUS = {"too_often": 429, "busy": 503}
"""The status of refusals for another reason than the form's content."""

router = APIRouter()


async def get_caller(request: Request) -> Caller:
    """Where the request comes from."""
    address = request.client.host if request.client else ""
    return Caller(session_of(request).token, address, device_of(request.headers.get("user-agent", "")))


def get_member(request: Request, site: CurrentSite) -> Identity | None:
    """The member whose session it is; None for guests and visitors without a session."""
    identity = site.visitors.identity(request)
    return identity if identity is not None and identity.session_id is not None else None


CurrentCaller = Annotated[Caller, Depends(get_caller)]
CurrentMember = Annotated[Identity | None, Depends(get_member)]


@router.get("/sign-up")
def sign_up_form(page: Page, member: CurrentMember, next: str = "/") -> Response:
    """The form for new members."""
    return _redirect(next, "/account") if member else _sign_in_page(page, "sign-up", next)


@router.get("/log-in")
def log_in_form(page: Page, member: CurrentMember, next: str = "/") -> Response:
    """The form for members."""
    return _redirect(next, "/account") if member else _sign_in_page(page, "log-in", next)


@router.post("/sign-up")
def sign_up(
    page: Page, caller: CurrentCaller, name: Name = "", password: Password = "", next_path: Next = "/"
) -> Response:
    """Become a member; a guest's events become the member's."""
    try:
        return _sign_in(page, page.site.accounts.sign_up(name, password, caller), next_path)
    except RefusedError as error:
        return _sign_in_page(page, "sign-up", next_path, name, error)


@router.post("/log-in")
def log_in(
    page: Page, caller: CurrentCaller, name: Name = "", password: Password = "", next_path: Next = "/"
) -> Response:
    """Open a session."""
    try:
        return _sign_in(page, page.site.accounts.log_in(name, password, caller), next_path)
    except RefusedError as error:
        return _sign_in_page(page, "log-in", next_path, name, error)


@router.post("/log-out")
def log_out(page: Page, member: CurrentMember) -> Response:
    """End the session. A guest, who could not come back, stays a guest."""
    response = RedirectResponse("/", status_code=303)
    if member is not None:
        page.site.accounts.log_out(member)
        page.site.visitors.close(page.request, response)
    return response


@router.get("/account")
def account(page: Page, member: CurrentMember) -> Response:
    """Name, password, sessions, data."""
    return _account_page(page, member) if member else _to_log_in()


@router.post("/account/password")
def change_password(
    page: Page, member: CurrentMember, caller: CurrentCaller, old: Password = "", new: Password = ""
) -> Response:
    """Set a new password; every other session ends."""
    if member is None:
        return _to_log_in()
    try:
        new_session = page.site.accounts.change_password(member, old, new, caller)
    except RefusedError as error:
        return _account_page(page, member, "password", error)
    return _sign_in(page, new_session, "/account?done=password")


@router.post("/account/sessions")
def end_sessions(page: Page, member: CurrentMember, session: Annotated[str, Form(max_length=100)]) -> Response:
    """End one session by its id, or all `others`."""
    if member is None:
        return _to_log_in()
    if session == member.session_id:
        return log_out(page, member)
    if session == "others":
        page.site.accounts.revoke_others(member)
    else:
        page.site.accounts.revoke(member, session)
    return RedirectResponse("/account?done=sessions", status_code=303)


@router.post("/account/delete")
def delete(page: Page, member: CurrentMember, caller: CurrentCaller, password: Password = "") -> Response:
    """Delete the member and all their events."""
    if member is None:
        return _to_log_in()
    response = RedirectResponse(DONE, status_code=303)
    try:
        page.site.accounts.leave(member, password, caller, eraser(page.request, response, page.site))
    except RefusedError as error:
        return _account_page(page, member, "delete", error)
    page.site.visitors.close(page.request, response)
    return response


def _sign_in(page: PageContext, new: NewSession, next_path: str) -> Response:
    response = _redirect(next_path)
    page.site.visitors.sign_in(page.request, response, new.token, new.identity)
    return response


def _sign_in_page(
    page: PageContext, form: str, next_path: str, name: str = "", refused: RefusedError | None = None
) -> Response:
    """The sign-up or log-in form, again with the reason if it was refused."""
    values = {"form": form, "next": _after(next_path), "name": name, "reason": _reason(page, refused)}
    return _answer(page, "sign_in.html", refused, **values)


def _account_page(page: PageContext, member: Identity, form: str = "", refused: RefusedError | None = None) -> Response:
    accounts = page.site.accounts
    return _answer(
        page,
        "account.html",
        refused,
        me=accounts.member(member),
        identity=member,
        sessions=accounts.sessions(member),
        form=form,
        reason=_reason(page, refused),
        done=page.request.query_params.get("done", ""),
    )


def _reason(page: PageContext, refused: RefusedError | None) -> str:
    if refused is None:
        return ""
    return page.texts(f"account.refused.{refused.key}", n=-(-refused.seconds // 60))


def _answer(page: PageContext, template: str, refused: RefusedError | None, **values: object) -> Response:
    response = page.respond(template, STATUS.get(refused.key, 422) if refused else 200, **values)
    if refused is not None and refused.seconds:
        response.headers["Retry-After"] = str(refused.seconds)
    return response


def _redirect(next_path: str, default: str = "/") -> Response:
    return RedirectResponse(_after(next_path, default), status_code=303)


def _after(next_path: str, default: str = "/") -> str:
    """Where to go after logging in."""
    path = own_path(next_path)
    return default if path == "/" or path.startswith(SIGN_IN_PATHS) else path


def _to_log_in() -> Response:
    return RedirectResponse("/log-in?next=/account", status_code=303)
