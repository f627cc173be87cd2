"""Artefacts of one log hold its events, users and items once in a process, and only if they are the same."""

import gc
import shutil
import weakref
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.data.synthetic import two_groups
from matinee.errors import MatineeError
from matinee.store.artefact import load, save
from matinee.store.manifest import HISTORIES, ITEMS, MANIFEST, PIECE_BYTES, PIECES, fingerprint
from matinee.tensors import read_arrays, write_arrays


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two models of one log, each in its folder."""
    data = two_groups(24, 12)
    return tuple(save(mt.fit(name, data), tmp_path / name).path for name in ("popularity", "ease"))


def test_events_users_and_items_are_there_once_and_lists_as_alone(folders: tuple[Path, Path]) -> None:
    alone = mt.recommend_all(load(folders[1]), k=3)
    gc.collect()
    first, second = (load(folder) for folder in folders)
    for name in ("known", "users", "items", "catalogue", "popularity"):
        assert getattr(first, name) is getattr(second, name), name
    assert mt.recommend_all(second, k=3).equals(alone)
    assert (first.name, second.name) == ("popularity", "ease")


def test_what_no_artefact_holds_is_gone(folders: tuple[Path, Path]) -> None:
    first, second = (load(folder) for folder in folders)
    known, catalogue = weakref.ref(first.known), weakref.ref(first.catalogue)
    del first
    gc.collect()
    assert known() is second.known
    del second
    gc.collect()
    assert known() is catalogue() is None


def test_other_titles_or_events_are_not_taken_for_the_same(folders: tuple[Path, Path]) -> None:
    first = load(folders[0])
    items = pl.read_parquet(folders[1] / ITEMS)
    items.with_columns(title=pl.lit("Another")).write_parquet(folders[1] / ITEMS)
    without_fingerprints(folders[1])
    second = load(folders[1])
    assert second.catalogue.titles[0] == "Another" != first.catalogue.titles[0]
    assert second.known is not first.known


def without_fingerprints(folder: Path) -> None:
    text = (folder / MANIFEST).read_text("utf-8")
    (folder / MANIFEST).write_text(text.replace('"files"', '"was"'), "utf-8")


def test_one_event_that_no_fingerprint_sees_makes_another_log(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(1_000), 400)
    data = mt.events(
        pl.DataFrame({"user": users, "item": np.tile(np.arange(400), 1_000), "rating": rng.integers(1, 6, len(users))})
    )
    path = save(mt.fit("popularity", data), tmp_path / "one").path
    shutil.copytree(path, tmp_path / "other")
    events = {name: np.array(array) for name, array in read_arrays(path / HISTORIES).items()}
    assert (path / HISTORIES).stat().st_size > PIECES * PIECE_BYTES
    before = fingerprint(path / HISTORIES)
    for row in rng.permutation(len(users))[:50].tolist():
        events["weights"][row] += 0.5
        write_arrays(tmp_path / "other" / HISTORIES, events)
        if fingerprint(tmp_path / "other" / HISTORIES) == before:
            break
        events["weights"][row] -= 0.5
    one, other = load(path), load(tmp_path / "other")
    assert other.known.events.values[row] == one.known.events.values[row] + 0.5
    assert load(tmp_path / "other").known is other.known
    assert load(path).known.events.values[row] == one.known.events.values[row]


def test_a_damaged_file_is_found_beside_a_sound_one(folders: tuple[Path, Path]) -> None:
    load(folders[0])
    held = load(folders[0])
    content = (folders[1] / HISTORIES).read_bytes()
    (folders[1] / HISTORIES).write_bytes(content[:-8])
    with pytest.raises(MatineeError, match=HISTORIES):
        load(folders[1])
    (folders[1] / HISTORIES).unlink()
    with pytest.raises(MatineeError, match=HISTORIES):
        load(folders[1])
    assert held.known is load(folders[0]).known
