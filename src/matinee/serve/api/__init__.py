"""The JSON API, version 1. It speaks of users and items; ids go in, ids and titles come out."""

from fastapi import APIRouter

from matinee.serve.api import events, health, items, lists

router = APIRouter()
for part in (lists, events, items, health):
    router.include_router(part.router)
