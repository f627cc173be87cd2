"""Files of items beside a log: what is recognised, what is said, and one line for whatever is wrong."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.config import configure
from matinee.dataset import Dataset
from matinee.errors import DataError
from matinee.experiment import Experiment
from matinee.models.content.config import ContentConfig
from matinee.models.content.similarity import Features
from matinee.workflow import prepare, read, run

LOG = "user,product_id,rating,time\na,p1,5,1\na,p2,4,2\nb,p2,3,3\nb,p3,5,4\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "log.csv").write_text(LOG)
    return tmp_path / "log.csv"


def loaded(log: Path, items: str | bytes, name: str = "products.csv", **columns: object) -> Dataset:
    path = log.with_name(name)
    path.write_bytes(items.encode() if isinstance(items, str) else items)
    settings = {"data": str(log), "items": {"file": str(path)} | columns}
    return read(configure(Experiment, settings, "test"))


def test_columns_are_recognised_by_their_usual_names(log: Path) -> None:
    data = loaded(
        log,
        "SKU,Product Name,Category,Description,Brand,Price,Image URL,url,Text credit,shelf mark\n"
        "p2,Lamp,Home|Light,A lamp.,Brook,12.5,2.png,https://shop.example/2,The maker,7-B\n"
        "p9,Sofa,Home,A sofa.,Elm,900,,,,\n",
    )
    table = data.item_table
    assert data.items.ids.tolist() == ["p1", "p2", "p3", "p9"]
    assert data.catalogue.titles == table.titles == ("p1", "Lamp", "p3", "Sofa")
    assert table.lists == {"genres": ((), ("Home", "Light"), (), ("Home",)), "Brand": ((), ("Brook",), (), ("Elm",))}
    assert table.texts == {"Description": ("", "A lamp.", "", "A sofa.")}
    assert np.nan_to_num(table.numbers["Price"]).tolist() == [0, 12.5, 0, 900]
    assert (table.pictures, table.links) == (("", "2.png", "", ""), ("", "https://shop.example/2", "", ""))
    assert table.credits == ("", "The maker", "", "")
    said = "\n".join(data.notes)
    assert "not used: 'shelf mark'" in said
    assert "items: 1 of 3 items of the log are in products; 1 more have no event" in said
    assert data.read[1]["columns"]["item"] == "SKU"
    assert data.read[1]["unused"] == ["shelf mark"]
    assert data.noun.plural == "products"
    json.dumps(data.read)


def test_named_columns_come_first(log: Path) -> None:
    data = loaded(
        log,
        "id,nr,titel,beschreibung,hersteller,breite\np1,7,Lampe,Eine Lampe.,Brook;Elm,3.5\n",
        item="id",
        title="nr",
        text=("beschreibung",),
        lists=("hersteller",),
        numbers=("breite",),
    )
    table = data.item_table
    assert table.titles[0] == "7"
    assert (table.texts["beschreibung"][0], table.lists["hersteller"][0]) == ("Eine Lampe.", ("Brook", "Elm"))
    assert table.numbers["breite"][0] == 3.5


@pytest.mark.parametrize("format", ["csv", "tsv", "parquet", "jsonl", "json"])
def test_the_same_table_in_every_format(log: Path, format: str) -> None:
    table = pl.DataFrame(
        {"sku": ["p1", "p9"], "name": ["Lamp", "Sofa"], "tags": [["a", "b"], ["c"]], "price": [1.5, 2]}
    )
    flat = table.with_columns(pl.col("tags").list.join("|"))
    path = log.with_name(f"items.{format}")
    match format:
        case "csv" | "tsv":
            flat.write_csv(path, separator="," if format == "csv" else "\t")
        case "parquet":
            table.write_parquet(path)
        case "jsonl":
            table.write_ndjson(path)
        case _:
            table.write_json(path)
    found = loaded(log, path.read_bytes(), path.name).item_table
    assert found.titles == ("Lamp", "p2", "p3", "Sofa")
    assert found.lists["tags"] == (("a", "b"), (), (), ("c",))
    assert found.numbers["price"][[0, 3]].tolist() == [1.5, 2]


def test_the_ids_are_those_of_the_column_that_the_log_has_too(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("customer;article;stars\na;17;5\nb;18;4\n")
    data = loaded(tmp_path / "log.csv", "id;article;name\n1;17;Lamp\n2;18;Sofa\n", item=None)
    assert data.catalogue.titles == ("Lamp", "Sofa")


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["a|b", "c"], [("a", "b"), ("c",)]),
        (["a; b ;a", ""], [("a", "b"), ()]),
        (["Home, Garden", "Home"], [("Home", "Garden"), ("Home",)]),
        (["['a', 'b']", "[]"], [("a", "b"), ()]),
        (['["a", "b, c"]', "d"], [("a", "b, c"), ("d",)]),
        (["[{'id': 28, 'name': 'Action'}, {'id': 1, 'name': 'War'}]", ""], [("Action", "War"), ()]),
        (["[broken", "[a, b"], [("[broken",), ("[a", "b")]),
        (["[" * 5000 + "]", "a"], None),
        (["(no genres listed)", "a|"], [(), ("a",)]),
    ],
)
def test_lists_however_they_are_written(log: Path, cells: list[str], words: list[tuple[str, ...]] | None) -> None:
    table = pl.DataFrame({"sku": ["p1", "p2"], "genres": cells})
    found = loaded(log, table.write_csv()).item_table.lists["genres"]
    assert words is None or list(found[:2]) == words


@pytest.mark.parametrize(
    ("cells", "numbers", "unit"),
    [
        (["1.5", ""], [1.5, np.nan], None),
        (["$1.50", "$20"], [1.5, 20], "$"),
        (["€ 1.50", "€ 1,250.00"], [1.5, 1250], "€"),
        (["250 g", "1000 g"], [250, 1000], "g"),
        (["1,5 kg", "2,25 kg"], [1.5, 2.25], "kg"),
        (["-3 °C", "NaN"], [-3, np.nan], "°C"),
    ],
)
def test_numbers_with_a_unit(log: Path, cells: list[str], numbers: list[float], unit: str | None) -> None:
    data = loaded(log, pl.DataFrame({"sku": ["p1", "p2"], "price": cells}).write_csv())
    np.testing.assert_array_equal(data.item_table.numbers["price"][:2], numbers)
    assert any(f"without its unit {unit!r}" in note for note in data.notes) == (unit is not None)


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (["1.5 kg", "300 g"], "different units, such as '1.5 kg' and '300 g'"),
        (["10-20", "5"], "'10-20' in column 'price' is not a number"),
        (["cheap", "5"], "'cheap' in column 'price' is not a number"),
        (["inf", "5"], "'inf' in column 'price' is not a finite number"),
        (["$1", "20"], "different units"),
    ],
)
def test_numbers_that_are_none_are_left_out_and_said_or_an_error_where_named(
    log: Path, cells: list[str], says: str
) -> None:
    table = pl.DataFrame({"sku": ["p1", "p2"], "price": cells}).write_csv()
    data = loaded(log, table)
    assert "price" not in data.item_table.numbers
    assert any("is left out" in note and says in note for note in data.notes)
    assert "price" in data.read[1]["unused"]
    with pytest.raises(DataError, match="price") as error:
        loaded(log, table, numbers=("price",))
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("items", "says"),
    [
        ("sku,name\np1,a\np2,b\np1,c\n", "item p1 stands twice, in line 2 and line 4"),
        ("sku,name\n p1,a\np1,c\n", "item p1 stands twice"),
        ("name,price\na,1\nb,2\n", "no column of ids among 'name', 'price'; name it (--items-id"),
        ("sku,name\n,a\np2,b\n", "line 2: no item (blank)"),
        ("", "is empty; a table of items has a header"),
        ("   \n\n", "is empty; a table of items has a header"),
        (b"\xef\xbb\xbf", "is empty; a table of items has a header"),
        ("sku,name\n", "has a header and no item below it"),
        ("sku,name\n\n\n", "has a header and no item below it"),
        ("sku,name\np1,a\np1,a\n", "item p1 stands twice, in line 2 and line 3"),
        ("sku,name\n\u00a0p1,a\np1,c\n", "item p1 stands twice"),
        ('sku,name\n"p\n1",a\n"p\n1",b\n', "item 'p\\n1' stands twice, in line 2 and line 4"),
        ("sku,name\n" + f"{'x' * 900},a\n" * 2, "item " + "x" * 40 + "... stands twice"),
        ("sku,name\np1,a\nnan,b\n,c\n", "line 3: no item (nan) in column 'sku', and on 1 more lines"),
        ("sku,name\nnull,a\n", "or name another column (--items-id)"),
        ("sku,name\n1,a\n2.0,b\n", "numbers in products (such as 1)"),
        (LOG, "looks like a log"),
        ("userId,movieId,rating,timestamp\n1,2,3,4\n", "looks like a log"),
        ("sku,name\np1,a,b,c\n", "line 2: 4 fields, but the first line has 2"),
        ('sku,name\np1,"a\n', "a quote is opened but never closed"),
        ("sku,name\n1,a\n2,b\n", "item ids are text in log (such as p1) and numbers in products (such as 1)"),
        (b"sku,name\np1,caf\xe9\n", "is not UTF-8"),
        (b"sku,name\np1,a\0b\n", "a zero byte"),
        (b"PAR1nonsense", "is damaged Parquet"),
        ("<html><body>x</body></html>", "is a web page"),
    ],
)
def test_whatever_is_wrong_is_one_line(log: Path, items: str | bytes, says: str) -> None:
    with pytest.raises(DataError) as error:
        loaded(log, items)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"title": "nmae"}, "no column 'nmae'; did you mean 'name'?"),
        ({"title": "name", "text": ("name",)}, "the column 'name' is named for two roles"),
        ({"item": "name", "title": "name"}, "named for two roles"),
        ({"numbers": ("name",)}, "'Lamp' in column 'name' is not a number"),
    ],
)
def test_columns_that_are_named_wrongly(log: Path, columns: dict, says: str) -> None:
    with pytest.raises(DataError) as error:
        loaded(log, "sku,name,price\np1,Lamp,3\n", **columns)
    assert says in str(error.value)


def test_a_file_that_is_not_there_or_no_file(log: Path) -> None:
    for path, says in ((log.with_name("none.csv"), "no file of items"), (log.parent, "is a folder or an archive")):
        with pytest.raises(DataError, match=says):
            read(configure(Experiment, {"data": str(log), "items": {"file": str(path)}}, "test"))


def test_items_of_the_log_that_the_table_lacks_stay_and_are_counted(log: Path) -> None:
    data = loaded(log, "sku,name\np3,Lamp\n")
    assert data.catalogue.titles == ("p1", "p2", "Lamp")
    assert len(data.events) == 4
    assert any("1 of 3 items of the log are in products" in note for note in data.notes)
    other = loaded(log, "sku,name\nq3,Lamp\n")
    assert any(
        "none of the 3 items of the log is in products: ids such as p1 in the log, q3 there" in n for n in other.notes
    )


def test_rows_without_an_id_are_left_out_where_that_is_asked_for(log: Path) -> None:
    log.with_name("products.csv").write_text("sku,name\n,a\np2,b\n")
    settings = {
        "data": str(log),
        "items": {"file": str(log.with_name("products.csv"))},
        "columns": {"drop_blank": True},
    }
    data = read(configure(Experiment, settings, "test"))
    assert data.catalogue.titles[1] == "b"
    assert any("dropped 1 lines: no item" in note for note in data.notes)


def test_markup_stays_in_texts_and_does_not_become_a_feature(log: Path) -> None:
    evil = '<script>alert("x")</script><b>Oak</b> chair'
    table = pl.DataFrame({"sku": ["p1", "p2", "p3"], "name": [evil] * 3, "description": [evil] * 3})
    data = loaded(log, table.write_csv())
    assert data.catalogue.titles == (evil,) * 3
    assert data.item_table.texts["description"][0] == evil
    from matinee.models.content.tf_idf import words_of

    assert "script" not in words_of(evil)
    assert Features.of(data.item_table, ContentConfig()).blocks.keys() <= {"description"}


def test_empty_titles_are_shown_by_their_id_and_years_read_from_dates(log: Path) -> None:
    data = loaded(log, "sku,name,release_date\np1, ,1999-03-31\np2,Ran (1985),\np3,x,12345\n")
    assert data.catalogue.titles == ("p1", "Ran (1985)", "x")
    assert data.catalogue.years == (1999, 0, 0)
    assert any("1 have no title" in note for note in data.notes)


def test_a_text_of_fifty_megabytes_is_read_and_a_feature_needs_little_of_it(log: Path) -> None:
    text = "oak chair " * 5_000_000
    data = loaded(log, f"sku,description\np1,{text}\np2,oak chair\n")
    assert len(data.item_table.texts["description"][0]) == len(text) - 1
    assert Features.of(data.item_table, ContentConfig(max_share=1.0)).present.tolist()[:2] == [True, True]


@pytest.mark.parametrize(
    ("ids", "shown"),
    [
        (["1", "B7"], "B7"),
        (["1", "2.5"], "2.5"),
        (["1", "007"], "007"),
        (["1", "1e3"], "1e3"),
        (["1", "+2"], "+2"),
        (["1", "99999999999999999999"], "99999999999999999999"),
    ],
)
def test_the_id_that_makes_ids_text_is_named(log: Path, ids: list[str], shown: str) -> None:
    log.write_text("user,product_id,rating\na,1,5\na,2,4\nb,2,3\n")
    with pytest.raises(DataError) as error:
        loaded(log, "sku,name\n" + "".join(f"{item},x\n" for item in ids))
    assert f"numbers in log (such as 1) and text in products (such as {shown})" in str(error.value)


def test_ids_as_floats_are_the_same_ids(log: Path) -> None:
    log.write_text("user,product_id,rating\na,1,5\na,12,4\nb,12,3\n")
    assert loaded(log, "sku,name\n12.0,Lamp\n1.00,Sofa\n").catalogue.titles == ("Sofa", "Lamp")


@pytest.mark.parametrize("other", ["P1", "p1\u200b", "\uff501", "p\u202e1"])
def test_ids_that_look_the_same_stay_apart_and_are_said(log: Path, other: str) -> None:
    data = loaded(log, f"sku,name\n{other},Lamp\n")
    assert len(data.items) == 4
    [note] = [note for note in data.notes if "look the same" in note]
    assert note.startswith("items: 2 ids look the same and are different items")
    assert repr("p1") in note


def test_an_accent_of_two_letters_is_said_in_ascii(log: Path) -> None:
    data = loaded(log, "sku,name\ncaf\u00e9,a\ncafe\u0301,b\n")
    assert any(r"'cafe\u0301' and 'caf\xe9'" in note for note in data.notes)


@pytest.mark.parametrize(
    ("items", "says"),
    [
        ("sku,name\np1,a\x1b[31mb\np2,b\n", "1 titles had line breaks or control letters"),
        ('sku,name\np1,"a\nb"\np2,b\n', "1 titles had line breaks or control letters"),
        ("sku,name\np1,\u200b\np2,\u00a0\u3000\n", "2 have no title and are shown by their id"),
        ("sku;name;genre\np1;a;x\np2,b,y\n", "1 rows have an id alone, such as p2,b,y in line 3"),
        (
            "sku,name,year\np1,a,99999\np2,b,soon\np3,c,\n",
            "2 cells of 'year' have no year and are left out, such as '99999'",
        ),
        ("sku,name,genre\np1,a,x|y\np2,b,x;y\n", "1 cells of 'genre' have `;` and no `|`"),
        ("sku,name,price\np1,a,1\np2,b,inf\n", "'price' is left out"),
        ("sku,name,price\np1,a,1\np2,b,1e400\n", "'price' is left out"),
        ("sku,name,name\np1,a,b\n", "not used: 'name#3'"),
        ("sku,sku,name\np1,p2,b\n", "not used: 'sku#2'"),
    ],
)
def test_nothing_is_dropped_or_guessed_in_silence(log: Path, items: str, says: str) -> None:
    notes = "\n".join(loaded(log, items).notes)
    assert says in notes
    assert "\x1b" not in notes


@pytest.mark.parametrize("marks", [b"\xef\xbb\xbf", b"\xef\xbb\xbf" * 2])
def test_marks_of_byte_order_are_no_part_of_a_name(log: Path, marks: bytes) -> None:
    assert loaded(log, marks + b"sku,name\np1,Lamp\n", item="sku").catalogue.titles[0] == "Lamp"


def test_the_largest_numbers_are_features(log: Path) -> None:
    data = loaded(log, "sku,name,price\np1,a,1e308\np2,b,-1e308\np3,c,0\n")
    rows = np.arange(3)
    features = Features.of(data.item_table, ContentConfig())
    assert "price" in features.blocks
    assert np.isfinite(features.kernel(rows, rows, 1.0)).all()


def test_two_columns_for_one_role_are_said(log: Path) -> None:
    data = loaded(log, "sku,name,title,category,genre\np1,a,b,c,d\n")
    assert data.catalogue.titles[0] == "b"
    assert data.read[1]["unused"] == ["name", "category"]


def test_items_given_as_the_log_are_told_where_they_go(log: Path) -> None:
    path = log.with_name("products.csv")
    path.write_text("sku,name,price\np1,Lamp,3\n")
    with pytest.raises(DataError, match="looks like a table of items; give it as --items"):
        mt.load(path)


def test_without_new_items_a_report_is_the_same_with_the_table(log: Path) -> None:
    settings = {"model": "ease", "evaluation": {"k": [10]}, "filters": {"min_item_events": 60}}
    plain = configure(Experiment, settings, "test")
    split = prepare(plain)
    assert (split.training().popularity > 0).all()
    path = log.with_name("pitches.csv")
    movies = {"movieId": split.data.items.ids.tolist(), "pitch": split.data.catalogue.titles}
    pl.DataFrame(movies).write_csv(path)
    with_table = configure(Experiment, settings | {"items": {"file": str(path), "text": ["pitch"]}}, "test")
    (_, one), (_, other) = run(plain, split), run(with_table, prepare(with_table))
    for name, value in one.to_json()["metrics"].items():
        assert value["mean"] == pytest.approx(other.to_json()["metrics"][name]["mean"], abs=1e-6)


def test_known_items_score_the_same_beside_new_ones(log: Path) -> None:
    data = loaded(log, "sku,category\np1,Home\np2,Home\np3,Garden\np9,Home\n")
    alone = mt.fit("ease", mt.load(log), values="unary")
    beside = mt.fit("ease", data, items="known", values="unary")
    np.testing.assert_allclose(beside.model.weights[:3, :3], alone.model.weights, atol=1e-6)
    assert (beside.model.weights[:3, 3] != 0).any()


@pytest.mark.parametrize("name", ["user-knn", "popularity"])
def test_a_model_that_cannot_predict_says_so(log: Path, name: str) -> None:
    data = loaded(log, "sku,category\np1,Home\np9,Home\n")
    artefact = mt.fit(name, data, items="known")
    assert any(f"{name} cannot predict items from features: 1 items" in note for note in artefact.manifest["notes"])
    bare = mt.fit("ease", loaded(log, "sku,name\np1,Home\np9,Home\n"), items="known")
    assert any("nothing is known of items with events" in note for note in bare.manifest["notes"])
