"""The JSON API, version 1, of users and items. It takes ids, and returns ids and titles."""

from fastapi import APIRouter, Depends

from matinee.serve.api import events, health, items, lists
from matinee.serve.api.dependencies import get_key

router = APIRouter()
for part in (lists, events, items):
    router.include_router(part.router, dependencies=[Depends(get_key)])  # a wrong key is refused everywhere
router.include_router(health.router)
