"""A data frame in place of a data set, a split or ids: taken where it is clear, else one line with the call to make."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

import matinee as mt
from matinee.data.synthetic import two_groups

FRAME = pl.DataFrame({"user": [1, 1, 2], "item": [1, 2, 1]})
DATA = two_groups()


@pytest.mark.parametrize("given", [FRAME, FRAME.to_dict(), "log.csv", None, 7])
@pytest.mark.parametrize(
    "call",
    [
        mt.advise,
        mt.audit,
        mt.keep,
        mt.split,
        lambda given: mt.fit("ease", given),
        lambda given: mt.fit_auto("ease", given),
        lambda given: mt.evaluate("ease", given),
        lambda given: mt.compare(["ease"], given),
        lambda given: mt.tune("ease", given),
        lambda given: mt.replay(given, "ease"),
    ],
)
def test_what_is_no_data_set_is_refused_in_one_line(call: Callable[[Any], object], given: object) -> None:
    with pytest.raises(mt.MatineeError, match=r"takes? a .*; write mt\.") as raised:
        call(given)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 250


@pytest.mark.parametrize("given", [FRAME, {"user": [1]}, None, 7])
def test_load_takes_names_and_paths(given: Any) -> None:
    with pytest.raises(mt.MatineeError, match=r"not a \w+; write mt.events\(frame\)"):
        mt.load(given)


@pytest.mark.parametrize("title", [FRAME, ["Alien"], b"Alien", 7])
def test_what_is_no_title_is_not_printed_whole(title: Any) -> None:
    model = mt.fit("popularity", DATA)
    with pytest.raises(mt.MatineeError) as raised:
        mt.similar(model, title)
    assert "\n" not in str(raised.value)


def test_users_may_be_a_frame_with_a_column_of_them() -> None:
    model = mt.fit("popularity", DATA)
    expected = mt.recommend_all(model, users=[1, 2], k=3)
    assert mt.recommend_all(model, users=FRAME, k=3).equals(expected)
    assert mt.recommend_all(model, users=FRAME["user"], k=3).equals(expected)
    assert mt.recommend_all(model, users=FRAME["user"].to_numpy(), k=3).equals(expected)
    for wrong, said in (
        (7, r"write users=\[7\]"),
        ([[1, 2]], "not a list"),
        (pl.DataFrame({"a": [1], "b": [2]}), "named"),
    ):
        with pytest.raises(mt.MatineeError, match=said):
            mt.recommend_all(model, users=wrong, k=3)
