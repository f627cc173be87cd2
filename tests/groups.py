"""Which tests go to one worker."""

from matinee.models import MODELS

MODEL_FILES = ("tests/contract/", "tests/serve/test_parity.py")
"""Tests of one fitted model each, whose name is among their parameters."""


def group_of(node_id: str) -> str:
    """Tests of a group go to one worker: those of a fitted model, those of the browser, else those of a file."""
    path, _, test = node_id.partition("::")
    if path.startswith(MODEL_FILES):
        names = f"-{test.partition('[')[2].removesuffix(']')}-"
        model = max((name for name in MODELS if f"-{name}-" in names), key=len, default="")
        return f"model {model}" if model else path
    return "browser" if path.startswith("tests/browser/") else path
