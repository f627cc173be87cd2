"""What the operator of a site sees."""

from fastapi import APIRouter

from matinee.serve.operate import page, scrape

router = APIRouter(include_in_schema=False)
router.include_router(scrape.router)
router.include_router(page.router)
