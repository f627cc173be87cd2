"""A data set written once as Parquet loads as the same data set."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import matinee as mt
from matinee.catalogue import Catalogue
from matinee.data.loading import load
from matinee.data.parquet import write_parquet
from matinee.dataset import Dataset, Events
from matinee.errors import MatineeError
from matinee.vocab import Vocab
from note_kinds import changes

IDS = st.one_of(
    st.integers(-(2**62), 2**62), st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
)


def same(one: Dataset, other: Dataset) -> bool:
    catalogues = [(data.catalogue.titles, data.catalogue.years, data.catalogue.genres) for data in (one, other)]
    return (
        (one.fingerprint, one.kind, one.timed) == (other.fingerprint, other.kind, other.timed)
        and catalogues[0] == catalogues[1]
        and one.catalogue.tags == other.catalogue.tags
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(IDS, IDS, st.floats(-1e6, 1e6, width=32), st.integers(0, 2**31 - 2)), min_size=1, max_size=30),
    st.booleans(),
    st.booleans(),
)
def test_any_log_comes_back(tmp_path_factory, rows, valued, timed):
    users, items, values, times = (list(column) for column in zip(*rows, strict=True))
    known_users, known_items = Vocab.of(users), Vocab.of(items)
    events = Events.ordered(
        known_users.rows(users),
        known_items.rows(items),
        np.array(values) if valued else np.ones(len(rows)),
        np.array(times) if timed else np.zeros(len(rows), dtype=np.int64),
    )
    keys = events.user_rows.astype(np.int64) * len(known_items) + events.item_rows
    last = len(keys) - 1 - np.unique(keys[::-1], return_index=True)[1]
    titles = Catalogue.of([str(id) for id in known_items.ids.tolist()])
    kind = "rating" if valued else "click"
    data = Dataset("made", known_users, known_items, events.take(np.sort(last)), titles, kind=kind, timed=timed)
    path = tmp_path_factory.mktemp("parquet") / "made.parquet"
    write_parquet(data, path)
    assert load(path, now=2**31).fingerprint == data.fingerprint
    assert (load(path, now=2**31).kind, load(path, now=2**31).timed) == (kind, timed)


def test_text_ids_that_are_numbers_stay_text(tmp_path):
    data = mt.events({"user": ["7", "8", "ann"], "item": ["007", "x", "1.0"], "value": [1, 2, 3]})
    data = data.keep(np.array([True, True, False]))
    write_parquet(data, tmp_path / "log.parquet")
    again = load(tmp_path / "log.parquet")
    assert same(again, data)
    assert again.users.ids.tolist() == ["7", "8"]
    assert changes(again) == ()


def test_titles_genres_and_tags_come_back(tmp_path, shared_data):
    data = load(shared_data("movielens-small-2018"))
    assert any(data.catalogue.tags)
    write_parquet(data, tmp_path / "small.parquet")
    assert same(load(tmp_path / "small.parquet"), data)


def test_a_table_of_others_is_not_taken_for_an_imported_one(tmp_path):
    frame = pl.DataFrame({"user": ["1", "2"], "item": [" 5", "6"], "item_tags": ["a|b", "c"], "title": ["x", "y"]})
    frame.write_parquet(tmp_path / "theirs.parquet")
    data = load(tmp_path / "theirs.parquet")
    assert data.users.ids.tolist() == [1, 2]
    assert data.catalogue.tags == ()
    assert "not used: item_tags" in data.notes[0]


def test_what_cannot_be_written_leaves_the_old_file(tmp_path, monkeypatch):
    data = mt.events({"user": [1], "item": [2]})
    path = tmp_path / "log.parquet"
    write_parquet(data, path)
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(MatineeError, match="No space left"):
        write_parquet(data, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["log.parquet"]


def test_an_imported_data_set_knows_whose_it_is_and_what_its_items_are_called(tmp_path: Path) -> None:
    for data in (mt.load("bundled"), mt.events({"user": [1, 2], "product_id": [1, 2]})):
        write_parquet(data, tmp_path / "own.parquet")
        again = mt.load(tmp_path / "own.parquet")
        assert (again.noun, again.source) == (data.noun, data.source)
    assert (again.noun.plural, again.source) == ("products", "")
