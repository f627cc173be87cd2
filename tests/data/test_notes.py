"""What a read says it took: columns, titles, and values that look like placeholders."""

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.config import ColumnsConfig, FilterConfig
from matinee.data.filters import apply_filters
from matinee.data.loading import load, load_parts
from matinee.data.notes import value_notes
from note_kinds import changes

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("head", "row", "columns", "note"),
    [
        ("user,item,rating,timestamp", "1,2,3,4", {}, "columns: user=user, item=item, value=rating, time=timestamp"),
        ("1,2,3,4", "5,6,7,8", {}, "columns: user=1, item=2, value=3, time=4"),
        (
            "User-ID;ISBN;Loved",
            "ann;b;9",
            {},
            "columns: user=User-ID, item=ISBN, value=none, time=none; not used: Loved; --value or --at names one",
        ),
        (
            "User-ID;ISBN;Loved",
            "ann;b;9",
            {"value": "Loved"},
            "columns: user=User-ID, item=ISBN, value=Loved, time=none",
        ),
        (
            "user,item,rating,title,genres,a,b,c,d,e,f",
            "1,2,3,Heat,Crime,,,,,,",
            {},
            "columns: user=user, item=item, value=rating, time=none; not used: a, b, c, d, e and 1 more; "
            "--at names one",
        ),
    ],
)
def test_a_read_says_which_column_is_what_and_which_are_not_used(tmp_path, head, row, columns, note):
    (tmp_path / "log.csv").write_text(f"{head}\n{row}\n")
    data = load(tmp_path / "log.csv", ColumnsConfig(**columns))
    assert data.notes[0] == note
    assert f"\n  {note}" in repr(data)


def test_names_of_columns_are_on_one_line_and_short():
    data = mt.events({"user": [1], "item": [2], "a\nb\tc": [3], "x" * 500: [4]})
    assert data.notes == (
        f"columns: user=user, item=item, value=none, time=none; not used: a b c, {'x' * 37}...; "
        "--value or --at names one",
    )


def test_a_table_in_memory_says_it_too():
    data = mt.events({"who": [1], "item": [2], "liked": [3]}, user="who", value="liked")
    assert data.notes == ("columns: user=who, item=item, value=liked, time=none",)
    record = {"user": "who", "item": "item", "value": "liked", "time": None}
    assert data.read == ({"where": "events", "format": "table", "columns": record, "unused": [], "dropped": {}},)


def test_parts_with_the_same_columns_say_it_once_and_others_name_their_file(tmp_path):
    for name in ("train", "test"):
        (tmp_path / f"{name}.csv").write_text(
            "user,item,rating\n1,2,3\n" if name == "train" else "user,item,rating\n1,3,3\n"
        )
    assert load_parts(tmp_path)[0].notes[0] == "columns: user=user, item=item, value=rating, time=none"
    (tmp_path / "test.csv").write_text("1,3,5\n2,2,3\n")
    assert load_parts(tmp_path)[0].notes[:2] == (
        "train.csv: columns: user=user, item=item, value=rating, time=none",
        "test.csv: columns: user=1, item=2, value=3, time=none",
    )


def put_titles(folder, log_ids, title_ids):
    folder.mkdir()
    (folder / "ratings.csv").write_text(
        "userId,movieId,rating,timestamp\n" + "".join(f"1,{id},3,4\n" for id in log_ids)
    )
    (folder / "movies.csv").write_text(
        "movieId,title,genres\n" + "".join(f"{id},Film {id},Drama\n" for id in title_ids)
    )
    return folder


def test_a_read_counts_the_items_with_a_title_and_shows_both_spellings_where_none_has(tmp_path):
    all_ = load(put_titles(tmp_path / "all", [1, 2, 3, 4], [4, 3, 2, 1, 9]))
    assert all_.notes[1] == "titles: 4 of 4 items are in movies.csv"
    few = load(put_titles(tmp_path / "few", [1, 2, 3, 4], [4]))
    assert few.notes[1] == "titles: 1 of 4 items are in movies.csv; the others are shown by their id"
    none = load(put_titles(tmp_path / "none", ["m1", "m2"], [1, 2]))
    assert none.notes[1] == "titles: none of the 2 items is in movies.csv: ids such as 'm1' in the log, 1 there"


def test_a_folder_whose_log_has_another_name_finds_its_titles(tmp_path):
    put_titles(tmp_path / "mine", [1, 2], [1, 2])
    (tmp_path / "mine" / "ratings.csv").rename(tmp_path / "mine" / "events.csv")
    assert load(tmp_path / "mine").catalogue.titles == ("Film 1", "Film 2")


def repeated(**counts: int) -> np.ndarray:
    return np.repeat(np.array([float(name[1:].replace("m", "-")) for name in counts]), list(counts.values()))


STARS = {f"v{star}": 20 for star in range(1, 6)}
TEN = {f"v{star}": 20 for star in range(2, 11)}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (repeated(vm1=90, **TEN), "-1 is 33.3% of them and unlike the others (2 to 10)"),
        (repeated(v0=90, **TEN), "0 is 33.3% of them and unlike the others (2 to 10)"),
        (repeated(v0=300, **STARS), "0 is 75.0% of them and unlike the others (1 to 5)"),
        (repeated(v0=50, **STARS), "0 is 33.3% of them and unlike the others (1 to 5)"),
        (np.append(np.repeat(np.arange(1, 11) / 2, 40), np.zeros(100)), "0 is 20.0% of them"),
        (repeated(vm1=10, v0=20, **STARS), "-1 is 7.7% of them and unlike the others (0 to 5)"),
        (repeated(v99=90, **STARS), "99 is 47.4% of them and unlike the others (1 to 5)"),
        (np.append(np.linspace(-10, 10, 2000), np.full(900, 99.0)), "99 is 31.0% of them"),
        (repeated(v999=30, **TEN), "999 is 14.3% of them and unlike the others (2 to 10)"),
        (np.ones(45), "every value is 1: models that weigh values see no difference"),
    ],
)
def test_a_value_that_looks_like_a_placeholder_is_told_with_the_way_to_drop_it(values, words):
    (note,) = value_notes(RNG.permutation(values).astype(np.float32))
    assert words in note
    if "every" not in note:
        low = "--min-value" if "99" not in words.split(" is ")[0] else "--scale"
        assert low in note


@pytest.mark.parametrize(
    "values",
    [
        repeated(**STARS),
        repeated(v0=20, **STARS),  # a scale from 0
        repeated(v0=3, **TEN),  # a rare one
        repeated(v0=50, v1=50),  # thumbs
        repeated(vm1=50, v0=5, v1=50),  # dislike, nothing, like
        np.repeat(np.arange(100.0), 3),  # percents up to 99
        np.linspace(-10, 10, 500),
        np.arange(1000.0) % 37,
        RNG.geometric(0.4, 5000) - 1.0,  # plays, most of them 0
        RNG.zipf(1.6, 5000).clip(0, 9999) - 1.0,
        RNG.poisson(3, 5000) * 1.0,
        repeated(v0=60, v1=20, v2=20, v3=40, v4=80, v5=120),  # as on shops: mostly liked, and some furious
        np.full(19, 1.0),
    ],
)
def test_ordinary_values_are_not_suspected(values):
    assert value_notes(values.astype(np.float32)) == []


def test_a_filter_that_drops_the_placeholder_drops_its_note():
    rows = [
        (user, item, -1.0 if (user + item) % 3 == 0 else 2.0 + (user * item) % 9)
        for user in range(20)
        for item in range(9)
    ]
    data = mt.events(pl.DataFrame(rows, schema=["user", "item", "rating"], orient="row"))
    assert any("-1 is" in note for note in data.notes)
    kept = apply_filters(data, FilterConfig(min_value=2), rng=RNG)
    assert not any("-1 is" in note for note in kept.notes)
    assert len(changes(kept)) == 1
