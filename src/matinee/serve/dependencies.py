"""Dependencies of the routes of pages and API."""

from typing import Annotated

from fastapi import Depends, Request

from matinee.serve.site import Site


async def get_site(request: Request) -> Site:
    """The site that the application serves."""
    site: Site = request.app.state.site
    return site


CurrentSite = Annotated[Site, Depends(get_site)]
