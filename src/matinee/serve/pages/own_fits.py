"""A visitor's own fits: a served model with other settings, fitted in their sight, its list beside the served one."""

import secrets
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from matinee.errors import MatineeError
from matinee.serve.accounts.rate_limit import network_of
from matinee.serve.accounts.sessions import cookie_path, secret_cookie
from matinee.serve.own_fits.fits import OwnFit, OwnFits, Refused
from matinee.serve.own_fits.process import STAGES
from matinee.serve.own_fits.settings import SettingError, can_be_fitted, fields_of, read_changes
from matinee.serve.pages.account import CurrentCaller
from matinee.serve.pages.context import OWN_FITS_COOKIE, Page, PageContext, Visitor
from matinee.serve.pages.errors import PageError, require_served
from matinee.serve.pages.listers import Side, lister_of_fit, listers_of, sides_of
from matinee.serve.pages.model_facts import as_text
from matinee.serve.pages.model_quality import CURVE_HEIGHT, CURVE_WIDTH, Curve, curves, curves_of, scale_of
from matinee.serve.visitor_state import VisitorState

LENGTH = 12

router = APIRouter()


async def get_form(request: Request) -> dict[str, str]:
    """The fields of the form, each with its last value."""
    return {name: value for name, value in (await request.form()).multi_items() if isinstance(value, str)}


@router.post("/lab/fits")
def begin(page: Page, caller: CurrentCaller, form: Annotated[dict[str, str], Depends(get_form)]) -> Response:
    """Begin a fit of `model` with the settings of the form; then to its page."""
    fits = _offered(page)
    name = form.get("model", "")
    require_served(name, page.site.engine.models)
    like = page.site.engine.artefacts[name]
    if not can_be_fitted(like):
        raise PageError("own.refused.model", 409, model=page.resources.model_cards[name].label)
    try:
        changes = read_changes(like, form)
    except SettingError as error:
        low, high = f"{error.field.low:g}", f"{error.field.high:g}"
        key = "own.refused.whole" if error.field.whole else "own.refused.value"
        raise PageError(key, name=error.field.name, value=error.value, low=low, high=high) from None
    if not changes:
        raise PageError("own.refused.same")
    seconds = fits.limit.take(network_of(caller.address))
    if seconds:
        raise PageError("account.refused.too_often", 429, n=-(-seconds // 60))
    owner = page.fits_owner or secrets.token_urlsafe(24)
    try:
        fit = fits.begin(owner, like, changes)
    except Refused as refused:
        fits.limit.refund(network_of(caller.address))
        raise PageError(f"own.refused.{refused.reason}", 429) from None
    response = RedirectResponse(f"/lab/fits/{fit.fit_id}", status_code=303)
    secure, path = page.request.url.scheme == "https", cookie_path(page.request)
    name = secret_cookie(page.request, OWN_FITS_COOKIE)
    response.set_cookie(name, owner, path=path, httponly=True, samesite="lax", secure=secure)
    return response


@router.post("/lab/fits/change")
def change(
    page: Page,
    fit_id: Annotated[str, Form(max_length=100)],
    action: Annotated[Literal["cancel", "keep", "discard", "home", "not_home"], Form()],
) -> Response:
    """Cancel a fit that runs, keep one for this session, use it for the home page or no longer, or throw it away."""
    fits = _offered(page)
    fit = _find(page, fit_id)
    if action == "discard":
        fits.throw_away(fit)
        return RedirectResponse(f"/models/{fit.like.name}#refit", status_code=303)
    if action == "cancel":
        fit.process.end()
    elif action == "not_home":
        fit.is_at_home = False
    elif fit.process.state == "done":
        fit.is_kept = True
        if action == "home":
            fits.put_at_home(fit)
    if action in ("home", "not_home"):
        return RedirectResponse("/#for-you", status_code=303)
    return RedirectResponse(f"/lab/fits/{fit.fit_id}", status_code=303)


@router.get("/lab/fits/{fit_id}")
def show(page: Page, visitor: Visitor, fit_id: str) -> Response:
    """A fit: how far it is, and once it is done how good, and its list beside that of the served model."""
    fit = _find(page, fit_id)
    process, name = fit.process, fit.like.name
    state = process.state  # once: it may end at any moment
    is_done = state == "done"
    sides: Sequence[Side] = _sides(page, visitor, fit) if is_done else ()
    scores = [side.lister.score for side in sides if side.lister.score is not None]
    progress = process.progress
    return page.respond(
        "own_fit.html",
        fit=fit,
        model=name,
        changes=[
            (each, as_text(getattr(fit.like.model.config, each)), as_text(fit.changes[each])) for each in fit.changes
        ],
        state=state,
        stages=STAGES,
        progress=progress,
        remaining=process.remaining(),
        limit=_offered(page).options.seconds,
        curves=curves(fit.artefact) if is_done else _curves_so_far(fit),
        curve_size=(CURVE_WIDTH, CURVE_HEIGHT),
        sides=sides,
        n_both=len(frozenset.intersection(*(side.rows for side in sides))) if sides else 0,
        scores=scores,
        is_same_split=is_done and fit.like.manifest.get("measured") == fit.artefact.manifest.get("measured"),
        scale=scale_of(scores),
        n_watched=len(visitor.watched),
    )


def refit_form(page: PageContext, name: str) -> dict[str, object] | None:
    """The values of the form on a model's page; None where no fit is offered."""
    site = page.site
    if site.own_fits is None or name not in site.engine.artefacts or not can_be_fitted(site.engine.artefacts[name]):
        return None
    label = page.resources.model_cards[name].label
    mine = site.own_fits.of(page.fits_owner)
    return {
        "fields": fields_of(site.engine.artefacts[name]),
        "mine": [(fit.fit_id, fit.label(label)) for fit in mine if fit.like.name == name],
        "seconds": site.own_fits.options.seconds,
    }


def _offered(page: PageContext) -> OwnFits:
    """The fits of the site. Raises PageError where it offers none."""
    if page.site.own_fits is None:
        raise PageError("own.refused.off", 404)
    return page.site.own_fits


def _find(page: PageContext, fit_id: str) -> OwnFit:
    """A fit of this visitor. Raises PageError for any other."""
    fit = _offered(page).find(page.fits_owner, fit_id)
    if fit is None:
        raise PageError("own.refused.gone", 404)
    return fit


def _sides(page: PageContext, visitor: VisitorState, fit: OwnFit) -> list[Side]:
    """The list of the served model, if it is still served, and that of the fit."""
    try:
        own = lister_of_fit(page, fit)
    except MatineeError:  # its files are damaged or gone
        raise PageError("own.refused.gone", 404) from None
    served = listers_of(page).get(fit.like.name)
    return sides_of(page, visitor, [served, own] if served else [own], LENGTH)


def _curves_so_far(fit: OwnFit) -> list[Curve]:
    try:
        return curves_of(fit.process.progress.curve)
    except ValueError:  # a loss that is not finite: the fit is about to say so
        return []
