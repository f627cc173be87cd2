"""Filters against plain Python loops and the known sizes of real data."""

from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from matinee.catalogue import Catalogue
from matinee.config import FilterConfig, SplitConfig
from matinee.data.filters import apply_filters
from matinee.data.splits import split
from matinee.data.synthetic import zipf_log
from matinee.dataset import Dataset, Events
from matinee.errors import DataError, MatineeError
from matinee.reading.timestamps import parse_time
from matinee.times import format_time
from matinee.vocab import Vocab

RNG = np.random.default_rng(0)


def read(path: Path) -> Dataset:
    frame = pl.read_csv(path / "ratings.csv")
    users, items, values, times = (column.to_numpy() for column in frame)
    return dataset(users, items, values, times, name=path.name)


def dataset(users, items, values, times, name="made", timed=True) -> Dataset:
    known_users, user_rows = Vocab.index(np.asarray(users))
    known_items, item_rows = Vocab.index(np.asarray(items))
    events = Events.ordered(user_rows, item_rows, np.asarray(values, dtype=float), np.asarray(times))
    titles = Catalogue.of([f"Movie {i}" for i in known_items.ids.tolist()])
    return Dataset(name, known_users, known_items, events, titles, timed=timed)


def triples(data: Dataset) -> list[tuple]:
    events = data.events
    users, items = data.users.ids[events.user_rows].tolist(), data.items.ids[events.item_rows].tolist()
    return list(zip(users, items, events.values.tolist(), events.times.tolist(), strict=True))


def small_log() -> Dataset:
    """Nine events: user 1 has four, user 2 three, user 3 two; item 10 three, 20 three, 30 two, 40 one."""
    users = [1, 1, 1, 1, 2, 2, 2, 3, 3]
    items = [10, 20, 30, 40, 10, 20, 30, 10, 20]
    values = [5, 4, 3, 2, 1, 5, 4, 3, 0.1]
    return dataset(users, items, values, np.arange(9) * 86_400)


def plain_pass(rows, column, least):
    counts = Counter(row[column] for row in rows)
    return [row for row in rows if counts[row[column]] >= least]


def plain_filter(rows, least_user, least_item, order):
    if order == "users-items":
        return plain_pass(plain_pass(rows, 0, least_user), 1, least_item)
    if order == "items-users":
        return plain_pass(plain_pass(rows, 1, least_item), 0, least_user)
    while True:
        after = plain_pass(plain_pass(rows, 0, least_user), 1, least_item)
        if after == rows:
            return rows
        rows = after


@pytest.mark.parametrize("order", ["users-items", "items-users", "fixed-point"])
@pytest.mark.parametrize(("least_user", "least_item"), [(0, 15), (12, 0), (12, 12), (16, 12)])
def test_rare_users_and_items_are_dropped_as_by_a_plain_loop(order, least_user, least_item):
    data = zipf_log(120, 90, 2000, np.random.default_rng(3))
    config = FilterConfig(min_user_events=least_user, min_item_events=least_item, filter_order=order)
    wanted = plain_filter(triples(data), least_user, least_item, order)
    assert 0 < len(wanted) < 2000
    assert triples(apply_filters(data, config, rng=RNG)) == wanted


def test_filter_orders_differ_where_they_should():
    # items >= 2 drops item 40 (4th event of user 1), so no user has 4 events then; the other order keeps user 1
    data = dataset([1, 1, 1, 1, 2, 2, 2], [10, 20, 30, 40, 10, 20, 30], np.ones(7), np.arange(7))
    kept = apply_filters(data, FilterConfig(min_user_events=3, min_item_events=2), rng=RNG)
    assert len(kept.events) == 6
    config = FilterConfig(min_user_events=4, min_item_events=2, filter_order="items-users")
    with pytest.raises(DataError, match=r"min_user_events 4 .*items-users.* use min_user_events 3 or less"):
        apply_filters(data, config, rng=RNG)


def test_protocol_a_has_its_published_sizes(shared_data):
    config = FilterConfig(min_user_events=30, min_item_events=10, filter_order="fixed-point")
    kept = apply_filters(read(shared_data("movielens-small-2016-01")), config, rng=RNG)
    assert (len(kept.users), len(kept.items), len(kept.events)) == (529, 2285, 80_644)
    assert len(kept.catalogue) == 2285
    sizes = split(kept, SplitConfig(ratios=(0.70, 0.15, 0.15), seed=42)).sizes()
    assert sizes == {"train": 56_192, "valid": 11_856, "test": 12_596}
    assert kept.notes == (
        "min_user_events 30 and min_item_events 10 (fixed-point) dropped "
        "139 of 668 users, 8,040 of 10,325 items, 24,695 of 105,339 events",
    )


def test_since_is_inclusive_and_until_exclusive():
    kept = apply_filters(small_log(), FilterConfig(since="1970-01-03", until="1970-01-05T00:00:00Z"), rng=RNG)
    assert kept.events.times.tolist() == [2 * 86_400, 3 * 86_400]
    assert kept.notes == (
        "since 1970-01-03 and until 1970-01-05T00:00:00Z dropped 2 of 3 users, 2 of 4 items, 7 of 9 events",
    )


def test_min_value_is_inclusive_despite_float32_rounding():
    assert len(apply_filters(small_log(), FilterConfig(min_value=0.1), rng=RNG).events) == 9
    assert apply_filters(small_log(), FilterConfig(min_value=4), rng=RNG).events.values.tolist() == [5, 4, 5, 4]


def test_values_are_filtered_before_rare_users():
    # of user 1 three events reach 3, of user 2 two, of user 3 one
    kept = apply_filters(small_log(), FilterConfig(min_value=3, min_user_events=3), rng=RNG)
    assert kept.users.ids.tolist() == [1]
    assert len(kept.notes) == 2


def test_sampled_users_are_whole_and_follow_the_rng():
    data = zipf_log(50, 40, 400, np.random.default_rng(1))
    config = FilterConfig(sample_users=7)
    first = apply_filters(data, config, rng=np.random.default_rng(5))
    again = apply_filters(data, config, rng=np.random.default_rng(5))
    other = apply_filters(data, config, rng=np.random.default_rng(6))
    assert len(first.users) == 7
    assert first.users.ids.tolist() == again.users.ids.tolist() != other.users.ids.tolist()
    chosen = set(first.users.ids.tolist())
    assert triples(first) == [row for row in triples(data) if row[0] in chosen]
    assert apply_filters(data, FilterConfig(sample_users=50), rng=RNG) is data


def test_default_filters_change_nothing():
    data = small_log()
    assert apply_filters(data, FilterConfig(), rng=RNG) is data
    assert apply_filters(data, FilterConfig(min_user_events=2, min_item_events=1), rng=RNG).notes == ()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (FilterConfig(min_value=9), "min_value 9 leaves no event of made; the largest value is 5"),
        (FilterConfig(since="2001-01-01"), r"the log runs from 1970-01-01T00:00:00Z to 1970-01-09T00:00:00Z"),
        (FilterConfig(min_user_events=99), "with min_item_events 0, use min_user_events 4 or less"),
        (FilterConfig(min_item_events=99), "use min_item_events 3 or less"),
        (
            FilterConfig(min_user_events=4, min_item_events=3, filter_order="fixed-point"),
            "with min_item_events 3, use min_user_events 2 or less",
        ),
    ],
)
def test_a_filter_that_leaves_nothing_suggests_a_limit(config, message):
    with pytest.raises(DataError, match=message) as caught:
        apply_filters(small_log(), config, rng=RNG)
    assert "\n" not in str(caught.value)


def test_date_filters_need_times_and_valid_dates():
    untimed = dataset([1, 2], [1, 2], [1, 1], [0, 0], timed=False)
    with pytest.raises(DataError, match="made has no times, so since 2015-01-01 cannot be applied"):
        apply_filters(untimed, FilterConfig(since="2015-01-01"), rng=RNG)
    with pytest.raises(MatineeError, match="until = 'last week' is not a date or time; write an ISO date"):
        apply_filters(small_log(), FilterConfig(until="last week"), rng=RNG)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02", 86_400),
        ("2015-06-30T18:00:00Z", 1_435_687_200),
        ("2015-06-30T20:00:00+02:00", 1_435_687_200),
        ("2015-06-30 18:00:00", 1_435_687_200),
        ("1970-01-01T00:00:00.5", 1),
        ("1969-12-31", -86_400),
        ("2015-06-30T18", 1_435_687_200),
        ("2015-W27-2", 1_435_622_400),
        ("20150630", 1_435_622_400),
        ("2015/06/30", 1_435_622_400),
    ],
)
def test_parse_time_and_format_time(text, seconds):
    assert parse_time(text, "since") == seconds
    assert parse_time(format_time(seconds), "since") == seconds
