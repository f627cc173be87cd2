"""Properties of every split of any log."""

from dataclasses import replace

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from matinee.catalogue import Catalogue
from matinee.config import EvaluationConfig, SplitConfig
from matinee.data.sessions import session_starts
from matinee.data.split_settings import USES
from matinee.data.splits import TEST, TEST_INPUTS, TRAIN, UNUSED, VALID, VALID_INPUTS, Split, split
from matinee.dataset import Dataset, Events
from matinee.errors import DataError
from matinee.evaluation.task import Task
from matinee.vocab import Vocab

METHODS = ("random", "leave-last", "leave-random", "time", "new-users", "new-items", "k-fold")


def dataset(rows: list[tuple[int, int, int]]) -> Dataset:
    """Each (user, item) at most once, the last kept, as readers leave it."""
    rows = list({(user, item): (user, item, at) for user, item, at in rows}.values())
    users, items, times = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    known_users, user_rows = Vocab.index(users)
    known_items, item_rows = Vocab.index(items)
    events = Events.ordered(user_rows, item_rows, np.ones(len(rows)), times)
    return Dataset("made", known_users, known_items, events, Catalogue.of(["?"] * len(known_items)))


rows = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 12), st.integers(0, 30)), min_size=1, max_size=80)
many = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12), st.integers(0, 60)), min_size=40, max_size=80)
ratios = st.sampled_from([(0.7, 0.15, 0.15), (0.5, 0.25, 0.25), (0.8, 0.1, 0.1), (0.34, 0.33, 0.33)])


def cut_or_skip(data: Dataset, config: SplitConfig) -> Split:
    try:
        return split(data, config)
    except DataError:
        assume(False)
        raise


@given(rows, st.sampled_from(METHODS), ratios, st.integers(0, 3))
def test_parts_are_disjoint_and_complete(rows, method, ratios, seed):
    data = dataset(rows)
    given = {"ratios": ratios} if "ratios" in USES[method] else {}
    cut = cut_or_skip(data, SplitConfig(split=method, seed=seed, **given))
    assert sum(cut.sizes().values()) == len(data.events)
    for part in ("valid", "test"):
        targets, inputs = cut.targets(part), cut.inputs(part)
        pairs = [set(zip(e.user_rows.tolist(), e.item_rows.tolist(), strict=True)) for e in (targets, inputs)]
        assert not pairs[0] & pairs[1]
    learned = cut.training("train+valid").histories
    assert len(learned.items) == np.isin(cut.labels, [TRAIN, VALID_INPUTS, VALID]).sum()
    assert (np.diff(learned.starts) > 0).all()


@given(rows, st.integers(0, 3), st.floats(0.01, 0.99))
def test_new_users_are_held_out_whole_with_their_past_as_input(rows, seed, input_share):
    data = dataset(rows)
    cut = cut_or_skip(
        data, SplitConfig(split="new-users", ratios=(0.5, 0.25, 0.25), seed=seed, input_share=input_share)
    )
    for user in range(len(data.users)):
        mine = set(cut.labels[data.events.user_rows == user].tolist())
        assert mine in ({TRAIN}, {VALID_INPUTS, VALID}, {TEST_INPUTS, TEST})
    for part in ("valid", "test"):
        assert cut.count_leaks(part).older_than_own == 0
        assert cut.count_cold(part)[0] == 0


@given(rows, ratios)
def test_no_target_of_a_split_by_time_precedes_training(rows, ratios):
    data = dataset(rows)
    cut = cut_or_skip(data, SplitConfig(split="time", ratios=ratios))
    latest = int(cut.training().histories.times.max())
    for part in ("valid", "test"):
        assert (cut.targets(part).times > latest).all()
    if len(cut.targets("valid")) and len(cut.targets("test")):
        assert cut.targets("valid").times.max() < cut.targets("test").times.min()
    # ties go to the later part, so train may have fewer events than its ratio
    assert cut.sizes()["train"] <= ratios[0] * len(data.events)
    assert cut.leaks == ()


@given(many, st.permutations(range(9)))
def test_leave_last_of_a_user_is_independent_of_other_users(rows, names):
    plain = dataset(rows)
    moved = dataset([(names[user], item, at) for user, item, at in rows])
    config = SplitConfig(split="leave-last")
    before, after = cut_or_skip(plain, config), cut_or_skip(moved, config)
    for user_row, user in enumerate(plain.users.ids.tolist()):
        other_row = moved.users.row(names[user])
        mine = before.labels[plain.events.user_rows == user_row]
        assert mine.tolist() == after.labels[moved.events.user_rows == other_row].tolist()


@given(rows, st.sampled_from(METHODS))
def test_splitting_is_repeatable_and_does_not_change_the_data(rows, method):
    data = dataset(rows)
    before = data.fingerprint
    config = SplitConfig(split=method)
    first, second = cut_or_skip(data, config), cut_or_skip(data, config)
    np.testing.assert_array_equal(first.labels, second.labels)
    assert replace(data).fingerprint == before


@given(rows, st.integers(0, 10))
def test_sessions_end_at_users_and_pauses(rows, gap):
    events = dataset(rows).events
    wanted, previous = [], None
    for user, at in zip(events.user_rows.tolist(), events.times.tolist(), strict=True):
        wanted.append(previous is None or previous[0] != user or at - previous[1] > gap)
        previous = (user, at)
    assert session_starts(events, gap).tolist() == wanted


@given(many, ratios, st.integers(3, 10), st.integers(2, 3), st.booleans(), st.sampled_from(["every", "last"]))
def test_sessions_stay_whole_and_inputs_precede_targets(rows, ratios, gap, min_length, earlier, predict):
    data = dataset(rows)
    config = SplitConfig(split="session", ratios=ratios, gap=f"{gap}s", min_length=min_length, earlier=earlier)
    cut = cut_or_skip(data, config)
    assert cut.sessions is not None
    parts = np.where(cut.labels == UNUSED, 0, (cut.labels + 3) // 2)  # 0 unused, 1 train, 2 valid, 3 test
    for start, stop in zip(cut.sessions.starts[:-1], cut.sessions.starts[1:], strict=True):
        assert len(set(parts[start:stop].tolist())) == 1
        assert (parts[start] == 0) == (stop - start < min_length)
    begun = cut.sessions.start_times, parts[cut.sessions.starts[:-1]]
    latest = [begun[0][begun[1] == part].max(initial=0) for part in (1, 2)]
    assert all((begun[0][begun[1] > part] >= latest[part - 1]).all() for part in (1, 2))
    learned = cut.training("train+valid").histories
    assert len(learned.items) == np.isin(parts, [1, 2]).sum()
    assert (np.diff(learned.starts) >= (1 if earlier else min_length)).all()
    assume(len(cut.targets("test")))
    task = Task.of(cut, EvaluationConfig(predict=predict))
    inputs = task.histories.block(0, len(task.histories))
    assert (np.diff(inputs.starts) > 0).all()
    assert (inputs.times <= task.targets.times[inputs.owners]).all()
    assert (inputs.user_rows == task.targets.user_rows).all()
    lasts = inputs.times[inputs.starts[1:] - 1]
    assert (task.targets.times - lasts <= gap).all()  # targets follow within the session
