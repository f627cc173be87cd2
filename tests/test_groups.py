"""Which tests go to one worker."""

from pathlib import Path

import pytest

from groups import group_of
from quick_tests import LIST


@pytest.mark.parametrize(
    ("node_id", "group"),
    [
        ("tests/contract/test_every_model.py::test_3[lightgcn]", "model lightgcn"),
        ("tests/contract/test_every_model.py::test_9[item-knn]", "model item-knn"),
        ("tests/serve/test_parity.py::test_200_visitors[mult-vae]", "model mult-vae"),
        ("tests/contract/test_every_model.py::test_all", "tests/contract/test_every_model.py"),
        ("tests/reference/test_x.py::test_y[lightgcn]", "tests/reference/test_x.py"),
        ("tests/browser/test_site.py::test_y", "browser"),
    ],
)
def test_a_model_the_browser_or_a_file(node_id: str, group: str) -> None:
    assert group_of(node_id) == group


def test_every_test_that_quick_leaves_out_is_there() -> None:
    for name in LIST.read_text().splitlines()[1:]:
        file, _, test = name.partition("::")
        assert f"def {test.rpartition('::')[2]}(" in (Path(__file__).parent / file).read_text(), name
