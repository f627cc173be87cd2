"""What the operator of a site sees."""

from fastapi import APIRouter

from matinee.serve.operate import scrape

router = APIRouter(include_in_schema=False)
router.include_router(scrape.router)
