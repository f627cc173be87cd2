"""Task against plain loops over the events, for any log, part and setting: users, and sessions."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.catalogue import Catalogue
from matinee.config import EvaluationConfig, SplitConfig
from matinee.data.labels import TEST, TRAIN, UNUSED, VALID
from matinee.data.splits import Split
from matinee.dataset import Dataset, Events
from matinee.errors import MatineeError
from matinee.evaluation.metrics import PerUser
from matinee.evaluation.task import Task
from matinee.histories import Histories
from matinee.vocab import Vocab

N_ITEMS = 5
Row = tuple[int, int, int, int]
"""user, item, label, seconds since the event before."""
rows_of_logs = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, N_ITEMS - 1), st.sampled_from([TRAIN, VALID, TEST]), st.integers(0, 3)),
    min_size=1,
    max_size=30,
)


def log_of(rows: list[Row]) -> tuple[Dataset, np.ndarray]:
    """The data, its events by user, and the label of each."""
    users, items, labels, pauses = (np.array(column) for column in zip(*rows, strict=True))
    order = np.argsort(users, kind="stable")
    times = np.cumsum(pauses)
    values = 1 + np.arange(len(rows), dtype=np.float32)
    events = Events.ordered(users, items, values, times)
    catalogue = Catalogue.of([f"Film {item} (2000)" for item in range(N_ITEMS)])
    data = Dataset("any", Vocab(np.arange(5)), Vocab(np.arange(N_ITEMS)), events, catalogue)
    return data, labels[order].astype(np.int8)


def last_by_item(events: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Each item once, where it was last, in order."""
    return [(item, value) for n, (item, value) in enumerate(events) if item not in [i for i, _ in events[n + 1 :]]]


def rows(histories: Histories) -> list[list[tuple[int, float]]]:
    starts = histories.starts
    pairs = list(zip(histories.items.tolist(), histories.values.tolist(), strict=True))
    return [pairs[starts[b] : starts[b + 1]] for b in range(len(histories))]


def events_by_user(data: Dataset, labels: np.ndarray) -> dict[int, list[tuple[int, float, int, int]]]:
    """User -> (item, value, label, time) in order."""
    found = defaultdict(list)
    events = data.events
    for user, item, value, label, at in zip(
        *(column.tolist() for column in (events.user_rows, events.item_rows, events.values, labels, events.times)),
        strict=True,
    ):
        found[user].append((item, value, label, at))
    return found


@settings(max_examples=200, deadline=None)
@given(rows_of_logs, st.sampled_from(["valid", "test"]), st.sampled_from(["train", "train+valid"]), st.booleans())
def test_a_list_for_each_user_with_a_target(drawn: list[Row], on: str, inputs: str, repeat: bool) -> None:
    data, labels = log_of(drawn)
    config = EvaluationConfig(on=on, inputs=inputs, repeat=repeat)  # type: ignore[arg-type]
    given_labels = {TRAIN} if on == "valid" or inputs == "train" else {TRAIN, VALID}
    masked_labels = {VALID} if on == "test" and inputs == "train" else set()
    wanted_label = VALID if on == "valid" else TEST
    expected, n_seen = {}, 0
    for user, events in sorted(events_by_user(data, labels).items()):
        given_events = [(item, value) for item, value, label, _ in events if label in given_labels]
        masked = [item for item, _, label, _ in events if label in masked_labels]
        targets = last_by_item([(item, value) for item, value, label, _ in events if label == wanted_label])
        known = {item for item, _ in given_events} | set(masked)
        new = targets if repeat else [(item, value) for item, value in targets if item not in known]
        n_seen += 0 if repeat else len(targets) - len(new)
        if new:
            expected[user] = (last_by_item(given_events), masked, new)
    split = Split(data, SplitConfig(), labels)
    if not expected:
        with pytest.raises(MatineeError, match="no user of data any has a new target"):
            Task.of(split, config)
        return
    task = Task.of(split, config)
    assert task.user_rows.tolist() == list(expected)
    assert task.histories.user_rows.tolist() == list(expected)
    ((histories, masked_rows),) = task.batches()
    assert rows(histories) == [given_events for given_events, _, _ in expected.values()]
    assert rows(task.targets) == [new for _, _, new in expected.values()]
    assert (task.n_items, task.n_seen, task.owners) == (N_ITEMS, n_seen, None)
    assert task.n_relevant.tolist() == [len(new) for _, _, new in expected.values()]
    assert task.lengths.tolist() == [len(given_events) for given_events, _, _ in expected.values()]
    masked_items = [masked for _, masked, _ in expected.values()]
    if masked_rows is None:
        assert not any(label in masked_labels for label in labels)
    else:
        assert [[item for item, _ in row] for row in rows(masked_rows)] == masked_items
    values = PerUser(np.arange(len(expected), dtype=float))
    assert task.of_users(values) is values


@settings(max_examples=200, deadline=None)
@given(
    rows_of_logs, st.sampled_from(["valid", "test"]), st.booleans(), st.booleans(), st.sampled_from(["last", "every"])
)
def test_a_list_for_each_event_of_a_session(
    drawn: list[Row], on: str, earlier: bool, repeat: bool, predict: str
) -> None:
    """Here the label of an event is that of its session, which is as long as no pause exceeds two seconds."""
    data, labels = log_of(
        [*drawn, (4, 0, TRAIN, 100), (4, 1, TRAIN, 0)]
    )  # a session, and time enough, whatever was drawn
    config = SplitConfig(split="session", gap="2s", min_length=2, earlier=earlier)
    by_user = events_by_user(data, labels)
    sessions: dict[int, list[int]] = {}  # user -> session of each event
    all_labels: list[int] = []
    for user, events in by_user.items():
        number, numbers = 0, []
        for n, (_, _, _, at) in enumerate(events):
            number += bool(n and at - events[n - 1][3] > 2)
            numbers.append(number)
        sessions[user] = numbers
        for n, number in enumerate(numbers):
            first = numbers.index(number)
            label = events[first][2] if numbers.count(number) >= 2 else UNUSED
            targets = {VALID: VALID - 1, TEST: TEST - 1}  # the first event of a session is given, not predicted
            all_labels.append(targets.get(label, label) if n == first else label)
    split = Split(data, config, np.array(all_labels, dtype=np.int8))
    wanted_label, last_label = (VALID, VALID) if on == "valid" else (TEST, TEST)
    expected: list[tuple[int, list[tuple[int, float]], tuple[int, float]]] = []
    n_seen, position = 0, 0
    for user, events in sorted(by_user.items()):
        labelled = [(*event, label) for event, label in zip(events, all_labels[position:], strict=False)]
        kept = [
            (item, value, label, session)
            for (item, value, _, _, label), session in zip(labelled, sessions[user], strict=True)
            if label != UNUSED and label <= last_label
        ]
        position += len(events)
        for n, (item, value, label, session) in enumerate(kept):
            if label != wanted_label:
                continue
            if predict == "last" and n + 1 < len(kept) and kept[n + 1][3] == session:
                continue
            before = [(i, v) for i, v, _, other in kept[:n] if earlier or other == session]
            seen = item in [i for i, _ in before]
            if seen and not repeat:
                n_seen += 1
                continue
            expected.append((user, last_by_item(before), (item, value)))
    asked = EvaluationConfig(on=on, predict=predict, repeat=repeat)  # type: ignore[arg-type]
    if not expected:
        with pytest.raises(MatineeError, match="no session of data any has a new item"):
            Task.of(split, asked)
        return
    task = Task.of(split, asked)
    found = [row for histories, masked in task.batches() for row in rows(histories) if masked is None]
    assert found == [history for _, history, _ in expected]
    assert rows(task.targets) == [[target] for _, _, target in expected]
    assert task.targets.user_rows.tolist() == [user for user, _, _ in expected]
    users = sorted({user for user, _, _ in expected})
    assert task.user_rows.tolist() == users
    assert task.owners is not None
    assert task.owners.tolist() == [users.index(user) for user, _, _ in expected]
    assert (task.n_items, task.n_seen) == (N_ITEMS, n_seen)
    assert task.n_relevant.tolist() == [1] * len(expected)
    pooled = task.of_users(PerUser(np.arange(len(expected), dtype=float)))
    own = [[n for n, (user, _, _) in enumerate(expected) if user == each] for each in users]
    assert pooled.values.tolist() == pytest.approx([np.mean(each) for each in own])
    assert pooled.weights is not None
    assert pooled.weights.tolist() == [len(each) for each in own]


def test_masking_valid_without_showing_it_is_refused_where_histories_run_on() -> None:
    data, labels = log_of([(0, 0, TEST, 0), (0, 1, TEST, 1), (0, 2, TEST, 1), (4, 0, TRAIN, 100)])
    labels[-1] = UNUSED
    for earlier in (True, False):
        split = Split(data, SplitConfig(split="session", gap="2s", earlier=earlier), labels)
        config = EvaluationConfig(on="test", inputs="train")
        if earlier:
            with pytest.raises(MatineeError, match="inputs train\\+valid is the only choice"):
                Task.of(split, config)
        else:
            assert len(Task.of(split, config).targets) == 3


@pytest.mark.parametrize("predict", ["last", "every"])
def test_a_log_of_one_session_has_a_last_event(predict: str) -> None:
    data, labels = log_of([(0, item, TEST, 1) for item in range(4)])
    labels[0] = TEST - 1
    split = Split(data, SplitConfig(split="session", gap="2s"), labels)
    task = Task.of(split, EvaluationConfig(predict=predict))  # type: ignore[arg-type]
    assert task.targets.items.tolist() == ([3] if predict == "last" else [1, 2, 3])
