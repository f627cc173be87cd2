"""The split by session, and the inputs and targets of its evaluation, against plain loops."""

from dataclasses import replace

import numpy as np
import pytest

from matinee.catalogue import Catalogue
from matinee.config import EvaluationConfig, SplitConfig
from matinee.data.prefixes import Prefixes
from matinee.data.splits import TEST, TEST_INPUTS, TRAIN, UNUSED, VALID, VALID_INPUTS, Split, split
from matinee.data.synthetic import zipf_log
from matinee.dataset import Dataset, Events
from matinee.errors import DataError, MatineeError
from matinee.evaluation.bootstrap import Exposures, intervals
from matinee.evaluation.evaluate import evaluate, validation
from matinee.evaluation.metrics import PerUser
from matinee.evaluation.task import Task
from matinee.histories import Histories, last_of_each
from matinee.models import create
from matinee.models.base import Recommender
from matinee.ranking.rank import rank
from matinee.training.run import Run
from matinee.vocab import Vocab

HOUR = 3600
RATIOS = (0.6, 0.2, 0.2)


def dataset(users, items, times, timed=True) -> Dataset:
    known_users, user_rows = Vocab.index(np.asarray(users))
    known_items, item_rows = Vocab.index(np.asarray(items))
    events = Events.ordered(user_rows, item_rows, np.ones(len(user_rows)), np.asarray(times))
    titles = Catalogue.of([f"Movie {i}" for i in known_items.ids.tolist()])
    return Dataset("made", known_users, known_items, events, titles, timed=timed)


def log(repeats: bool = False) -> Dataset:
    """Users with several sessions; with repeats, some items recur within a session and in a later one."""
    data = zipf_log(60, 40, 500, np.random.default_rng(3))
    if not repeats:
        return data
    events, rng = data.events, np.random.default_rng(0)
    items = np.where(rng.random(len(events)) < 0.3, rng.integers(5, size=len(events)), events.item_rows)
    return replace(data, events=Events(events.user_rows, items.astype(np.int32), events.values, events.times))


def cut(data: Dataset, **settings) -> Split:
    return split(data, SplitConfig(split="session", ratios=RATIOS, gap="1h", **settings))


def sessions_of(data: Dataset) -> list[list[int]]:
    """Every session as indices of events, by a loop."""
    found: list[list[int]] = []
    events = data.events
    for index in range(len(events)):
        same = index > 0 and events.user_rows[index] == events.user_rows[index - 1]
        if same and events.times[index] - events.times[index - 1] <= HOUR:
            found[-1].append(index)
        else:
            found.append([index])
    return found


def parts_of(data: Dataset) -> dict[int, list[list[int]]]:
    """Sessions of 2 or more events by start time, split by RATIOS: floor, floor, rest."""
    kept = [session for session in sessions_of(data) if len(session) >= 2]
    kept.sort(key=lambda session: (data.events.times[session[0]], session[0]))
    n_train, n_valid = int(len(kept) * RATIOS[0]), int(len(kept) * RATIOS[1])
    return {TRAIN: kept[:n_train], VALID: kept[n_train : n_train + n_valid], TEST: kept[n_train + n_valid :]}


def points_of(data: Dataset, part: int, *, earlier: bool, last: bool, repeat: bool) -> list[tuple[int, list[int], int]]:
    """(user row, input item rows, target item row) of every prediction, by a loop."""
    events, parts = data.events, parts_of(data)
    usable = [session for label in (TRAIN, VALID, TEST) for session in parts[label] if label <= part]
    found = []
    for session in sorted(parts[part]):
        user = events.user_rows[session[0]]
        before = [
            index
            for other in sorted(usable)
            if earlier and other[0] < session[0] and events.user_rows[other[0]] == user
            for index in other
        ]
        for number in range(1, len(session)):
            inputs = [int(events.item_rows[index]) for index in before + session[:number]]
            target = int(events.item_rows[session[number]])
            if (not last or number == len(session) - 1) and (repeat or target not in inputs):
                found.append((int(user), inputs, target))
    return found


def last_only(items: list[int]) -> list[int]:
    """Keep the last occurrence of each item."""
    return [item for index, item in enumerate(items) if item not in items[index + 1 :]]


def test_session_labels_against_a_loop() -> None:
    data = log()
    found = cut(data)
    wanted = np.full(len(data.events), UNUSED)
    parts = parts_of(data)
    for label, inputs in ((TRAIN, TRAIN), (VALID, VALID_INPUTS), (TEST, TEST_INPUTS)):
        assert len(parts[label]) > 10
        for session in parts[label]:
            wanted[session] = label
            wanted[session[0]] = inputs
    np.testing.assert_array_equal(found.labels, wanted)
    assert (wanted == UNUSED).sum() > 5
    counts = [len(parts[label]) for label in (TRAIN, VALID, TEST)]
    assert found.notes[0] == f"session: {counts[0]} sessions in train, {counts[1]} in valid, {counts[2]} in test"
    assert found.notes[2].endswith(f"have fewer than 2 events ({(wanted == UNUSED).sum()} events) and are left out")


def test_sessions_stay_whole_and_the_latest_are_test() -> None:
    data = log()
    found = cut(data)
    sessions = found.sessions
    assert sessions is not None
    part = found.labels[sessions.starts[1:] - 1]  # of each session's last event
    begun = {label: sessions.start_times[part == label] for label in (TRAIN, VALID, TEST)}
    assert begun[TRAIN].max() <= begun[VALID].min() <= begun[VALID].max() <= begun[TEST].min()
    for start, stop in zip(sessions.starts[:-1], sessions.starts[1:], strict=True):
        assert len({(label + 1) // 2 for label in found.labels[start:stop].tolist()}) == 1


@pytest.mark.parametrize("refit", ["train", "train+valid"])
def test_without_earlier_each_session_is_a_training_history(refit: str) -> None:
    data = log()
    histories = cut(data).training(refit).histories
    parts = parts_of(data)
    wanted = sorted(parts[TRAIN] + (parts[VALID] if refit == "train+valid" else []))
    assert len(histories) == len(wanted)
    for index, session in enumerate(wanted):
        mine = histories.take(np.array([index]))
        assert mine.items.tolist() == data.events.item_rows[session].tolist()
        assert mine.times.tolist() == data.events.times[session].tolist()
        assert mine.user_rows.tolist() == [data.events.user_rows[session[0]]]


def test_with_earlier_each_user_is_a_training_history() -> None:
    data = log()
    histories = cut(data, earlier=True).training().histories
    wanted: dict[int, list[int]] = {}
    for session in sorted(parts_of(data)[TRAIN]):
        wanted.setdefault(int(data.events.user_rows[session[0]]), []).extend(data.events.item_rows[session].tolist())
    assert histories.user_rows.tolist() == sorted(wanted)
    for index, user in enumerate(sorted(wanted)):
        assert histories.take(np.array([index])).items.tolist() == wanted[user]


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("predict", ["every", "last"])
@pytest.mark.parametrize("repeat", [False, True])
@pytest.mark.parametrize(("on", "part"), [("valid", VALID), ("test", TEST)])
def test_session_inputs_and_targets_against_a_loop(
    earlier: bool, predict: str, repeat: bool, on: str, part: int
) -> None:
    data = log(repeats=True)
    config = EvaluationConfig(on=on, predict=predict, repeat=repeat)
    task = Task.of(cut(data, earlier=earlier), config)
    wanted = points_of(data, part, earlier=earlier, last=predict == "last", repeat=repeat)
    every = points_of(data, part, earlier=earlier, last=predict == "last", repeat=True)
    assert task.n_seen == len(every) - len(wanted)
    assert (task.n_seen > 0) != repeat
    assert task.targets.items.tolist() == [target for _, _, target in wanted]
    assert task.user_rows.tolist() == sorted({user for user, _, _ in wanted})
    assert [task.user_rows[owner] for owner in task.owners] == [user for user, _, _ in wanted]
    assert isinstance(task.histories, Prefixes)
    inputs = task.histories.block(0, len(task.histories))
    for index, (user, items, _) in enumerate(wanted):
        assert inputs.items[inputs.starts[index] : inputs.starts[index + 1]].tolist() == last_only(items)
        assert inputs.user_rows[index] == user


@pytest.mark.parametrize("n_events", [1, 7, 100, 10**6])
def test_blocks_contain_every_prefix_once(n_events: int) -> None:
    task = Task.of(cut(log()), EvaluationConfig())
    prefixes = task.histories
    assert isinstance(prefixes, Prefixes)
    blocks = list(prefixes.blocks(n_events))
    assert [start for start, _ in blocks] == [0, *(stop for _, stop in blocks)][:-1]
    assert blocks[-1][1] == len(prefixes)
    for start, stop in blocks:
        block = prefixes.block(start, stop)
        assert len(block.items) <= n_events or stop - start == 1
        assert np.diff(block.starts).tolist() == prefixes.lengths[start:stop].tolist()


def lists_by_loop(model: Recommender, points, k: int, repeat: bool) -> list[list[int]]:
    return [
        rank(model, last_of_each(Histories.of([inputs])), k, repeat=repeat).items[0].tolist() for _, inputs, _ in points
    ]


@pytest.mark.parametrize("name", ["markov", "ease", "popularity"])
@pytest.mark.parametrize(("predict", "earlier", "repeat"), [("every", False, False), ("last", True, True)])
def test_session_metrics_against_a_loop(name: str, predict: str, earlier: bool, repeat: bool) -> None:
    data = log(repeats=True)
    over = cut(data, earlier=earlier)
    model = create(name).fit(over.training(), Run.seeded(1))
    config = EvaluationConfig(k=(3, 10), samples=100, predict=predict, repeat=repeat)
    report = evaluate(model, over, config, rng=np.random.default_rng(1))
    points = points_of(data, TEST, earlier=earlier, last=predict == "last", repeat=repeat)
    assert report.targets == len(points)
    lists = lists_by_loop(model, points, 10, repeat)
    ranks = [
        items.index(target) + 1 if target in items else np.inf
        for items, (_, _, target) in zip(lists, points, strict=True)
    ]
    for k in (3, 10):
        hit = np.array([rank <= k for rank in ranks])
        gain = np.array([1 / np.log2(rank + 1) if rank <= k else 0.0 for rank in ranks])
        reciprocal = np.array([1 / rank if rank <= k else 0.0 for rank in ranks])
        assert report.metrics[f"hit-rate@{k}"].mean == pytest.approx(hit.mean())
        assert report.metrics[f"recall@{k}"].mean == pytest.approx(hit.mean())
        assert report.metrics[f"ndcg@{k}"].mean == pytest.approx(gain.mean())
        assert report.metrics[f"mrr@{k}"].mean == pytest.approx(reciprocal.mean())
        listed = {item for items in lists for item in items[:k] if item >= 0}
        assert report.metrics[f"coverage@{k}"].mean == pytest.approx(len(listed) / len(data.items))
    users = np.array([user for user, _, _ in points])
    of_user = report.per_user["hit-rate@10"]
    for index, user in enumerate(report.user_rows):  # a user's value is the mean over their predictions
        assert of_user.values[index] == pytest.approx(hit[users == user].mean())
        assert of_user.weights[index] == (users == user).sum()
    assert report.users == len(np.unique(users))
    assert ("lists may contain items seen before" in report.notes()) == repeat
    assert any(f"({len(points)} predictions)" in note for note in report.notes())


def test_block_size_does_not_change_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    over = cut(log(repeats=True))
    model = create("markov").fit(over.training(), Run.seeded(1))
    whole = evaluate(model, over, rng=np.random.default_rng(1))
    monkeypatch.setattr(Prefixes.blocks, "__defaults__", (50,))
    blocked = evaluate(model, over, rng=np.random.default_rng(1))
    assert blocked.metrics == whole.metrics


def test_later_events_do_not_change_earlier_predictions() -> None:
    data = log()
    over = cut(data, earlier=True)
    model = create("markov").fit(over.training(), Run.seeded(1))
    task = Task.of(over, EvaluationConfig())
    inputs, _ = next(task.batches())
    middle = len(inputs) // 2
    index = int(task.histories.stops[middle])  # the index of its target and all later events
    events = task.histories.events
    items = events.item_rows.copy()
    items[index:] = items[index:][::-1]
    changed = replace(task.histories, events=replace(events, item_rows=items)).block(0, len(inputs))
    before = task.histories.stops <= index
    np.testing.assert_array_equal(
        rank(model, inputs.take(np.flatnonzero(before)), 5).items,
        rank(model, changed.take(np.flatnonzero(before)), 5).items,
    )


def test_a_heavy_user_does_not_narrow_the_confidence_interval() -> None:
    """Predictions of one user are correlated, so the bootstrap draws users."""
    rng = np.random.default_rng(0)
    good = rng.random(40) < 0.5  # a user's targets are either all hit or all missed
    owners = np.repeat(np.arange(40), 50)
    by_list = PerUser(good[owners].astype(float))
    by_user = by_list.pooled(owners, 40)
    assert by_user.mean == pytest.approx(by_list.mean)
    items = (owners % 9).astype(np.int32)[:, None]
    of_lists = intervals({"hit-rate@1": by_list}, Exposures(items, 9, [1]), 2000, rng)
    of_users = intervals({"hit-rate@1": by_user}, Exposures(items, 9, [1], owners), 2000, rng)
    for name in ("hit-rate@1", "gini@1"):
        width = [found[name].high - found[name].low for found in (of_lists, of_users)]
        assert width[1] / width[0] > 3, name  # 40 users instead of 2,000: 7 times as wide, if metrics were unbounded
        assert of_lists[name].mean == pytest.approx(of_users[name].mean)


def test_validation_predicts_the_last_event_of_each_session() -> None:
    over = cut(log())
    model = create("markov").fit(over.training(), Run.seeded(1))
    config = EvaluationConfig(k=(10,), on="valid", predict="last", samples=100)
    wanted = evaluate(model, over, config, rng=np.random.default_rng(1)).metrics["ndcg@10"].mean
    assert validation(over)(model) == pytest.approx(wanted)


def test_valid_is_not_in_the_training_data() -> None:
    over = cut(log())
    model = create("popularity").fit(over.training("train+valid"), Run.seeded(1))
    with pytest.raises(MatineeError, match="use --refit train with --on valid"):
        evaluate(model, over, EvaluationConfig(on="valid", refit="train+valid"), rng=np.random.default_rng(1))


def test_a_session_cannot_be_input_without_its_earlier_events() -> None:
    with pytest.raises(MatineeError, match="inputs train\\+valid is the only choice"):
        Task.of(cut(log(), earlier=True), EvaluationConfig(inputs="train"))


def test_no_targets_raises() -> None:
    # the test session has the same item twice, and lists do not repeat items
    data = dataset([1, 1, 2, 2, 3, 3], [1, 2, 2, 1, 3, 3], [0, 1, 9000, 9001, 99_000, 99_001])
    with pytest.raises(MatineeError, match="no session of data made has a new item in test"):
        Task.of(split(data, SplitConfig(split="session", ratios=(0.7, 0.0, 0.3))), EvaluationConfig())


def test_session_leaks_count_prefixes() -> None:
    # sessions do not overlap: nothing leaks, though a user's later test session is newer than their first one's targets
    users, items = [1, 1, 1, 1, 1, 1], [1, 2, 3, 4, 5, 6]
    times = np.repeat([0, 10_000, 20_000], 2) + np.tile([0, 1], 3)
    found = split(dataset(users, items, times), SplitConfig(split="session", ratios=(0.4, 0.0, 0.6)))
    assert found.labels.tolist() == [TRAIN, TRAIN, TEST_INPUTS, TEST, TEST_INPUTS, TEST]
    assert found.leaks == ()
    # user 1's session of train goes on while user 2's of test is over
    over = dataset([1, 1, 1, 2, 2], [1, 2, 3, 1, 2], [0, 3000, 6000, 10, 20])
    assert split(over, SplitConfig(split="session", ratios=(0.5, 0.0, 0.5))).leaks == (
        "test: 1 of 1 (100%) targets are older than an event in train",
    )


@pytest.mark.parametrize("ratios", [(1.0, 0.0, 0.0), (0.8, 0.2, 0.0), (0.8, 0.0, 0.2)])
def test_session_ratios(ratios: tuple[float, float, float]) -> None:
    found = split(log(), SplitConfig(split="session", ratios=ratios))
    sizes = found.sizes()
    assert [size > 0 for size in sizes.values()] == [share > 0 for share in ratios]


def test_logs_without_times_keep_file_order() -> None:
    data = dataset([1, 2, 1, 2, 1, 2], [5, 1, 3, 2, 4, 3], np.zeros(6, dtype=np.int64), timed=False)
    with pytest.raises(DataError, match="made has no times"):
        cut(data)
    last = split(data, SplitConfig(split="leave-last"))
    assert last.notes == ("leave-last: the log has no times, so each user's last event is the last in the log",)
    inputs = Task.of(last, EvaluationConfig()).histories
    assert data.items.ids[inputs.items].tolist() == [5, 3, 1, 2]  # train, then valid
    assert data.items.ids[last.targets("test").item_rows].tolist() == [4, 3]
