"""Members: signing up, logging in and out, and the page of one's own account."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from matinee.serve.accounts.members import Caller, Opened, RefusedError, device_of
from matinee.serve.accounts.sessions import visit_of
from matinee.serve.pages.base import Frame, own_path
from matinee.serve.pages.i18n import texts_for
from matinee.store.protocols import Identity

Name = Annotated[str, Form(max_length=400)]
Password = Annotated[str, Form(max_length=2000)]
Next = Annotated[str, Form(max_length=500)]
DOORS = ("/log-in", "/log-out", "/sign-up")
"""Nobody is led back to these after passing them."""
STATUS = {"too_often": 429, "busy": 503}
"""What is refused for another reason than the form's content."""


class AccountPages:
    """Sign up, log in, log out; change the password, end sessions, leave."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._site = frame.site
        self._accounts = frame.site.accounts

    def add_to(self, router: APIRouter) -> None:
        """Add its routes."""
        router.get("/sign-up")(self.sign_up_form)
        router.post("/sign-up")(self.sign_up)
        router.get("/log-in")(self.log_in_form)
        router.post("/log-in")(self.log_in)
        router.post("/log-out")(self.log_out)
        router.get("/account")(self.account)
        router.post("/account/password")(self.change_password)
        router.post("/account/sessions")(self.end_sessions)
        router.post("/account/delete")(self.delete)

    def sign_up_form(self, request: Request, next: str = "/") -> Response:
        """The form for new members."""
        return self._door(request, "sign-up", next)

    def log_in_form(self, request: Request, next: str = "/") -> Response:
        """The form for members."""
        return self._door(request, "log-in", next)

    def sign_up(self, request: Request, name: Name = "", password: Password = "", next: Next = "/") -> Response:
        """Become a member, with all that was done as a guest."""
        try:
            opened = self._accounts.sign_up(name, password, caller_of(request))
        except RefusedError as error:
            return self._door(request, "sign-up", next, name, error)
        return self._let_in(request, opened, next)

    def log_in(self, request: Request, name: Name = "", password: Password = "", next: Next = "/") -> Response:
        """Open a session."""
        try:
            opened = self._accounts.log_in(name, password, caller_of(request))
        except RefusedError as error:
            return self._door(request, "log-in", next, name, error)
        return self._let_in(request, opened, next)

    def log_out(self, request: Request) -> Response:
        """End the session. A guest, who has none to come back to, stays one."""
        response = RedirectResponse("/", status_code=303)
        who = self._member(request)
        if who is not None:
            self._accounts.log_out(who)
            self._site.visitors.close(request, response)
        return response

    def account(self, request: Request) -> Response:
        """Name, password, sessions, data."""
        who = self._member(request)
        return self._account(request, who) if who else _to_log_in()

    def change_password(self, request: Request, old: Password = "", new: Password = "") -> Response:
        """Set a new password; every other session ends."""
        who = self._member(request)
        if who is None:
            return _to_log_in()
        try:
            opened = self._accounts.change_password(who, old, new, caller_of(request))
        except RefusedError as error:
            return self._account(request, who, "password", error)
        return self._let_in(request, opened, "/account?done=password")

    def end_sessions(self, request: Request, session: Annotated[str, Form(max_length=100)]) -> Response:
        """End one session by its id, or `others`."""
        who = self._member(request)
        if who is None:
            return _to_log_in()
        if session == who.session_id:
            return self.log_out(request)
        if session == "others":
            self._accounts.revoke_others(who)
        else:
            self._accounts.revoke(who, session)
        return RedirectResponse("/account?done=sessions", status_code=303)

    def delete(self, request: Request, password: Password = "") -> Response:
        """Delete the member and everything they did."""
        who = self._member(request)
        if who is None:
            return _to_log_in()
        try:
            self._accounts.leave(who, password, caller_of(request))
        except RefusedError as error:
            return self._account(request, who, "delete", error)
        response = RedirectResponse("/", status_code=303)
        self._site.visitors.close(request, response)
        return response

    def _member(self, request: Request) -> Identity | None:
        who = self._site.visitors.who(request)
        return who if who is not None and who.session_id is not None else None

    def _let_in(self, request: Request, opened: Opened, next: str) -> Response:
        response = RedirectResponse(_inside(next), status_code=303)
        self._site.visitors.give(request, response, opened.token, opened.who)
        return response

    def _door(
        self, request: Request, door: str, next: str, name: str = "", refused: RefusedError | None = None
    ) -> Response:
        if refused is None and self._member(request):
            return RedirectResponse(_inside(next, "/account"), status_code=303)
        values = {"door": door, "next": _inside(next), "name": name, "said": self._said(request, refused)}
        return self._answer(request, "account_door.html", refused, **values)

    def _account(
        self, request: Request, who: Identity, form: str = "", refused: RefusedError | None = None
    ) -> Response:
        return self._answer(
            request,
            "account.html",
            refused,
            me=self._accounts.member(who),
            who=who,
            sessions=self._accounts.sessions(who),
            form=form,
            said=self._said(request, refused),
            done=request.query_params.get("done", ""),
        )

    def _said(self, request: Request, refused: RefusedError | None) -> str:
        if refused is None:
            return ""
        return texts_for(request)(f"account.refused.{refused.key}", n=-(-refused.seconds // 60))

    def _answer(self, request: Request, template: str, refused: RefusedError | None, **values: object) -> Response:
        status = STATUS.get(refused.key, 422) if refused else 200
        page = self._frame.page(request, template, status, **values)
        if refused is not None and refused.seconds:
            page.headers["Retry-After"] = str(refused.seconds)
        return page


def caller_of(request: Request) -> Caller:
    """Where a request came from."""
    address = request.client.host if request.client else ""
    return Caller(visit_of(request).token, address, device_of(request.headers.get("user-agent", "")))


def _inside(next: str, instead: str = "/") -> str:
    path = own_path(next)
    return instead if path == "/" or path.startswith(DOORS) else path


def _to_log_in() -> Response:
    return RedirectResponse("/log-in?next=/account", status_code=303)
