"""The audit against hand-worked numbers and scipy, its figure, and the synthetic logs."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from matinee.catalogue import Catalogue
from matinee.config import ColumnsConfig, SplitConfig
from matinee.data.audit import audit, strict_problems
from matinee.data.loading import load
from matinee.data.sessions import session_starts
from matinee.data.splits import split
from matinee.data.statistics import Summary, count_of, gini, rank_correlation, top_share
from matinee.data.synthetic import cycle, missing_item, two_groups, zipf_log
from matinee.dataset import Dataset, Events
from matinee.report.audit_plot import draw_audit, plot_audit
from matinee.vocab import Vocab

HOUR = 3600


def dataset(rows, timed=True, kind="rating") -> Dataset:
    users, items, values, times = (np.array(column) for column in zip(*rows, strict=True))
    known_users, user_rows = Vocab.index(users)
    known_items, item_rows = Vocab.index(items)
    events = Events.ordered(user_rows, item_rows, values.astype(float), times)
    titles = Catalogue.of(["?"] * len(known_items))
    return Dataset("made", known_users, known_items, events, titles, kind=kind, timed=timed)


def small_log() -> Dataset:
    """Two users, four items, eight events; user 1 pauses once, and user 2 has item 2 twice."""
    return dataset(
        [
            (1, 1, 5, 0),
            (1, 2, 4, HOUR),  # exactly the gap: the same session
            (1, 3, 3, 2 * HOUR + 1),
            (2, 1, 2, 100),
            (2, 2, 4, 200),
            (2, 2, 4, 10 * HOUR),
            (2, 4, 1, 10 * HOUR + 5),
            (2, 1, 1, 10 * HOUR + 9),
        ]
    )


def test_audit_statistics_by_hand():
    found = audit(small_log())
    assert (found.users, found.items, found.events) == (2, 4, 8)
    assert found.density == 1.0
    assert found.duplicates == 2
    assert found.user_events == Summary(3, 3.5, 4, 4, 4.5, 4.9, 5)
    assert found.item_events == Summary(1, 1, 2, 2, 3, 3, 3)
    assert found.top1_share == found.top10_share == 3 / 8
    # x = 1 1 3 3, weights -3 -1 1 3: (-3 - 1 + 3 + 9) / (4 * 8)
    assert found.gini == pytest.approx(8 / 32)
    assert found.time is not None
    assert (found.time.first, found.time.last) == ("1970-01-01T00:00:00Z", "1970-01-01T10:00:09Z")
    assert found.time.sessions == 4
    assert found.time.sessions_per_user == 2
    assert found.time.session_events.median == 2  # 2 1 2 3
    # in time: items 1 1 2 2 | 3 2 4 1, so 2 of the later 4 are on items 3 and 4
    assert found.time.drift_unseen == 0.5
    assert found.time.drift_correlation == rank_correlation(np.array([2, 2, 0, 0]), np.array([1, 1, 1, 1]))


def test_audit_of_parts_by_hand():
    # leave-last: user 1 keeps item 1 in train; user 2 keeps 1 2 2, its valid is item 4, its test item 1 again
    cut = split(small_log(), SplitConfig(split="leave-last"))
    found = audit(cut.data, cut)
    valid, test = found.parts
    assert found.train_events == 4
    assert (valid.events, valid.targets, valid.users, valid.items) == (2, 2, 2, 2)
    assert (valid.cold_users, valid.cold_items, valid.repeated) == (0, 1, 0)  # item 4 is not in train
    assert (test.cold_users, test.cold_items, test.repeated) == (0, 1, 1)  # item 3 is not; user 2 has 1 already
    assert (valid.older_than_train, valid.older_than_own) == (
        1,
        0,
    )  # user 1's item 2 is older than user 2's second item 2
    assert (test.older_than_train, test.older_than_own) == (1, 0)


@pytest.mark.parametrize("seed", range(5))
def test_rank_correlation_equals_scipy(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.poisson(3, 50), rng.poisson(2, 50)
    assert rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic, abs=1e-12)


def test_rank_correlation_of_a_constant_is_undefined():
    assert rank_correlation(np.array([1, 1]), np.array([1, 2])) is None
    assert rank_correlation(np.array([1]), np.array([2])) is None


def test_gini_and_top_shares_in_extreme_cases():
    assert gini(np.full(10, 7)) == 0
    assert gini(np.array([0] * 99 + [5])) == pytest.approx(0.99)
    counts = np.random.default_rng(0).poisson(4, 30)
    differences = np.abs(counts[:, None] - counts[None, :]).sum()  # the definition by all pairs
    assert gini(counts) == pytest.approx(differences / (2 * 30 * 30 * counts.mean()))
    assert top_share(np.arange(1, 101), 0.1) == sum(range(91, 101)) / 5050
    assert top_share(np.array([3, 1]), 0.01) == 0.75


def test_percent_never_rounds_to_zero_or_one_hundred():
    assert count_of(9999, 10_000) == "9,999 of 10,000 (99.9%)"
    assert count_of(1, 10_000) == "1 of 10,000 (0.1%)"
    assert count_of(0, 0) == "0 of 0 (0%)"


def test_a_session_never_spans_two_users():
    events = dataset([(1, 1, 1, 0), (1, 2, 1, 10), (2, 1, 1, 11), (2, 2, 1, 12)]).events
    assert session_starts(events).tolist() == [True, False, True, False]
    assert session_starts(events.take(np.arange(0))).tolist() == []


def test_json_and_rows_agree():
    data = zipf_log(80, 60, 800, np.random.default_rng(0))
    found = audit(data, split(data, SplitConfig()))
    plain = json.loads(json.dumps(found.to_json()))
    assert plain["events"] == 800
    assert [part["name"] for part in plain["parts"]] == ["valid", "test"]
    assert plain["parts"][1]["targets"] == found.parts[1].targets
    assert plain["time"]["sessions"] == found.time.sessions
    assert "curves" not in plain
    rows = dict(found.rows())
    assert rows["events"] == "800"
    assert rows["test: targets older than train"].startswith(
        f"{found.parts[1].older_than_train:,} of {found.parts[1].targets:,}"
    )


def test_strict_lists_each_leak_and_accepts_a_split_by_time():
    data = zipf_log(80, 60, 800, np.random.default_rng(0))
    assert len(strict_problems(split(data, SplitConfig()))) == 2
    assert strict_problems(split(data, SplitConfig(split="time"))) == []


def titles(found) -> list[str]:
    return [axes.get_title(loc="left") for axes in plot_audit(found).axes]


def test_panels_depend_on_the_data():
    data = zipf_log(80, 60, 800, np.random.default_rng(0))
    counts, time, parts = "Events per user and per item", "Events over time", "Events of each part"
    cut = split(data, SplitConfig())
    assert titles(audit(data, cut)) == [counts, time, "Values", "Popularity drift", parts, "Cold starts and leaks"]
    assert titles(audit(data)) == [counts, time, "Values", "Popularity drift", "Concentration", "Sessions"]
    untimed = replace(data, timed=False)
    assert titles(audit(untimed)) == [counts, "Values", "Concentration"]


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_figure_is_written(tmp_path, suffix):
    data = replace(cycle(), name="영화 $1 & 映画")
    draw_audit(audit(data, split(data, SplitConfig(split="new-users"))), tmp_path / f"audit{suffix}")
    assert (tmp_path / f"audit{suffix}").stat().st_size > 5000


@pytest.mark.parametrize("timed", [True, False])
def test_audit_of_a_minimal_log(tmp_path, timed):
    found = audit(dataset([(1, 1, 3, 5)], timed=timed))
    assert found.gini == 0
    assert json.dumps(found.to_json())
    assert found.rows()
    draw_audit(found, tmp_path / "audit.png")
    same_time = dataset([(user, item, 3, 5) for user in range(3) for item in range(4)])
    draw_audit(audit(same_time, split(same_time, SplitConfig())), tmp_path / "audit.png")


def test_audit_of_an_empty_log_raises():
    data = dataset([(1, 1, 3, 5)])
    with pytest.raises(ValueError, match="no events"):
        audit(data.keep(np.array([False])))


def test_two_groups_leave_out_one_item_per_user():
    data = two_groups(24, 12)
    watched = data.events
    assert (watched.user_rows % 2 == watched.item_rows % 2).all()
    assert np.bincount(watched.user_rows).tolist() == [5] * 24
    assert np.bincount(watched.item_rows).tolist() == [10] * 12
    for user in range(24):
        own = set(watched.item_rows[watched.user_rows == user].tolist())
        assert {item for item in range(12) if item % 2 == user % 2} - own == {missing_item(np.array(user), 12)}
    with pytest.raises(ValueError, match="even"):
        two_groups(5, 12)


def test_cycle_wraps_around():
    data = cycle(60, 12, 6)
    items = data.events.item_rows.reshape(60, 6)
    assert (np.diff(items) % 12 == 1).all()
    assert items[:, 0].tolist() == [user % 12 for user in range(60)]
    assert np.bincount(data.events.item_rows).tolist() == [30] * 12
    answers = (np.arange(60) + 6) % 12
    assert not (items == answers[:, None]).any()
    with pytest.raises(ValueError, match="shorter than the cycle"):
        cycle(4, 3, 3)


def test_zipf_log_is_realistic():
    data = zipf_log(2000, 1000, 60_000, np.random.default_rng(0))
    found = audit(data)
    assert (found.users, found.items, found.events, found.duplicates) == (2000, 1000, 60_000, 0)
    # as in MovieLens 1M: Gini 0.63, heavy users, sessions of many events
    assert 0.55 < found.gini < 0.75
    assert found.user_events.p95 > 3 * found.user_events.median
    assert 1.5 < found.time.session_events.mean < 30
    assert set(np.unique(data.events.values)) <= {step / 2 for step in range(1, 11)}
    again = zipf_log(2000, 1000, 60_000, np.random.default_rng(0))
    assert again.fingerprint == data.fingerprint
    with pytest.raises(ValueError, match="too many"):
        zipf_log(10, 10, 90, np.random.default_rng(0))


def test_zipf_log_has_tastes():
    # 6 of 10 draws are of the user's own genre of twelve; without tastes the top genre would have about a sixth of 40
    data = zipf_log(600, 2400, 24_000, np.random.default_rng(0))
    genres = np.zeros((600, 12))
    np.add.at(genres, (data.events.user_rows, data.events.item_rows % 12), 1)
    busy = genres[genres.sum(axis=1) >= 20]
    assert len(busy) > 200
    assert (busy.max(axis=1) / busy.sum(axis=1)).mean() > 0.4


def test_parts_that_a_split_does_not_have_are_left_out(tmp_path):
    data = zipf_log(60, 40, 500, np.random.default_rng(1))
    for ratios, parts in (((0.8, 0.0, 0.2), ["test"]), ((0.8, 0.2, 0.0), ["valid"]), ((1.0, 0.0, 0.0), [])):
        found = audit(data, split(data, SplitConfig(ratios=ratios)))
        assert [part.name for part in found.parts] == parts
        assert [part["name"] for part in found.to_json()["parts"]] == parts
        assert list(found.curves.over_time) == ["train", *parts]
        absent = {"valid", "test"} - set(parts)
        assert not any(label.split(":")[0] in absent for label, _ in found.rows())
    draw_audit(found, tmp_path / "audit.png")


def test_the_json_says_what_was_read(tmp_path):
    (tmp_path / "log.csv").write_text("User-ID;ISBN;Loved\n1;2;3\n1;;4\n2;2;5\n")
    data = load(tmp_path / "log.csv", ColumnsConfig(value="Loved", drop_blank=True))
    found = audit(data).to_json()
    (read,) = json.loads(json.dumps(found["read"]))
    assert read["columns"] == {"user": "User-ID", "item": "ISBN", "value": "Loved", "time": None}
    assert (read["unused"], read["dropped"]) == ([], {"no item": 1})
    assert found["notes"] == [
        "columns: user=User-ID, item=ISBN, value=Loved, time=none",
        "dropped 1 of 3 lines: no item 1",
    ]
