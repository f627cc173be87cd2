"""The bundled data set: content, licence and size."""

from importlib.resources import files

import numpy as np
import pytest

from matinee.config import ColumnsConfig
from matinee.data.loading import load
from matinee.errors import DataError

FOLDER = files("matinee.data") / "bundled"


def test_bundled_counts_match_the_published_ones():
    data = load("bundled")
    assert (len(data.events), len(data.users), len(data.items)) == (100_004, 671, 9066)
    assert data.name == "bundled"
    assert (data.kind, data.timed, data.notes) == ("rating", True, ())
    assert set(np.unique(data.events.values).tolist()) == {stars / 2 for stars in range(1, 11)}
    assert (data.events.times.min(), data.events.times.max()) == (789_652_009, 1_476_640_644)  # 1/1995 to 10/2016
    assert np.bincount(data.events.user_rows).min() >= 20  # MovieLens picked users with at least twenty ratings


def test_bundled_data_has_known_movies():
    data = load("bundled")
    alien = data.catalogue.row_of_title("Alien (1979)")
    assert data.items.id(alien) == 1214
    assert data.catalogue.genres[alien] == ("Horror", "Sci-Fi")
    assert data.catalogue.titles[data.items.row(858)] == "Godfather, The (1972)"
    assert data.catalogue.row_of_title("The Godfather") == data.items.row(858)
    assert "Misérables, Les (1995)" in data.catalogue.titles
    assert sum(year == 0 for year in data.catalogue.years) == 3
    assert all(title.strip() == title and title for title in data.catalogue.titles)


def test_bundled_titles_equal_those_of_the_2018_set(shared_data):
    ours, theirs = load("bundled"), load(shared_data("movielens-small-2018"))
    rows = theirs.items.rows(ours.items.ids)
    pairs = [(ours.catalogue.titles[a], theirs.catalogue.titles[b]) for a, b in enumerate(rows.tolist()) if b >= 0]
    assert len(pairs) > 7000
    assert (
        sum(a == b.strip() for a, b in pairs) >= len(pairs) - 3
    )  # one sequel was still unnamed, two series still running


def test_bundled_data_is_small_and_has_its_licence():
    assert sum((FOLDER / name).stat().st_size for name in ("ratings.parquet", "movies.parquet")) < 1_000_000
    licence = (FOLDER / "LICENSE-movielens.txt").read_text()
    for words in ("redistribute the data set", "commercial", "endorsement", "Harper and Joseph A. Konstan. 2015"):
        assert words in licence


@pytest.mark.parametrize("columns", [{"user": "x"}, {"encoding": "cp1252"}, {"kinds": ("view",)}])
def test_columns_of_the_bundled_log_are_refused_for_they_are_known(columns: dict[str, object]) -> None:
    (name,) = columns
    with pytest.raises(DataError, match=rf"bundled has known columns, so {name} would do nothing; leave that out"):
        load("bundled", ColumnsConfig.model_validate(columns))
