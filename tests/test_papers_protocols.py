"""Protocols of papers: candidates from a file, what lists leave out, and repeated random splits."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.cli.entries import folds
from matinee.config import EvaluationConfig, SplitConfig
from matinee.data.splits import Split
from matinee.data.synthetic import zipf_log
from matinee.errors import MatineeError, UsageError
from matinee.evaluation.cross_validation import pooled
from matinee.evaluation.task import Task
from matinee.experiment import Experiment
from matinee.store.artefact import Artefact
from matinee.workflow import prepare
from matinee.workflow.planned_fits import PlannedFit

Write = Callable[..., str]


@pytest.fixture(scope="module")
def split() -> Split:
    return mt.split(zipf_log(60, 80, 900, np.random.default_rng(3)), "leave-last")


@pytest.fixture(scope="module")
def model(split: Split) -> Artefact:
    return mt.fit("ease", split, l2=5.0)


@pytest.fixture(scope="module")
def drawn(split: Split) -> dict[int, tuple[int, list[int]]]:
    """For each user with a target: it and nine items that the user has not seen, as ids."""
    rng = np.random.default_rng(5)
    found = {}
    events, items = split.data.events, split.data.items
    test = split.targets("test")
    for user, target in zip(test.user_rows.tolist(), test.item_rows.tolist(), strict=True):
        seen = set(events.item_rows[events.user_rows == user].tolist())
        unseen = [item for item in range(len(items)) if item not in seen]
        chosen = rng.choice(unseen, min(9, len(unseen)), replace=False).tolist()
        found[int(split.data.users.id(user))] = int(items.id(target)), [int(items.id(item)) for item in chosen]
    return found


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str | bytes, name: str = "candidates.csv") -> str:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def table_of(drawn: dict[int, tuple[int, list[int]]]) -> str:
    rows = [f"{user},{item}" for user, (target, others) in drawn.items() for item in [target, *others]]
    return "\n".join(["userId,movieId", *reversed(rows)]) + "\n"


def ncf_of(drawn: dict[int, tuple[int, list[int]]]) -> str:
    return "".join(f"({user},{target})\t" + "\t".join(map(str, rest)) + "\n" for user, (target, rest) in drawn.items())


def by_plain_loop(
    model: Artefact, split: Split, drawn: dict[int, tuple[int, list[int]]], k: int
) -> tuple[float, float]:
    """Hit rate and NDCG at k with one target among a user's candidates, ties by item row."""
    hits, gains = [], []
    task = Task.of(split, EvaluationConfig())
    for index, user_row in enumerate(task.user_rows.tolist()):
        target, others = drawn[int(split.data.users.id(user_row))]
        scores = model.model.score(model.model.state_of(task.histories.take(np.array([index]))))[0]  # type: ignore[union-attr]
        row = split.data.items.row(target)
        better = 0
        for other in split.data.items.rows(others).tolist():
            better += scores[other] > scores[row] or (scores[other] == scores[row] and other < row)
        hits.append(better < k)
        gains.append(1 / np.log2(better + 2) if better < k else 0.0)
    return float(np.mean(hits)), float(np.mean(gains))


@pytest.mark.parametrize("form", ["table", "ncf", "gzip", "parquet"])
def test_lists_of_candidates_are_those_of_a_plain_loop(
    form: str, model: Artefact, split: Split, drawn: dict[int, tuple[int, list[int]]], write: Write
) -> None:
    text = ncf_of(drawn) if form == "ncf" else table_of(drawn)
    path = write(gzip.compress(text.encode()) if form == "gzip" else text)
    if form == "parquet":
        rows = [(user, item) for user, (target, others) in drawn.items() for item in [target, *others]]
        path = path.replace(".csv", ".parquet")
        pl.DataFrame(rows, ["user", "item"], orient="row").write_parquet(path)
    report = mt.evaluate(model, split, (3, 20), candidates=path)
    for k in (3, 20):
        expected = by_plain_loop(model, split, drawn, k)
        assert [report.metrics[f"{name}@{k}"].mean for name in ("hit-rate", "ndcg")] == pytest.approx(expected)
    assert report.metrics["hit-rate@20"].mean == 1.0  # the list holds all ten candidates
    plain = mt.evaluate(model, split, 3)
    assert report.metrics["hit-rate@3"].mean > plain.metrics["hit-rate@3"].mean
    assert report.candidates is not None
    assert (report.candidates["least"], report.candidates["most"]) == (10, 10)
    assert "sampled candidates" in report.headline()
    assert any(note.startswith("sampled: each list ranks only the 10 candidates") for note in report.notes())


def test_a_number_draws_items_without_events_of_the_user(model: Artefact, split: Split) -> None:
    task = Task.of(split, EvaluationConfig(candidates="9"))
    lists = task.candidates
    assert lists is not None
    assert lists.user_rows.tolist() == task.user_rows.tolist()
    events, drawn = split.data.events, {}
    for index, user in enumerate(task.user_rows.tolist()):
        seen = set(events.item_rows[events.user_rows == user].tolist())
        found, targets = (
            lists.take(np.array([index])).items.tolist(),
            task.targets.take(np.array([index])).items.tolist(),
        )
        assert found == sorted(set(found))
        assert seen & set(found) == set(targets)
        assert len(found) == 9 + len(targets) == 10
        ids = [int(split.data.items.id(row)) for row in found]
        target = int(split.data.items.id(targets[0]))
        drawn[int(split.data.users.id(user))] = target, [each for each in ids if each != target]
    counts = np.bincount(lists.items, minlength=task.n_items)
    assert np.count_nonzero(counts) > 0.9 * task.n_items  # not the same items for everyone
    report = mt.evaluate(model, split, 3, candidates="9")
    expected = by_plain_loop(model, split, drawn, 3)
    assert [report.metrics[f"{name}@3"].mean for name in ("hit-rate", "ndcg")] == pytest.approx(expected)
    assert any("the 10 candidates that are its user's targets and items drawn" in note for note in report.notes())
    again = mt.evaluate("popularity", split, 3, candidates="9")
    assert report.user_rows.tolist() == again.user_rows.tolist()
    other = mt.split(split.data, "leave-last", seed=1)
    assert Task.of(other, EvaluationConfig(candidates="9")).candidates.items.tolist() != lists.items.tolist()  # type: ignore[union-attr]


def test_a_number_of_drawn_items_is_at_least_one_and_at_most_what_there_is(model: Artefact, split: Split) -> None:
    for number in (0, "0", "-3"):
        with pytest.raises(MatineeError, match=r"at least 1, such as 99"):
            mt.evaluate(model, split, candidates=number)  # type: ignore[arg-type]  # numbers too
    of_all = mt.evaluate(model, split, 3, candidates="5000", mask="none")
    expected = mt.evaluate(model, split, 3)  # what the user has no event with, and the target
    assert of_all.metrics["ndcg@3"].mean == pytest.approx(expected.metrics["ndcg@3"].mean)


def first(drawn: dict[int, tuple[int, list[int]]]) -> tuple[int, int, int]:
    user = next(iter(drawn))
    return user, drawn[user][0], drawn[user][1][0]


BAD: dict[str, tuple[Callable[[tuple[int, int, int]], str], str]] = {
    "an unknown user": (lambda f: f"user,item\n{f[0]},{f[1]}\n9999,{f[1]}\n", "line 3: no user '9999' in the data"),
    "an unknown item": (lambda f: f"user,item\n{f[0]},{f[1]}\n{f[0]},abc\n", "line 3: no item 'abc' in the data"),
    "a row twice": (lambda f: f"user,item\n{f[0]},{f[1]}\n{f[0]},{f[2]}\n{f[0]},{f[1]}\n", "line 4: user"),
    "no positive": (lambda f: f"user,item\n{f[0]},{f[2]}\n", "no target of user"),
    "other column names": (lambda f: f"left,right\n{f[0]},{f[1]}\n", "no column for the user among 'left', 'right'"),
    "no column of items": (lambda f: f"user,score\n{f[0]},{f[1]}\n", "no column for the item among 'user', 'score'"),
    "a blank cell": (lambda f: f"user,item\n{f[0]},{f[1]}\n{f[0]},\n", "line 3"),
    "no rows": (lambda f: "user,item\n", ""),
    "nothing": (lambda f: "", ""),
    "NCF, no target": (lambda f: f"({f[0]},{f[1]})\t{f[2]}\n({f[0]})\t{f[2]}\n", "line 2: not `(user,target)`"),
    "NCF, its target again": (lambda f: f"({f[0]},{f[1]})\t{f[2]}\t{f[1]}\n", "line 1: user"),
    "NCF, unknown": (lambda f: f"({f[0]},{f[1]})\t{f[2]}\t777777\n", "line 1: no item '777777'"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_of_candidates_is_named_with_its_line(
    kind: str, model: Artefact, split: Split, drawn: dict[int, tuple[int, list[int]]], write: Write
) -> None:
    make, expected = BAD[kind]
    with pytest.raises(MatineeError) as caught:
        mt.evaluate(model, split, candidates=write(make(first(drawn))))
    assert expected in str(caught.value)
    assert "candidates.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_seen_candidate_is_named_unless_lists_may_have_seen_items(
    model: Artefact, split: Split, drawn: dict[int, tuple[int, list[int]]], write: Write
) -> None:
    user, target, _ = first(drawn)
    seen = split.inputs("test")
    item = split.data.items.id(int(seen.item_rows[seen.user_rows == split.data.users.row(user)][0]))
    path = write(f"user,item\n{user},{target}\n{user},{item}\n")
    with pytest.raises(MatineeError, match=f"line 3: user {user} has seen item {item}"):
        mt.evaluate(model, split, candidates=path)
    report = mt.evaluate(model, split, candidates=path, mask="none")
    assert report.users == 1
    assert report.candidates is not None
    assert report.candidates["users_without"] == len(drawn) - 1
    assert any("users with targets have no candidates" in note for note in report.notes())


def test_users_of_another_split_and_sessions_are_refused(
    model: Artefact, split: Split, drawn: dict[int, tuple[int, list[int]]], write: Write
) -> None:
    cold = np.setdiff1d(np.arange(len(split.data.users)), split.targets("test").user_rows)
    user, target, _ = first(drawn)
    path = write(f"user,item\n{user},{target}\n")
    if len(cold):
        other = write(f"user,item\n{split.data.users.id(int(cold[0]))},{target}\n", "other.csv")
        with pytest.raises(MatineeError, match=r"has a target; it is for another split|has seen item"):
            mt.evaluate(model, split, candidates=other)
    sessions = mt.split(split.data, "session", gap="1h")
    with pytest.raises(UsageError, match="no effect on split session"):
        mt.evaluate("popularity", sessions, candidates=path)
    with pytest.raises(UsageError, match="mask = none has no effect on split session"):
        mt.evaluate("popularity", sessions, mask="none")


def test_a_changed_file_of_candidates_is_measured_again(drawn: dict[int, tuple[int, list[int]]], write: Write) -> None:
    path = write(table_of(drawn))
    plan = PlannedFit("ease", Experiment(model="ease", evaluation=EvaluationConfig(candidates=path)), 42)
    before = plan.about("data")
    write(table_of(dict(list(drawn.items())[1:])))
    assert plan.about("data") != before


def test_what_lists_leave_out_is_that_of_a_plain_loop(model: Artefact, split: Split) -> None:
    train, valid = split.training().histories, split.targets("valid")
    for mask in ("seen", "train", "none"):
        report = mt.evaluate(model, split, 10, mask=mask)
        task = Task.of(split, EvaluationConfig())
        hits = []
        for index, user in enumerate(task.user_rows.tolist()):
            scores = model.model.score(model.model.state_of(task.histories.take(np.array([index]))))[0].astype(float)  # type: ignore[union-attr]
            if mask != "none":
                scores[train.items[train.owners == np.flatnonzero(train.user_rows == user)[0]]] = -np.inf
            if mask == "seen":
                scores[valid.item_rows[valid.user_rows == user]] = -np.inf
            best = np.argsort(-scores, kind="stable")[:10]
            hits.append(bool(np.isin(task.targets.items[task.targets.owners == index], best).any()))
        assert report.metrics["hit-rate@10"].mean == pytest.approx(np.mean(hits)), mask
        assert ("lists" in " ".join(report.notes())) == (mask != "seen")


def test_repeated_random_splits_are_the_mean_of_each(split: Split, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    split.data.to_frame().select("user", "item").write_csv(log)
    config = SplitConfig(ratios=(0.8, 0.0, 0.2), repeats=3, seed=7)
    experiment = Experiment(model="item-knn", data=str(log), split=config)
    reports, sets = [], []
    for one in folds(experiment):
        assert (one.split.repeats, one.split.ratios) == (1, (0.8, 0.0, 0.2))
        drawn = prepare(one)
        sets.append(frozenset(np.flatnonzero(drawn.labels == drawn.labels.max()).tolist()))
        assert not len(drawn.targets("valid"))
        reports.append(mt.evaluate(mt.fit("item-knn", drawn), drawn, 5))
    assert [one.split.seed for one in folds(experiment)] == [7, 8, 9]
    assert len(set(sets)) == 3
    found = pooled(reports, np.random.default_rng(0))
    assert found.split["repeats"] == 3
    by_user: dict[int, list[float]] = {}
    for report in reports:
        for user, value in zip(report.user_rows.tolist(), report.per_user["recall@5"].values.tolist(), strict=True):
            by_user.setdefault(user, []).append(value)
    assert found.metrics["recall@5"].mean == pytest.approx(
        sum(map(sum, by_user.values())) / sum(map(len, by_user.values()))
    )
    with pytest.raises(UsageError, match="repeats = 3 draws several splits"):
        prepare(experiment)


def test_a_search_and_the_baseline_follow_the_candidates(
    model: Artefact, split: Split, drawn: dict[int, tuple[int, list[int]]], write: Write
) -> None:
    path = write(ncf_of(drawn))
    found: Any = mt.tune("ease", split, trials=2, fields=["l2"], evaluation={"candidates": path})
    assert found.value == mt.tune("ease", split, trials=2, fields=["l2"]).value  # valid has lists of all items
    comparison = mt.compare([model, "popularity"], split, candidates=path)
    assert "sampled candidates" in comparison.overview().headline
    assert json.loads(json.dumps(comparison.to_json()))["reports"][0]["candidates"]["users"] == len(drawn)
