"""Dependencies of the routes of pages and API."""

from typing import Annotated

from fastapi import Depends, Request

from matinee.serve.site import Site


async def get_site(request: Request) -> Site:
    """The site that the application serves, the same one for the whole request."""
    if not hasattr(request.state, "resources"):
        request.state.resources = request.app.state.resources
    site: Site = request.state.resources.site
    return site


CurrentSite = Annotated[Site, Depends(get_site)]
