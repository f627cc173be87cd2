"""What the pages' addresses ask for: a model, a movie, a rerank."""

from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from matinee.serve.dependencies import CurrentSite
from matinee.serve.pages.errors import find_movie_row, require_served
from matinee.serve.pages.rerank_form import RerankForm, read_rerank_form

NOVELTY = 0.25
"""Of the home page's list: without a measurable cost, and a quarter more of the catalogue (docs/serving.md)."""


async def get_served_model(request: Request, site: CurrentSite, model: str = "") -> str:
    """The model that the address asks for, else the visitor's default. Raises PageError if it is not served."""
    if model:
        require_served(model, site.engine.models)
        return model
    if site.options.experiment is None:
        return site.engine.default
    return site.default_for(await run_in_threadpool(site.visitors.user_id, request))


async def get_movie_row(site: CurrentSite, item_id: str) -> int:
    """The row of the movie in the path. Raises PageError for an unknown id."""
    return find_movie_row(site, item_id)


def get_rerank(request: Request, site: CurrentSite) -> RerankForm:
    """The rerank form as the address fills it in. Raises PageError for impossible values."""
    return read_rerank_form(request, site.catalogue)


def get_home_rerank(request: Request, site: CurrentSite) -> RerankForm:
    """The same for the home page, whose list is a little more obscure than the model's."""
    return read_rerank_form(request, site.catalogue, NOVELTY)


ServedModel = Annotated[str, Depends(get_served_model)]
MovieRow = Annotated[int, Depends(get_movie_row)]
HomeRerank = Annotated[RerankForm, Depends(get_home_rerank)]
AskedRerank = Annotated[RerankForm, Depends(get_rerank)]
