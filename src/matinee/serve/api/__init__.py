"""The JSON API, version 1, of users and items. It takes ids, and returns ids and titles."""

from fastapi import APIRouter

from matinee.serve.api import events, health, items, lists

router = APIRouter()
for part in (lists, events, items, health):
    router.include_router(part.router)
