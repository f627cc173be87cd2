"""The deletion and insertion tests: against a plain loop, and with planted right and wrong explainers."""

from copy import copy
from typing import Any

import numpy as np
import pytest

import matinee as mt
from matinee.config import ValuesConfig
from matinee.errors import MatineeError
from matinee.evaluation import explanations
from matinee.evaluation.explanations import N_ITEMS, draw_others, measure_explanations
from matinee.histories import Histories
from matinee.models.base import Recommender
from matinee.ranking.explain import Explanation, explain
from matinee.ranking.rank import rank
from matinee.values import resolve
from matinee.vocab import UNKNOWN
from toy_models import SumOfRows

N_ITEMS_IN_ALL = 40


@pytest.fixture(scope="module")
def model() -> SumOfRows:
    return SumOfRows(np.random.default_rng(5).normal(size=(N_ITEMS_IN_ALL, N_ITEMS_IN_ALL)).tolist())


def some_histories(n_users: int, seed: int = 1) -> Histories:
    rng = np.random.default_rng(seed)
    return Histories.of([rng.permutation(N_ITEMS_IN_ALL)[: rng.integers(0, 15)].tolist() for _ in range(n_users)])


def random_reasons(model: Recommender[Any], histories: Histories, rows: np.ndarray) -> Explanation:
    """A planted wrong explainer: contributions at random."""
    found = explain(model, histories, rows)
    parts = np.random.default_rng(0).random(found.contributions.shape)
    return Explanation("exact", parts, found.item_bias, found.scores, found.examined)


def test_right_reasons_hold_and_random_ones_do_not(model: SumOfRows) -> None:
    histories = some_histories(400)
    items = rank(model, histories, 5).items
    right = measure_explanations(model, histories, None, items, rng=np.random.default_rng(1))
    assert right.holds
    assert all(one.low > (0.5 if name.endswith("wins") else 0) for name, one in right.measures.items())
    assert right.tested > 800
    wrong = measure_explanations(model, histories, None, items, rng=np.random.default_rng(1), explainer=random_reasons)
    assert not wrong.holds
    for name, one in wrong.measures.items():
        middle = 0.5 if name.endswith("wins") else 0
        assert one.low <= middle <= one.high, name


def scores_by_hand(model: SumOfRows, items: list[int]) -> np.ndarray:
    return sum((model.table[item].astype(float) for item in items), np.zeros(N_ITEMS_IN_ALL))


def rank_by_hand(scores: np.ndarray, item: int, out: set[int]) -> int:
    order = sorted((-score, other) for other, score in enumerate(scores) if other not in out)
    return 1 + order.index((-scores[item], item))


def test_the_measures_equal_a_plain_loop(model: SumOfRows, monkeypatch: pytest.MonkeyPatch) -> None:
    histories, masked = some_histories(30), Histories.of([[0, 7]] * 30)
    items = rank(model, histories, 5, masked=masked).items
    seen: list[Any] = []
    made = explanations._cases

    def noted(*args: Any) -> Any:
        seen.append(made(*args))
        return seen[0]

    monkeypatch.setattr(explanations, "_cases", noted)
    found = measure_explanations(model, histories, masked, items, rng=np.random.default_rng(2))
    cases = seen[0]
    own = [row.tolist() for row in np.split(histories.items, histories.starts[1:-1])]
    own = [history for history in own if history]  # users without a history are not drawn
    flat = [item for history in own for item in history]
    measured: dict[str, dict[int, list[float]]] = {name: {} for name in found.measures}
    for user, item, cited, drawn in zip(cases.users, cases.items, cases.cited, cases.drawn, strict=True):
        history, out = own[user], {*own[user], 0, 7}
        named = [[flat[event] for event in events if event != UNKNOWN] for events in (cited, drawn)]
        assert len(named[0]) == len(named[1])
        assert not set(named[0]) & set(named[1])
        assert {*named[0], *named[1]} <= set(history)
        scale = np.std([s for other, s in enumerate(scores_by_hand(model, history)) if other not in out])
        for test in ("deletion", "insertion"):
            with_cited, with_drawn = (
                scores_by_hand(model, [one for one in history if (one in those) == (test == "insertion")])
                for those in named
            )
            sign = 1 if test == "insertion" else -1
            further = sign * (with_cited[item] - with_drawn[item])
            ranks = [rank_by_hand(scores, item, out - {item}) for scores in (with_cited, with_drawn)]
            for kind, value in (
                ("score", further / scale),
                ("rank", sign * (ranks[1] - ranks[0])),
                ("wins", float(further > 0)),
            ):
                measured[f"{test}-{kind}"].setdefault(user, []).append(value)
    assert found.tested == len(cases.users) > 50
    for name, per_user in measured.items():
        assert found.users == len(per_user)
        assert found.measures[name].mean == pytest.approx(np.mean([np.mean(v) for v in per_user.values()]), rel=1e-4)


def test_other_events_are_drawn_evenly_and_never_twice() -> None:
    none = np.iinfo(np.int64).max
    positions = np.array([[3, 1], [0, none], [4, 3], [2, 0]]).repeat(6000, axis=0)
    lengths = np.array([5, 3, 5, 4]).repeat(6000)
    drawn = draw_others(positions, lengths, np.random.default_rng(0)).reshape(4, 6000, 2)
    for row, (taken, length) in enumerate([({3, 1}, 5), ({0}, 3), ({4, 3}, 5), ({2, 0}, 4)]):
        wanted = set(range(length)) - taken
        columns = drawn[row][:, : len(taken)]
        assert {*columns.ravel().tolist()} == wanted
        counts = np.bincount(columns.ravel(), minlength=length)[sorted(wanted)]
        assert counts == pytest.approx(np.full(len(wanted), columns.size / len(wanted)), rel=0.06)
        assert len(taken) == 1 or (columns[:, 0] != columns[:, 1]).all()


def test_what_is_disliked_is_neither_cited_nor_drawn(model: SumOfRows, monkeypatch: pytest.MonkeyPatch) -> None:
    weighing = copy(model)
    weighing.value_map = resolve(ValuesConfig.model_validate("linear:1=-1,3=0,5=1"), np.arange(1.0, 6.0))
    rng = np.random.default_rng(1)
    rows = [rng.permutation(N_ITEMS_IN_ALL)[:12].tolist() for _ in range(30)]
    histories = Histories.of(rows, [rng.integers(1, 6, 12).tolist() for _ in rows])
    seen: list[Any] = []
    made = explanations._cases
    monkeypatch.setattr(explanations, "_cases", lambda *args: seen.append(made(*args)) or seen[0])
    items = rank(weighing, histories, 5).items
    measure_explanations(weighing, histories, None, items, rng=np.random.default_rng(2))
    events = np.concatenate([seen[0].cited.ravel(), seen[0].drawn.ravel()])
    liked_users = np.unique(histories.owners[histories.values > 3])
    values = histories.take(liked_users).values[events[events != UNKNOWN]]
    assert len(values) > 50
    assert (values > 3).all()


def test_a_model_that_ignores_the_history_has_nothing_to_test() -> None:
    split = mt.split(mt.load("bundled"))
    report = mt.evaluate(mt.fit("popularity", split), split, k=(10,), samples=100, explanations=True)
    assert report.explanations is not None
    assert (report.explanations.method, report.explanations.tested) == ("none", 0)
    assert not report.explanations.holds
    assert "none to test" in report.notes()[-1]
    assert report.to_json()["explanations"]["measures"]["deletion-score"]["mean"] is None


@pytest.mark.slow
def test_evaluate_reports_them_and_changes_no_metric() -> None:
    split = mt.split(mt.load("bundled"))
    model = mt.fit("ease", split)
    plain, tested = (mt.evaluate(model, split, k=(10,), samples=100, explanations=asked) for asked in (False, True))
    assert plain.metrics == tested.metrics
    assert plain.explanations is None
    assert tested.explanations is not None
    assert tested.explanations.holds
    assert tested.explanations.users * N_ITEMS >= tested.explanations.tested
    again = mt.evaluate(model, split, k=(10,), samples=100, explanations=True)
    assert again.explanations == tested.explanations
    assert tested.to_json()["explanations"]["holds"] is True
    assert "without them an item falls" in tested.table()


@pytest.mark.slow
def test_a_split_by_session_is_refused() -> None:
    data = mt.load("bundled")
    split = mt.split(data, "session")
    with pytest.raises(MatineeError, match="one history a user"):
        mt.evaluate(mt.fit("markov", split), split, explanations=True)
