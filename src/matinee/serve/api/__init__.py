"""The JSON API, version 1, of users and items. It takes ids, and returns ids and titles.

The routes of its parts stand in one router, side by side: FastAPI looks for the route of a request again in each router
that is included in another. Each part asks for the API key of a request (`get_key`), health aside, so that a wrong one
is refused everywhere.
"""

from fastapi import APIRouter

from matinee.serve.api import asked_lists, event_batches, events, health, items, lists, users

router = APIRouter()
for part in (lists, events, health, asked_lists, event_batches, users, items):
    router.routes.extend(part.router.routes)
