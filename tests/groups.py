"""Which tests go to one worker."""

from matinee.models import MODELS

MODEL_FILES = ("tests/contract/", "tests/serve/test_parity.py")
"""Tests of one fitted model each, whose name is among their parameters."""
SHARED_FILES = ("tests/data/test_reader_fuzz.py",)
"""Files of a few long tests, which the workers share."""


def group_of(node_id: str) -> str:
    """Tests of a group go to one worker: those of a fitted model, those of the browser, else those of a file."""
    path, _, test = node_id.partition("::")
    if path.startswith(MODEL_FILES):
        names = f"-{test.partition('[')[2].removesuffix(']')}-"
        model = max((name for name in MODELS if f"-{name}-" in names), key=len, default="")
        return f"model {model}" if model else path
    if path in SHARED_FILES:
        return node_id
    if path.startswith("tests/test_cluster"):
        return "cluster"  # two clusters that start at once disturb each other
    return "browser" if path.startswith("tests/browser/") else path
