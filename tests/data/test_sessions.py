"""Sessions against a plain loop and hand-worked numbers, their audit and its figure, and invalid settings."""

import json

import numpy as np
import pytest

from matinee.catalogue import Catalogue
from matinee.config import SplitConfig
from matinee.data.session_audit import audit_sessions
from matinee.data.sessions import Sessions, find_sessions, session_starts
from matinee.data.synthetic import zipf_log
from matinee.dataset import Dataset, Events
from matinee.errors import DataError, MatineeError
from matinee.report.session_plot import draw_sessions, plot_sessions
from matinee.times import format_duration, parse_duration
from matinee.vocab import Vocab

HOUR, DAY = 3600, 86_400


def dataset(rows, timed=True) -> Dataset:
    users, items, times = (np.array(column) for column in zip(*rows, strict=True))
    known_users, user_rows = Vocab.index(users)
    known_items, item_rows = Vocab.index(items)
    events = Events.ordered(user_rows, item_rows, np.ones(len(users)), times)
    return Dataset(
        "made", known_users, known_items, events, Catalogue.of(["?"] * len(known_items)), kind="click", timed=timed
    )


def small_log() -> Dataset:
    """User 1 has sessions of 3 and 1 events; user 2, starting during user 1's first, of 1, 2 and 4."""
    return dataset(
        [
            (1, 1, 0), (1, 2, HOUR), (1, 3, HOUR + 60),  # a pause of exactly the gap does not end a session
            (1, 4, 3 * HOUR + 61),
            (2, 1, HOUR + 61),
            (2, 2, DAY), (2, 3, DAY),
            (2, 4, 3 * DAY), (2, 5, 3 * DAY + 1), (2, 6, 3 * DAY + 2), (2, 7, 3 * DAY + 100),
        ]
    )  # fmt: skip


def by_loop(events: Events, gap: int) -> list[list[int]]:
    """Sessions as lists of event indices, by a loop."""
    sessions: list[list[int]] = []
    for index in range(len(events)):
        same = index > 0 and events.user_rows[index] == events.user_rows[index - 1]
        if same and events.times[index] - events.times[index - 1] <= gap:
            sessions[-1].append(index)
        else:
            sessions.append([index])
    return sessions


@pytest.mark.parametrize("gap", [1, 60, HOUR, DAY, 400 * DAY])
@pytest.mark.parametrize("seed", range(3))
def test_sessions_against_a_loop(gap: int, seed: int) -> None:
    events = zipf_log(40, 60, 500, np.random.default_rng(seed)).events
    found = Sessions.of(events, gap, min_length=2)
    loop = by_loop(events, gap)
    assert [list(range(a, b)) for a, b in zip(found.starts[:-1], found.starts[1:], strict=True)] == loop
    assert found.kept.tolist() == [len(session) >= 2 for session in loop]
    assert found.user_rows.tolist() == [events.user_rows[session[0]] for session in loop]
    assert found.durations.tolist() == [events.times[session[-1]] - events.times[session[0]] for session in loop]
    assert found.of_events.tolist() == [number for number, session in enumerate(loop) for _ in session]
    assert np.flatnonzero(session_starts(events, gap)).tolist() == [session[0] for session in loop]


def test_each_user_starts_a_new_session() -> None:
    found = find_sessions(small_log(), SplitConfig(min_length=2))
    assert found.lengths.tolist() == [3, 1, 1, 2, 4]
    assert found.user_rows.tolist() == [0, 0, 1, 1, 1]
    assert found.kept.tolist() == [True, False, False, True, True]


def test_session_audit_by_hand() -> None:
    found = audit_sessions(small_log(), SplitConfig())
    assert (found.sessions, found.events, found.users, found.users_without) == (3, 9, 2, 0)
    assert (found.short_sessions, found.short_events, found.gap_seconds) == (2, 2, HOUR)
    assert (found.lengths.min, found.lengths.median, found.lengths.mean, found.lengths.max) == (2, 3, 3, 4)
    assert (found.durations.min, found.durations.median, found.durations.max) == (0, 100, HOUR + 60)
    assert (found.per_user.min, found.per_user.max) == (1, 2)
    assert found.curves.per_day.tolist() == [1, 1, 0, 1]  # no session starts on the third day
    assert found.curves.days.tolist() == [0, DAY, 2 * DAY, 3 * DAY, 4 * DAY]
    assert (found.first, found.last) == ("1970-01-01T00:00:00Z", "1970-01-04T00:00:00Z")
    plain = json.loads(json.dumps(found.to_json()))
    assert plain["lengths"]["mean"] == 3
    assert "curves" not in plain
    rows = dict(found.rows())
    assert rows["sessions of 2 or more events"] == "3, 9 events"
    assert rows["longest pause within a session"] == "1 hour"
    assert rows["users with a session"] == "2 of 2 (100%)"


def test_a_user_without_a_session_is_counted() -> None:
    found = audit_sessions(dataset([(1, 1, 0), (1, 2, 1), (2, 1, 0), (2, 2, DAY)]), SplitConfig())
    assert (found.users, found.users_without, found.per_user.median) == (1, 1, 1)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_figure_is_written(tmp_path, suffix: str) -> None:
    draw_sessions(audit_sessions(small_log(), SplitConfig()), tmp_path / f"sessions{suffix}")
    assert (tmp_path / f"sessions{suffix}").stat().st_size > 5000


def test_the_figure_shows_the_audits_counts() -> None:
    data = zipf_log(200, 300, 8000, np.random.default_rng(0))
    found = audit_sessions(data, SplitConfig(gap="30m"))
    panels = {axes.get_title(loc="left"): axes for axes in plot_sessions(found).axes}
    assert list(panels) == ["Lengths", "Durations", "Sessions per user", "Sessions over time"]
    for title in ("Lengths", "Durations", "Sessions per user"):  # the bars cover every session
        assert panels[title].patches[0].get_data().values.sum() == pytest.approx(1)
    assert panels["Sessions over time"].patches[0].get_data().values.sum() == found.sessions
    assert "days" in panels["Sessions over time"].get_ylabel()  # bars of several days, because the log spans five years


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1h", HOUR), ("90s", 90), ("30m", 1800), ("1.5h", 5400), ("1h30m", 5400), ("1d", DAY), ("2w", 14 * DAY),
     ("45", 45), (" 1 H ", HOUR), (".5m", 30)],
)  # fmt: skip
def test_parse_duration(text: str, seconds: int) -> None:
    assert parse_duration(text, "gap") == seconds


@pytest.mark.parametrize("text", ["", "h", "an hour", "1y", "-1h", "1h-30m", "1e3", "nan"])
def test_invalid_durations_raise(text: str) -> None:
    with pytest.raises(MatineeError, match=r"^gap = '.*' is not a duration; write a number of s, m, h or d"):
        parse_duration(text, "gap")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 seconds"), (1, "1 second"), (90, "1.5 minutes"), (HOUR, "1 hour"), (DAY, "1 day"),
     (1000 * DAY, "1,000 days")],
)  # fmt: skip
def test_format_duration(seconds: int, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize("gap", ["0", "0h", "0.5s"])
def test_a_gap_under_a_second_raises(gap: str) -> None:
    with pytest.raises(MatineeError, match="is shorter than a second; give a duration such as 1h"):
        find_sessions(small_log(), SplitConfig(gap=gap))


def test_a_gap_longer_than_the_log_raises() -> None:
    with pytest.raises(
        DataError, match=r"gap = 5d is longer than the whole of made \(3 days\).*such as 1h, or --split leave"
    ):
        find_sessions(small_log(), SplitConfig(gap="5d"))


def test_a_log_without_times_has_no_sessions() -> None:
    with pytest.raises(DataError, match="made has no times, so it has no sessions; use --split leave"):
        find_sessions(dataset([(1, 1, 0), (1, 2, 0)], timed=False), SplitConfig())


def test_if_all_sessions_are_too_short_the_error_proposes_others() -> None:
    with pytest.raises(DataError, match="gap = 1s and min_length = 5 leave no session of made") as raised:
        find_sessions(small_log(), SplitConfig(gap="1s", min_length=5))
    message = str(raised.value)
    assert "the longest of 8 has 3 events" in message
    # by hand: within an hour 3, 2 and 4 events; within a day also user 2's first event joins the next two: 4, 3 and 4
    assert "3 with gap 1h and min_length 2, 2 with gap 1h and min_length 3" in message
    assert "3 with gap 1d and min_length 3" in message
    assert "1 with gap 7d and min_length 5" in message


def test_if_no_gap_helps_the_error_says_so() -> None:
    with pytest.raises(DataError, match="no gap from 30m to 7d gives a session of 2 or more events"):
        find_sessions(dataset([(1, 1, 0), (2, 1, 5), (3, 1, 9000)]), SplitConfig())
