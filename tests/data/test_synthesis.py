"""Synthetic logs: their sizes, that nothing is drawn twice, that a part stands alone, and how close they come."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.data.synthesis import draw as drawing
from matinee.data.synthesis.draw import Population, draw, draw_part
from matinee.data.synthesis.files import write_parts
from matinee.data.synthesis.shape import LogShape, at
from matinee.errors import DataError, MatineeError


@pytest.fixture(scope="module")
def shape() -> LogShape:
    return LogShape.of(mt.load("bundled"))


@pytest.fixture(scope="module")
def population(shape: LogShape) -> Population:
    return Population.of(shape, 400, 900, 20_000, seed=1)


def test_a_synthetic_log_has_the_asked_sizes_and_nothing_twice(population: Population) -> None:
    (part,) = draw(population)
    assert len(part.user_rows) == 20_000
    assert np.unique(part.user_rows).tolist() == list(range(400))
    assert part.item_rows.min() >= 0
    assert part.item_rows.max() < 900
    assert len(np.unique(part.user_rows * 900 + part.item_rows)) == 20_000
    same_user = np.diff(part.user_rows) == 0
    assert (np.diff(part.times)[same_user] >= 0).all()
    assert set(part.values.tolist()) <= {0.5 * step for step in range(1, 11)}


def test_the_same_seed_gives_the_same_log_and_another_one_another(shape: LogShape) -> None:
    one, same, other = (next(draw(Population.of(shape, 50, 80, 600, seed))) for seed in (1, 1, 2))
    assert np.array_equal(one.item_rows, same.item_rows)
    assert np.array_equal(one.times, same.times)
    assert not np.array_equal(one.item_rows, other.item_rows)


def test_parts_do_not_depend_on_one_another(shape: LogShape, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "PART_EVENTS", 5_000)
    population = Population.of(shape, 400, 900, 20_000, seed=1)
    parts = population.parts()
    assert len(parts) == 4
    assert [parts[0].start, *(part.stop for part in parts)] == [0, *(part.start for part in parts[1:]), 400]
    last = draw_part(population, 3, parts[3])
    assert np.array_equal(last.item_rows, list(draw(population))[3].item_rows)


def test_popularity_and_activity_have_the_skew_of_the_real_log(shape: LogShape) -> None:
    real = mt.audit(mt.load("bundled"))
    made = mt.audit(mt.synthesize(seed=3))
    assert made.user_events.median == pytest.approx(real.user_events.median, rel=0.15)
    assert made.user_events.p95 == pytest.approx(real.user_events.p95, rel=0.2)
    assert made.top1_share == pytest.approx(real.top1_share, rel=0.25)
    assert made.gini == pytest.approx(real.gini, abs=0.08)
    assert made.time is not None
    assert real.time is not None
    assert made.time.sessions_per_user == pytest.approx(real.time.sessions_per_user, rel=0.2)


def test_an_item_is_as_popular_as_asked_although_each_user_has_it_once() -> None:
    counts = np.full(1000, 30)
    popularity = np.array([5.0, *[1.0] * 200])
    probabilities = drawing._probabilities(popularity, counts)
    draws = _draws_for(probabilities, 30)
    having = -np.expm1(-draws * probabilities) * 1000
    assert having == pytest.approx(popularity / popularity.sum() * 30_000, rel=0.01)


def _draws_for(probabilities: np.ndarray, n_items: int) -> float:
    """After how many draws a user has so many different items, by bisection."""
    low, high = 0.0, 1e6
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if -np.expm1(-middle * probabilities).sum() < n_items else (low, middle)
    return low


def test_a_quantile_function_goes_through_its_quantiles(shape: LogShape) -> None:
    assert at(shape.activity, np.array([0.0, 0.5, 0.9])) == pytest.approx(shape.activity[[0, 50, 90]], rel=0.03)


@pytest.mark.parametrize("sizes", [(10, 10, 9), (10, 10, 51), (1, 10, 5), (10, 1, 10)])
def test_sizes_that_do_not_fit_are_refused(shape: LogShape, sizes: tuple[int, int, int]) -> None:
    with pytest.raises(MatineeError, match="do not fit"):
        Population.of(shape, *sizes, seed=1)


def test_the_fullest_log_is_drawn(shape: LogShape) -> None:
    (part,) = draw(Population.of(shape, 10, 10, 50, seed=1))
    assert np.bincount(part.user_rows).tolist() == [5] * 10


def test_clicks_without_times_have_a_shape_too() -> None:
    rng = np.random.default_rng(1)
    clicks = mt.events({"user": rng.integers(0, 20, 100), "item": rng.integers(0, 40, 100)})
    made = mt.synthesize(30, 20, 100, like=clicks)
    assert made.kind == "click"
    assert len(made.events) == 100


def test_a_log_that_is_too_small_is_refused() -> None:
    with pytest.raises(DataError, match="a shape needs two of each"):
        mt.synthesize(like=mt.events({"user": [1, 1], "item": [1, 2]}))
    with pytest.raises(MatineeError, match="whole number"):
        mt.synthesize(users=2.5)  # type: ignore[arg-type]
    with pytest.raises(MatineeError, match=r"mt\.synthesize\(\.\.\., like=mt\.load\('log\.csv'\)\)"):
        mt.synthesize(like="log.csv")  # type: ignore[arg-type]


def test_files_go_on_where_they_were_interrupted_and_read_as_one_log(
    shape: LogShape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "PART_EVENTS", 5_000)
    population = Population.of(shape, 400, 900, 20_000, seed=1)
    folder = tmp_path / "log"
    assert write_parts(population, folder) == 4
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "part-00002.parquet").unlink()
    kept = (folder / "part-00001.parquet").stat().st_mtime_ns
    write_parts(population, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole
    assert (folder / "part-00001.parquet").stat().st_mtime_ns == kept
    data = mt.load(folder)
    assert (len(data.users), len(data.events)) == (400, 20_000)
    with pytest.raises(MatineeError, match="is of something else"):
        write_parts(Population.of(shape, 400, 900, 20_000, seed=2), folder)
    (folder / "notes.txt").write_text("mine", "utf-8")
    with pytest.raises(MatineeError, match=r"has notes\.txt"):
        write_parts(population, folder)


def test_a_shape_that_was_fitted_is_compared_with_its_log() -> None:
    from matinee.workflow.synthesizing import compare_logs, shape_of

    real = mt.keep(mt.load("bundled"), sample_users=150, min_item_events=5)
    shape = shape_of(real)
    assert 0 <= shape.taste <= 0.9
    found = compare_logs(real, shape).to_frame()
    assert {"Gini of item popularity", "NDCG@10 of ease"} <= set(found["statistic"])
    assert isinstance(found, pl.DataFrame)
