"""The JSON API, version 1, of users and items. It takes ids, and returns ids and titles."""

from fastapi import APIRouter, Depends

from matinee.serve.api import asked_lists, event_batches, events, health, items, lists, users
from matinee.serve.api.dependencies import get_key

router = APIRouter()
for part in (asked_lists, lists, events, event_batches, users, items):
    router.include_router(part.router, dependencies=[Depends(get_key)])  # a wrong key is refused everywhere
router.include_router(health.router)
