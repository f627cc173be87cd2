"""Traits of a log against plain counts."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from matinee.data import traits as module
from matinee.data.synthetic import cycle, two_groups, zipf_log
from matinee.data.traits import traits_of
from matinee.dataset import Dataset, Events
from matinee.workflow import events, keep


def log(rows: list[tuple[int, int, float, int]]) -> Dataset:
    """Events as they are: a read would drop repeats."""
    users, items, values, times = (np.array(column) for column in zip(*rows, strict=True))
    known = events({"user": users, "item": items, "value": values, "at": times})
    user_rows, item_rows = (np.unique(ids, return_inverse=True)[1] for ids in (users, items))
    return replace(known, events=Events.ordered(user_rows, item_rows, values, times))


def test_sizes_and_shares_are_those_of_a_plain_count() -> None:
    rows = [(1, 10, 4.0, 0), (1, 11, 4.0, 86_400), (1, 10, 4.0, 2 * 86_400), (2, 10, 4.0, 86_400), (3, 12, 4.0, 9)]
    found = traits_of(log(rows))
    assert (found.users, found.items, found.events, found.values) == (3, 3, 5, 1)
    assert found.density == pytest.approx(4 / 9)
    assert found.repeats == pytest.approx(1 / 5)
    assert (found.user_events, found.item_events) == (pytest.approx(5 / 3), pytest.approx(5 / 3))
    assert found.top_share == pytest.approx(3 / 5)
    assert found.days == pytest.approx(2)


def test_repeated_successors_are_those_of_a_plain_count() -> None:
    data = zipf_log(60, 30, 400, np.random.default_rng(3))
    pairs = Counter()
    of_user: dict[int, int] = {}
    for user, item in zip(data.events.user_rows.tolist(), data.events.item_rows.tolist(), strict=True):
        if user in of_user:
            pairs[of_user[user], item] += 1
        of_user[user] = item
    expected = sum(count for count in pairs.values() if count > 1) / sum(pairs.values())
    assert traits_of(data).successors == pytest.approx(expected)


def test_a_fixed_cycle_is_all_order_and_random_events_are_none() -> None:
    ordered, drawn = traits_of(cycle(60, 30, 10)), traits_of(zipf_log(200, 300, 3000, np.random.default_rng(1)))
    assert ordered.successors == 1
    assert ordered.order is not None
    assert ordered.order > 0.3
    assert drawn.order is not None
    assert abs(drawn.order) < 0.02


def test_cold_events_are_those_of_the_last_tenth_on_new_items() -> None:
    rows = [(user, item, 1.0, 10 * user + item) for user in range(9) for item in range(2)]
    rows += [(20, 7, 1.0, 1000), (20, 1, 1.0, 1001)]
    assert traits_of(log(rows)).cold == pytest.approx(1 / 2)  # of 20 events the last 2: items 7 and 1


@pytest.mark.parametrize("times", ["none", "equal"])
def test_without_times_nothing_is_said_of_order(times: str) -> None:
    columns = {"user": [1, 1, 2, 2], "item": [1, 2, 1, 2]} | ({"at": [5, 5, 5, 5]} if times == "equal" else {})
    found = traits_of(events(columns))
    assert not found.timed
    assert found.order is found.successors is found.cold is found.days is None


def test_one_user_one_event_and_repeats_alone_are_measured() -> None:
    assert traits_of(log([(1, 1, 5.0, 3)])).order is None
    found = traits_of(log([(1, 1, 5.0, 3), (1, 1, 5.0, 4)]))
    assert (found.users, found.items, found.repeats, found.gini) == (1, 1, 0.5, 0)


def test_of_a_long_log_some_users_show_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    data = two_groups(60, 12)
    whole = traits_of(data)
    monkeypatch.setattr(module, "MOST_EVENTS", 100)
    some = traits_of(data)
    assert whole.successors is None or some.successors is not None
    assert (some.users, some.events) == (whole.users, whole.events)
    first_user = Events(*(column[: data.user_starts[1]] for column in columns_of(data)))
    assert module._end_of_user(first_user) == len(first_user)


def columns_of(data: Dataset) -> tuple[np.ndarray, ...]:
    return data.events.user_rows, data.events.item_rows, data.events.values, data.events.times


def test_no_events_are_refused() -> None:
    with pytest.raises(ValueError, match="no events"):
        traits_of(keep(two_groups(20, 12)).keep(np.zeros(0, dtype=np.int64)))
