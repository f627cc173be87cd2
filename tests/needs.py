"""What a test needs and a machine may lack."""

import os

import pytest


def require(present: bool, what: str) -> None:
    """Skip where a service is missing; fail instead where MATINEE_REQUIRE_ALL is set."""
    if present:
        return
    if os.environ.get("MATINEE_REQUIRE_ALL"):
        pytest.fail(f"{what} is required (MATINEE_REQUIRE_ALL is set) and missing")
    pytest.skip(f"{what} is missing")
