"""Every split method against a plain Python loop, and edge cases."""

import math
from collections import defaultdict

import numpy as np
import pytest

from matinee.catalogue import Catalogue
from matinee.config import EvaluationConfig, SplitConfig
from matinee.data.split_settings import check_settings
from matinee.data.splits import TEST, TEST_INPUTS, TRAIN, VALID, VALID_INPUTS, LeakCounts, split, split_files
from matinee.data.synthetic import zipf_log
from matinee.dataset import Dataset, Events
from matinee.errors import DataError, MatineeError
from matinee.vocab import Vocab


def dataset(users, items, times, timed=True) -> Dataset:
    known_users, user_rows = Vocab.index(np.asarray(users))
    known_items, item_rows = Vocab.index(np.asarray(items))
    events = Events.ordered(user_rows, item_rows, np.ones(len(user_rows)), np.asarray(times))
    titles = Catalogue.of([f"Movie {i}" for i in known_items.ids.tolist()])
    return Dataset("made", known_users, known_items, events, titles, timed=timed)


def log(seed: int = 0) -> Dataset:
    return zipf_log(60, 40, 500, np.random.default_rng(seed))


def by_user(data: Dataset) -> dict[int, list[int]]:
    """User row -> positions of its events, in order."""
    positions = defaultdict(list)
    for position, user in enumerate(data.events.user_rows.tolist()):
        positions[user].append(position)
    return positions


@pytest.mark.parametrize("ratios", [(0.7, 0.15, 0.15), (0.8, 0.2, 0.0), (0.5, 0.0, 0.5), (1.0, 0.0, 0.0)])
def test_random_gives_each_user_floor_floor_and_the_rest(ratios):
    data = log()
    labels = split(data, SplitConfig(ratios=ratios)).labels
    for positions in by_user(data).values():
        n = len(positions)
        n_train, n_valid = max(1, math.floor(n * ratios[0])), math.floor(n * ratios[1])
        if ratios[2] == 0:  # the rest goes to the last non-empty part
            n_train, n_valid = (n_train, n - n_train) if ratios[1] else (n, 0)
        mine = labels[positions].tolist()
        assert [mine.count(part) for part in (TRAIN, VALID, TEST)] == [n_train, n_valid, n - n_train - n_valid]


def test_random_draws_every_position_equally_often():
    data = dataset(np.repeat(np.arange(4000), 4), np.tile(np.arange(4), 4000), np.arange(16_000))
    labels = split(data, SplitConfig(ratios=(0.5, 0.25, 0.25))).labels.reshape(4000, 4)
    shares = [(labels == part).mean(axis=0) for part in (TRAIN, VALID, TEST)]
    np.testing.assert_allclose(shares[0], 0.5, atol=0.035)  # four standard errors
    np.testing.assert_allclose(shares[1:], 0.25, atol=0.03)


@pytest.mark.parametrize("method", ["random", "new-users", "new-items", "k-fold"])
def test_the_split_depends_on_the_seed(method):
    first, again, other = (split(log(), SplitConfig(split=method, seed=seed)).labels for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_leave_last_against_a_loop():
    data = log()
    cut = split(data, SplitConfig(split="leave-last"))
    wanted, n_short = np.full(len(data.events), TRAIN), 0
    for positions in by_user(data).values():
        if len(positions) < 3:
            n_short += 1
            continue
        # the last in time, ties by log order
        first_to_last = sorted(positions, key=lambda position: (data.events.times[position], position))
        wanted[first_to_last[-1]], wanted[first_to_last[-2]] = TEST, VALID
    np.testing.assert_array_equal(cut.labels, wanted)
    assert n_short > 0
    assert cut.notes == (f"leave-last: {n_short} users with fewer than 3 events are entirely in train",)


def test_leave_last_keeps_log_order_at_equal_times():
    data = dataset([1, 1, 1, 1], [40, 10, 30, 20], [7, 7, 7, 7])
    cut = split(data, SplitConfig(split="leave-last"))
    assert data.items.ids[cut.targets("test").item_rows].tolist() == [20]
    assert data.items.ids[cut.targets("valid").item_rows].tolist() == [30]


def test_leave_last_of_an_untimed_log_follows_its_order():
    cut = split(dataset([1, 1, 1], [3, 1, 2], [0, 0, 0], timed=False), SplitConfig(split="leave-last"))
    assert cut.targets("test").item_rows.tolist() == [1]
    assert cut.leaks == ()
    assert "the log has no times" in cut.notes[0]


def test_time_against_a_loop():
    data = log()
    cut = split(data, SplitConfig(split="time", ratios=(0.6, 0.3, 0.1)))
    times = sorted(data.events.times.tolist())
    at_valid, at_test = times[300], times[450]
    wanted = [TEST if at >= at_test else VALID if at >= at_valid else TRAIN for at in data.events.times.tolist()]
    assert cut.labels.tolist() == wanted
    assert cut.leaks == ()
    assert "valid begins at" in cut.notes[0]


def test_time_puts_simultaneous_events_into_the_later_part():
    data = dataset(np.arange(10), np.arange(10), [1, 2, 3, 3, 3, 3, 3, 3, 9, 10])
    cut = split(data, SplitConfig(split="time", ratios=(0.5, 0.3, 0.2)))  # the sixth event has time 3, so all 3s
    assert cut.sizes() == {"train": 2, "valid": 6, "test": 2}


def test_time_at_configured_times():
    data = dataset([1] * 6, np.arange(6), np.arange(6) * 86_400)
    one = split(data, SplitConfig(split="time", at=("1970-01-04",)))
    assert one.labels.tolist() == [TRAIN] * 3 + [TEST] * 3
    two = split(data, SplitConfig(split="time", at=("1970-01-03", "1970-01-05T00:00:00+00:00")))
    assert two.labels.tolist() == [TRAIN] * 2 + [VALID] * 2 + [TEST] * 2


@pytest.mark.parametrize(
    ("at", "message"),
    [
        (("1970-01-05", "1970-01-03"), "or those of valid and test in this order"),
        (("1970-01-02", "1970-01-03", "1970-01-04"), "or those of valid and test in this order"),
        (("1970-01-01",), "the log runs from 1970-01-01T00:00:00Z to 1970-01-06T00:00:00Z"),
        (("2070-01-01",), "the log runs from"),
        (("soon",), "at = 'soon' is not a date or time"),
    ],
)
def test_invalid_configured_times_raise(at, message):
    data = dataset([1] * 6, np.arange(6), np.arange(6) * 86_400)
    with pytest.raises(MatineeError, match=message):
        split(data, SplitConfig(split="time", at=at))


def test_time_of_equal_times_leaves_no_training_events():
    with pytest.raises(DataError, match="has no training events"):
        split(dataset([1, 2, 3], [1, 2, 3], [5, 5, 5]), SplitConfig(split="time"))


def test_time_needs_times():
    with pytest.raises(DataError, match="made has no times"):
        split(dataset([1, 1], [1, 2], [0, 0], timed=False), SplitConfig(split="time"))


def test_new_users_against_a_loop():
    data = log()
    cut = split(data, SplitConfig(split="new-users", ratios=(0.6, 0.2, 0.2), input_share=0.75))
    held = {VALID: 0, TEST: 0}
    n_single = 0
    for positions in by_user(data).values():
        mine = cut.labels[positions].tolist()
        part = mine[-1]
        if part == TRAIN:
            assert set(mine) == {TRAIN}
            n_single += len(mine) == 1
            continue
        held[part] += 1
        n_inputs = min(max(math.floor(len(mine) * 0.75), 1), len(mine) - 1)
        inputs = VALID_INPUTS if part == VALID else TEST_INPUTS
        assert mine == [inputs] * n_inputs + [part] * (len(mine) - n_inputs)
    assert n_single > 0
    assert 0 <= 24 - held[VALID] - held[TEST] <= n_single  # drawn users with a single event go to train
    assert set(cut.training().histories.user_rows).isdisjoint(cut.targets("test").user_rows)
    assert cut.count_cold("test")[0] == 0


def test_new_users_with_one_event_go_to_train():
    users = [1, 2, 3, 4, 5, 6, 6]
    cut = split(dataset(users, np.arange(7), np.arange(7)), SplitConfig(split="new-users", ratios=(0.0, 0.0, 1.0)))
    assert cut.labels.tolist() == [TRAIN] * 5 + [TEST_INPUTS, TEST]
    assert cut.notes[1] == "new-users: 5 users drawn with a single event went to train"


@pytest.mark.parametrize("ratios", [(0.7, 0.15, 0.15), (0.3, 0.3, 0.4), (0.1, 0.9, 0.0), (0.2, 0.0, 0.8)])
@pytest.mark.parametrize("seed", [1, 42])
def test_random_moves_only_the_events_that_leave_a_user_without_train(ratios, seed):
    users = np.repeat(np.arange(60), np.arange(60) % 12 + 1)  # 1 to 12 events each
    data = dataset(users, np.concatenate([np.arange(n % 12 + 1) for n in range(60)]), np.arange(len(users)))
    cut = split(data, SplitConfig(ratios=ratios, seed=seed))
    generator = np.random.RandomState(seed)
    for user, positions in by_user(data).items():
        n = len(positions)
        n_train, n_valid = math.floor(n * ratios[0]), math.floor(n * ratios[1])
        n_valid = n - n_train if ratios[2] == 0 else n_valid
        labels = [TRAIN] * n_train + [VALID] * n_valid + [TEST] * (n - n_train - n_valid)
        labels[0] = TRAIN  # the rule
        expected = dict(zip(generator.permutation(n).tolist(), labels, strict=True))
        assert cut.labels[positions].tolist() == [expected[place] for place in range(n)], user


def test_random_says_how_many_users_have_one_event_and_keeps_it_in_train():
    users = [*range(40), 90, 90, 90, 90]
    cut = split(dataset(users, [0] * 40 + [1, 2, 3, 4], np.arange(44)), SplitConfig())
    assert cut.sizes() == {"train": 42, "valid": 0, "test": 2}
    assert cut.notes == ("random: 40 users with one event keep one in train, so they have no targets",)


def test_random_says_which_users_have_too_few_events_for_a_low_ratio():
    cut = split(dataset([1, 1, 2, 3, 3, 3, 3], np.arange(7), np.arange(7)), SplitConfig(ratios=(0.3, 0.0, 0.7)))
    note = "random: 2 users with 2 events or fewer keep one in train; 1 of them have one event, so they have no targets"
    assert cut.notes == (note,)


@pytest.mark.parametrize("folds", [3, 5])
def test_every_user_has_an_event_in_train_in_every_fold(folds):
    users = [1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4]
    data = dataset(users, np.arange(13), np.arange(13))
    cuts = [split(data, SplitConfig(split="k-fold", folds=folds, fold=fold)) for fold in range(folds)]
    for cut in cuts:
        assert set(cut.data.events.user_rows[cut.labels == TRAIN].tolist()) == {0, 1, 2, 3}
    assert any(note.startswith("k-fold: ") and "keep one in train" in note for cut in cuts for note in cut.notes)
    tested = sum((cut.labels == TEST).astype(int) for cut in cuts)
    assert tested.tolist() == [0] + [1] * 12  # each event is tested once, but not the only one of a user


def test_a_cut_in_time_counts_the_users_it_leaves_without_inputs():
    data = dataset([1, 1, 2, 3], [1, 2, 1, 2], [1, 9, 2, 8])
    cut = split(data, SplitConfig(split="time", ratios=(0.5, 0.0, 0.5)))
    assert cut.notes[1:] == ("test: 1 of 2 (50.0%) users have targets but no inputs: ranked by popularity",)


USED = {
    "ratios": {"random", "time", "new-users", "new-items", "session"},
    "at": {"time"},
    "input_share": {"new-users"},
    "folds": {"k-fold"},
    "fold": {"k-fold"},
    "gap": {"session"},
    "min_length": {"session"},
    "earlier": {"session"},
    "path": {"files"},
    "by": {"random"},
    "rest": {"random"},
    "repeats": {"random"},
}
VALUES = {"ratios": (0.8, 0.1, 0.1), "at": ("2001-01-01",), "input_share": 0.5, "folds": 4, "fold": 1, "gap": "2h"}
VALUES |= {"by": "item", "rest": "train", "repeats": 2, "min_length": 3, "earlier": True, "path": "parts"}
METHODS = ("random", "leave-last", "time", "new-users", "new-items", "k-fold", "session", "files")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", sorted(SplitConfig.model_fields.keys() - {"split", "seed"}))
def test_a_setting_that_the_method_does_not_use_is_refused(method, name):
    given = {"path": "parts"} if method == "files" else {}
    config = SplitConfig(split=method, **given | {name: VALUES[name]})
    if method in USED[name]:
        check_settings(config)
    else:
        with pytest.raises(MatineeError, match=f"^{name} = .* has no effect on split {method}: it belongs to split"):
            check_settings(config)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": "k-fold", "fold": 99}, "fold = 99: folds are numbered 0 to 4"),
        ({"split": "k-fold", "folds": 2}, "folds = 2 leaves no fold for train"),
        ({"split": "session", "gap": "1 year"}, "gap"),
        (
            {"split": "time", "ratios": (0.8, 0.1, 0.1), "at": ("2001-01-01",)},
            "^at = 2001-01-01 and ratios both say where a split by time cuts; give one of them",
        ),
        (
            {"split": "leave-last", "ratios": (0.8, 0.1, 0.1)},
            "it belongs to split random, time, new-users, new-items or session",
        ),
        ({"split": "time", "at": ("soon",)}, "at = 'soon' is not a date or time"),
        ({"split": "session", "ratios": (0.8, 0.1, 0.3)}, "sum to 1.2"),
        ({"split": "files"}, "give --split files:PATH"),
    ],
)
def test_settings_out_of_range_are_found_without_a_log(settings, message):
    with pytest.raises(MatineeError, match=message):
        check_settings(SplitConfig(**settings))


@pytest.mark.parametrize("method", METHODS[:5])
def test_predict_is_refused_without_sessions(method):
    check_settings(SplitConfig(split=method), EvaluationConfig())
    check_settings(SplitConfig(split="session"), EvaluationConfig(predict="last"))
    with pytest.raises(MatineeError, match=f"predict = last has no effect on split {method}"):
        check_settings(SplitConfig(split=method), EvaluationConfig(predict="last"))


def test_the_test_folds_together_are_the_log():
    data = log()
    lengths = np.diff(data.user_starts)
    data = data.keep((lengths > 2)[data.events.user_rows])
    cuts = [split(data, SplitConfig(split="k-fold", folds=4, fold=fold)).labels for fold in range(4)]
    np.testing.assert_array_equal(sum((labels == TEST).astype(int) for labels in cuts), 1)
    for fold in range(4):
        np.testing.assert_array_equal(cuts[fold] == VALID, cuts[(fold + 1) % 4] == TEST)
        for positions in by_user(data).values():
            n_test = (cuts[fold][positions] == TEST).sum()
            assert len(positions) // 4 <= n_test <= math.ceil(len(positions) / 4)


def test_users_with_few_events_are_distributed_over_the_folds():
    data = dataset(np.repeat(np.arange(400), 2), np.tile([1, 2], 400), np.arange(800))
    for fold in range(4):
        n_test = split(data, SplitConfig(split="k-fold", folds=4, fold=fold)).sizes()["test"]
        assert 160 < n_test < 240  # 200 plus or minus three standard errors


@pytest.mark.parametrize(("folds", "fold", "message"), [(2, 0, "use 3 or more"), (5, 5, "numbered 0 to 4")])
def test_invalid_folds_raise(folds, fold, message):
    with pytest.raises(MatineeError, match=message):
        split(log(), SplitConfig(split="k-fold", folds=folds, fold=fold))


def test_a_split_from_files_takes_no_other_data():
    with pytest.raises(MatineeError, match="has its own events, so zipf-60-40-500 is not used"):
        split(log(), SplitConfig(split="files", path="some/folder"))
    with pytest.raises(MatineeError, match="--split files:PATH"):
        split_files(SplitConfig(split="files"))


def test_a_split_from_files_is_read_from_its_folder(tmp_path):
    header = "user,item,value,at\n"
    (tmp_path / "train.csv").write_text(header + "a,x,5,1500000000\nb,y,4,1500000500\n")
    (tmp_path / "valid.csv").write_text(header + "a,y,3,1500000100\n")
    (tmp_path / "test.csv").write_text(header + "a,z,3,1500000900\nb,z,2,1500000950\n")
    cut = split_files(SplitConfig(split="files", path=str(tmp_path)))
    assert cut.sizes() == {"train": 2, "valid": 1, "test": 2}
    assert cut.data.items.ids[cut.targets("test").item_rows].tolist() == ["z", "z"]
    assert cut.leaks == ("valid: 1 of 1 (100%) targets are older than an event in train",)
    assert cut.count_cold("test") == (0, 1)


@pytest.mark.parametrize("method", ["random", "time", "new-users"])
@pytest.mark.parametrize(
    ("ratios", "message"),
    [
        ((0.7, 0.2, 0.2), "ratios 0.7, 0.2, 0.2 sum to 1.1; they must sum to 1, for example 0.70,0.15,0.15"),
        ((0.7, 0.15, 0.14999), "must sum to 1"),
        ((1.2, -0.1, -0.1), "each must be from 0 to 1"),
    ],
)
def test_invalid_ratios_raise(method, ratios, message):
    with pytest.raises(MatineeError, match=message):
        split(log(), SplitConfig(split=method, ratios=ratios))


def test_ratios_may_have_rounding_errors():
    assert split(log(), SplitConfig(ratios=(0.3333333, 0.3333333, 0.3333334))).sizes()["train"] > 0


@pytest.mark.parametrize("method", ["random", "leave-last", "time", "new-users", "k-fold"])
def test_no_events_and_one_event(method):
    config = SplitConfig(split=method)
    empty = np.array([], dtype=np.int64)
    with pytest.raises(DataError, match="made has no events to split"):
        split(dataset(empty, empty, empty), config)
    with pytest.raises(DataError, match=r"has no (training events|targets)"):
        split(dataset([1], [1], [5]), config)


def test_one_user():
    data = dataset([7] * 10, np.arange(10), np.arange(10))
    assert split(data, SplitConfig(ratios=(0.7, 0.2, 0.1))).sizes() == {"train": 7, "valid": 2, "test": 1}
    assert split(data, SplitConfig(split="leave-last")).sizes() == {"train": 8, "valid": 1, "test": 1}
    with pytest.raises(DataError, match="no training events"):
        split(data, SplitConfig(split="new-users"))


def test_users_too_short_for_leave_last_leave_no_targets():
    why = r"has no targets \(leave-last: 2 users with fewer than 3 events are entirely in train\); use more"
    with pytest.raises(DataError, match=why):
        split(dataset([1, 1, 2, 2], [1, 2, 1, 2], [1, 2, 3, 4]), SplitConfig(split="leave-last"))


def test_a_split_with_everything_in_train_is_allowed():
    for method in ("random", "time", "new-users"):
        assert split(log(), SplitConfig(split=method, ratios=(1, 0, 0))).sizes()["train"] == 500


@pytest.mark.parametrize("method", ["random", "leave-last", "time", "new-users", "k-fold"])
@pytest.mark.parametrize("part", ["valid", "test"])
def test_leaks_and_cold_counts_against_loops(method, part):
    data = log(4)
    cut = split(data, SplitConfig(split=method))
    events = list(zip(*(getattr(data.events, c).tolist() for c in ("user_rows", "item_rows", "times")), strict=True))
    labels = cut.labels.tolist()
    target, inputs = (VALID, VALID_INPUTS) if part == "valid" else (TEST, TEST_INPUTS)
    train = [event for event, label in zip(events, labels, strict=True) if label == TRAIN]
    given = [event for event, label in zip(events, labels, strict=True) if label in (TRAIN, inputs)]
    targets = [event for event, label in zip(events, labels, strict=True) if label == target]

    older = sum(any(at < t for _, _, t in train) for _, _, at in targets)
    own = sum(any(u == user and at < t for u, _, t in given) for user, _, at in targets)
    assert cut.count_leaks(part) == LeakCounts(len(targets), older, own, 0)
    sentences = [leak for leak in cut.leaks if leak.startswith(part)]
    assert len(sentences) == (older > 0)
    if method == "time":
        assert older == 0
    else:
        assert f"{older:,} of {len(targets):,}" in sentences[0]

    before = {user for user, _, _ in given}
    if part == "test":
        before |= {user for (user, _, _), label in zip(events, labels, strict=True) if label in (VALID, VALID_INPUTS)}
    cold_users = {user for user, _, _ in targets} - before
    cold_items = {item for _, item, _ in targets} - {item for _, item, _ in train}
    assert cut.count_cold(part) == (len(cold_users), len(cold_items))


def test_targets_that_repeat_train_are_leaks():
    users, items = [1, 1, 1, 1], [1, 2, 3, 1]
    cut = split(dataset(users, items, [1, 2, 3, 4]), SplitConfig(split="leave-last"))
    assert cut.count_leaks("test") == LeakCounts(targets=1, older_than_train=0, older_than_own=0, repeated=1)
    assert cut.leaks == ("test: 1 of 1 (100%) targets repeat a given user and item",)


def test_inputs_masked_and_targets_follow_the_labels():
    data = dataset([1] * 6, np.arange(6), np.arange(6))
    cut = split(data, SplitConfig(split="time", ratios=(0.5, 0.25, 0.25)))  # 3, 1, 2
    assert cut.inputs("valid").item_rows.tolist() == [0, 1, 2]
    assert cut.inputs("test").item_rows.tolist() == [0, 1, 2, 3]
    assert cut.inputs("test", "train").item_rows.tolist() == [0, 1, 2]
    assert cut.masked("test", "train").item_rows.tolist() == [3]
    assert len(cut.masked("test")) == len(cut.masked("valid", "train")) == 0
    assert cut.targets("test").item_rows.tolist() == [4, 5]
    assert cut.training("train+valid").histories.items.tolist() == [0, 1, 2, 3]
