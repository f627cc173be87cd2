"""Deleting everything about a visitor: asked, said, and taken back within the hour."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from matinee.serve.dependencies import CurrentSite
from matinee.serve.pages.account import CurrentMember
from matinee.serve.pages.choices import forget_choices
from matinee.serve.pages.context import Page, Visitor
from matinee.serve.pages.eraser import DONE, eraser, forget_undo, undo_hash

router = APIRouter()


@router.get("/my/delete")
def ask(page: Page, visitor: Visitor, member: CurrentMember) -> Response:
    """What would be deleted, and the button that does it; members, who need their password, have it on another page."""
    if member is not None:
        return RedirectResponse("/account#delete", 303)
    n_lists = sum(1 for _ in page.site.accounts.lists(visitor.user_id)) if visitor.user_id else 0
    counts = {"watched": len(visitor.watched), "saved": len(visitor.for_later), "dismissed": len(visitor.dismissed)}
    return page.respond("delete.html", counts=counts | {"lists": n_lists}, n_watched=len(visitor.watched))


@router.post("/forget")
def forget(request: Request, site: CurrentSite) -> Response:
    """Delete a guest and all their events; a member, who needs a password for that, goes to the account page."""
    response = RedirectResponse(DONE, status_code=303)
    if not site.visitors.forget(request, response, eraser(request, response, site)):
        return RedirectResponse("/account#delete", 303)
    forget_choices(request, response)
    return response


@router.get(DONE)
def deleted(page: Page) -> Response:
    """What was deleted, and how to take it back."""
    site = page.site
    found = site.erasures.find(undo_hash(page.request), site.now())
    until = "" if found is None else datetime.fromtimestamp(found.until, UTC).strftime("%H:%M")
    return page.respond("deleted.html", found=found, until=until)


@router.post("/my/delete/undo")
def undo(request: Request, site: CurrentSite) -> Response:
    """Put back what this browser deleted within the last hour; a second click changes nothing."""
    now, current = site.now(), site.visitors.identity(request)
    restored = site.erasures.restore(undo_hash(request), now, current.user_id if current else None)
    if restored is None:
        return RedirectResponse(DONE, 303)
    is_member = site.book.member(restored) is not None
    is_same = current is not None and current.user_id == restored
    response = RedirectResponse("/log-in?next=/my" if is_member and not is_same else "/my", 303)
    forget_undo(request, response)
    if not is_member and not is_same:
        site.visitors.reopen(request, response, restored, now)
    return response
