"""The pages: short routes over the engine and the log. Every page works without JavaScript.

A subject is a module with a `router`; its line in SUBJECTS puts its pages on the site.
"""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from matinee.serve.pages import (
    about,
    account,
    compare,
    erasing,
    home,
    item_map,
    lab,
    language,
    later,
    mine,
    models,
    movie,
    own_fits,
    people,
    search,
    sharing,
    tonight,
    transfer,
    why,
)

SUBJECTS = (
    home,
    tonight,
    search,
    movie,
    models,
    lab,
    own_fits,
    item_map,
    people,
    compare,
    why,
    later,
    mine,
    erasing,
    account,
    transfer,
    about,
    language,
    sharing,
)

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
for subject in SUBJECTS:
    router.include_router(subject.router)
