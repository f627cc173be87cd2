"""The types by which editors complete functions and settings."""

from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.mark.slow
def test_the_stub_is_what_the_functions_and_models_say(docs_script: Callable[[str], ModuleType]) -> None:
    writer = docs_script("write_stub")
    assert writer.STUB.read_text("utf-8") == writer.stub(), "run `python docs/write_stub.py`"
