"""The table of items travels with the artefact, whatever its columns are."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.errors import MatineeError
from matinee.item_table import ItemTable
from matinee.store.artefact import Artefact, load, save
from matinee.vocab import Vocab

SHOP = {
    "product": ["p1", "p2", "p3", "p9"],
    "title": ["Oak chair", "", "<b>Lamp</b>", "New sofa"],
    "category": [["Home|Garden", "Oak"], [], ["Home"], ["Home"]],
    "description": ["A chair.", "", "<script>alert(1)</script> A lamp.", "A sofa."],
    "makers": ["Kim|Lee", None, "Kim", "Park"],
    "price": [80.5, None, 12.0, 900.0],
    "url": ["https://shop.example/1", None, "", "https://shop.example/9"],
    "image": [None, "2.png", "", ""],
    "licence": ["Texts: Oak Guild, CC BY 4.0", None, "", ""],
}
LOG = {"user": ["a", "a", "b", "b"], "product": ["p1", "p2", "p2", "p3"], "at": [1, 2, 3, 4]}


def fitted() -> Artefact:
    items = mt.items(pl.DataFrame(SHOP, strict=False), lists="makers", numbers="price", item="product")
    return mt.fit("item-knn", mt.events(LOG), items=items)


def same(one: ItemTable, other: ItemTable) -> bool:
    return (
        one.items.ids.tolist() == other.items.ids.tolist()
        and one.titles == other.titles
        and one.years.tolist() == other.years.tolist()
        and (dict(one.lists), dict(one.texts)) == (dict(other.lists), dict(other.texts))
        and one.numbers.keys() == other.numbers.keys()
        and all(np.array_equal(one.numbers[name], other.numbers[name], equal_nan=True) for name in one.numbers)
        and (one.links, one.pictures, one.credits) == (other.links, other.pictures, other.credits)
    )


def test_every_column_of_the_table_comes_back(tmp_path: Path) -> None:
    before = fitted()
    save(before, tmp_path / "shop")
    after = load(tmp_path / "shop")
    assert same(before.item_table, after.item_table)
    table = after.item_table
    assert table.titles == ("Oak chair", "p2", "<b>Lamp</b>", "New sofa")
    assert table.lists["genres"] == (("Home|Garden", "Oak"), (), ("Home",), ("Home",)) == after.catalogue.genres
    assert table.lists["makers"] == (("Kim", "Lee"), (), ("Kim",), ("Park",))
    assert table.texts["description"][2] == SHOP["description"][2]
    assert table.numbers["price"].tolist()[::2] == [80.5, 12.0]
    assert np.isnan(table.numbers["price"][1])
    assert table.links == ("https://shop.example/1", "", "", "https://shop.example/9")
    assert table.pictures == ("", "2.png", "", "")
    assert table.credits == ("Texts: Oak Guild, CC BY 4.0", "", "", "")
    save(after, tmp_path / "again")
    assert same(load(tmp_path / "again").item_table, table)


def test_the_columns_that_older_versions_read_are_as_they_were(tmp_path: Path) -> None:
    save(fitted(), tmp_path / "shop")
    table = pl.read_parquet(tmp_path / "shop" / "items.parquet")
    assert table.columns[:5] == ["id", "title", "year", "genres", "events"]
    assert table["genres"].dtype == table["title"].dtype == pl.String
    assert json.loads((tmp_path / "shop" / "manifest.json").read_text("utf-8"))["format"] == 2


def test_without_a_table_the_catalogue_is_the_table(tmp_path: Path) -> None:
    save(mt.fit("item-knn", mt.events(LOG)), tmp_path / "shop")
    after = load(tmp_path / "shop")
    assert after.table is None
    assert same(after.item_table, ItemTable.of_catalogue(after.items, after.catalogue))


def test_the_artefact_knows_what_its_items_are_called_and_whose_data_it_is(tmp_path: Path) -> None:
    shop = save(mt.fit("popularity", mt.events(LOG)), tmp_path / "shop")
    assert (shop.noun.plural, shop.source, shop.event_kinds) == ("products", "", {})
    assert load(tmp_path / "shop").noun == shop.noun
    movies = mt.fit("popularity", mt.load("bundled"))
    assert (movies.noun.plural, movies.source) == ("movies", "MovieLens")


def test_an_artefact_from_before_nouns_has_movies_and_its_source_by_name() -> None:
    artefact = fitted()
    old = {name: artefact.manifest[name] for name in artefact.manifest if name not in ("noun", "source", "event_kinds")}
    before = replace(artefact, manifest=old | {"data": {"name": "ml-latest-small"}})
    assert (before.noun.plural, before.source, before.event_kinds) == ("movies", "MovieLens", {})
    assert replace(artefact, manifest=old | {"data": {"name": "shop"}}).source == ""


@pytest.mark.parametrize(
    ("column", "says"),
    [
        (pl.Series("text:description", [1, 2, 3, 4]), "text:description does not hold texts"),
        (pl.Series("list:makers", ["a"] * 4), "list:makers does not hold lists"),
        (pl.Series("list:makers", [["a"], None, [], []]), "list:makers does not hold lists"),
        (pl.Series("list:makers", [["a", None], [], [], []]), "list:makers does not hold lists"),
        (pl.Series("number:price", ["9"] * 4), "number:price does not hold numbers"),
        (pl.Series("number:price", [1.0, float("inf"), 2.0, 3.0]), "number:price holds infinite"),
        (pl.Series("link", [None] * 4, dtype=pl.String), "link does not hold texts"),
        (pl.Series("picture", [b"x"] * 4), "picture does not hold texts"),
        (pl.Series("credit", [1] * 4), "credit does not hold texts"),
    ],
)
def test_a_damaged_column_is_one_line(tmp_path: Path, column: pl.Series, says: str) -> None:
    save(fitted(), tmp_path / "shop")
    path = tmp_path / "shop" / "items.parquet"
    pl.read_parquet(path).with_columns(column).write_parquet(path)
    manifest = tmp_path / "shop" / "manifest.json"
    about = json.loads(manifest.read_text("utf-8"))
    manifest.write_text(json.dumps(about | {"files": {}}), "utf-8")
    with pytest.raises(MatineeError, match=says) as error:
        load(tmp_path / "shop")
    assert "\n" not in str(error.value)
    assert "items.parquet" in str(error.value)


def test_the_table_of_a_data_set_is_that_of_its_items_after_filters() -> None:
    table = ItemTable(Vocab.of(["p1", "p2", "x"]), ("One", "", "X"), np.array([1999, 0, 0]), pictures=("1.png", "", ""))
    data = mt.events(LOG).with_table(table)
    assert data.item_table.titles == ("One", "p2", "p3")
    kept = mt.keep(data, min_item_events=2)
    assert kept.items.ids.tolist() == ["p2"]
    assert (kept.item_table.titles, kept.item_table.pictures) == (("p2",), ("",))
