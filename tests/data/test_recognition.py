"""What a table of text says of itself: names of columns, ids, numbers, dates, comments, separators."""

import datetime

import numpy as np
import pandas
import polars as pl
import pytest

import matinee as mt
from matinee.data.loading import events_from_frame, load
from matinee.errors import DataError
from matinee.reading.columns import recognise
from matinee.reading.date_text import parse_dates
from matinee.reading.numbers import to_numbers
from matinee.reading.table import read_table
from matinee.reading.timestamps import to_micros

NOW = 1_800_000_000


def loaded(tmp_path, text, name="log.csv"):
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return load(path, now=NOW)


def refusal(tmp_path, text):
    with pytest.raises(DataError) as caught:
        loaded(tmp_path, text)
    return str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        *("Book-Rating", "bookRating", "my_rating", "user_rating", "overall_rating", "Your Rating", "rating:float"),
        *("liked", "thumbs", "hours", "Hours Played", "play_count", "review_score", "RATING", "stars", "stars given"),
        *("평점", "Bewertung", "Valoración", "評価", "playtime_forever"),
    ],
)
def test_values_by_many_names(name):
    assert recognise(["user", "item", name])["value"] == name


@pytest.mark.parametrize(
    "name",
    [
        *(
            "IMDb Rating",
            "avg rating",
            "average_rating",
            "num votes",
            "Metascore",
            "mean_score",
            "ratings_count",
            "vote count",
        ),
        *("Runtime (mins)", "price", "operating", "critic_score", "dislike", "n_ratings", "age rating", "underscore"),
    ],
)
def test_what_is_no_value_of_the_user(name):
    assert "value" not in recognise(["user", "item", name])


@pytest.mark.parametrize(
    ("names", "value"),
    [
        (["user", "item", "IMDb Rating", "Your Rating"], "Your Rating"),
        (["user", "item", "rating", "my_rating"], "my_rating"),
        (["user", "item", "film score", "user score"], "user score"),
        (["user", "item", "avg rating", "Book-Rating"], "Book-Rating"),
    ],
)
def test_ones_own_rating_precedes_others(names, value):
    assert recognise(names)["value"] == value


@pytest.mark.parametrize(
    "name", ["Date Rated", "watched_date", "rated_at", "created at", "review_time", "last_played", "Fecha"]
)
def test_times_by_many_names(name):
    assert recognise(["user", "item", name])["at"] == name


@pytest.mark.parametrize(
    "name", ["Release Date", "birth_date", "runtime", "format", "update", "candidate", "prep_time"]
)
def test_what_is_no_time_of_the_event(name):
    assert "at" not in recognise(["user", "item", name])


@pytest.mark.parametrize(
    ("cells", "ids"),
    [
        (["101.0", "102.0"], [101, 102]),
        (["101.0", "102"], [101, 102]),
        (["101.5", "102.0"], ["101.5", "102.0"]),
        (["007.0", "102.0"], ["007.0", "102.0"]),
        (["007", "102"], ["007", "102"]),
        (["+5", "6"], ["+5", "6"]),
        (["-0", "6"], ["-0", "6"]),
        (["0", "-6"], [-6, 0]),
        ([str(10**18), "6"], [str(10**18), "6"]),
        ([str(10**18 - 1), "6"], [6, 10**18 - 1]),
        ([" a b ", "c"], ["a b", "c"]),
        ([" 7", "8 "], [7, 8]),
    ],
)
def test_ids_in_text(tmp_path, cells, ids):
    text = "user,item\n" + "".join(f"{n},{cell}\n" for n, cell in enumerate(cells))
    assert loaded(tmp_path, text).items.ids.tolist() == ids


def test_ids_are_one_across_tables(tmp_path):
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1.0,101.0,4,1\n2.0,102.0,5,2\n")
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n101,Heat (1995),Action\n102,Alien (1979),Horror\n")
    assert load(tmp_path).catalogue.titles == ("Heat (1995)", "Alien (1979)")


ROUNDED = "look rounded by a spreadsheet"


def test_rounded_ids_are_noted(tmp_path):
    for cells in ("1.00000E+15", "2.1E+12", "1e+20"):
        notes = loaded(tmp_path, f"user,item\n{cells},5\n7,6\n").notes
        assert any(f"ids of users such as {cells} {ROUNDED}" in note for note in notes)
    for frame in (
        pandas.DataFrame({"user": [2.0**53, 2.0], "item": [1, 2]}),
        pl.DataFrame({"user": pl.Series([2.0**24, 2.0], dtype=pl.Float32), "item": [1, 2]}),
    ):
        assert any(ROUNDED in note for note in events_from_frame(frame).notes)
    exact = events_from_frame({"user": np.array([2**53 + 1, 2]), "item": [1, 2]})
    assert not any(ROUNDED in note for note in exact.notes)


@pytest.mark.parametrize("word", ["NULL", "null", "None", "NaN", "\\N", "<NA>", " "])
def test_words_for_nothing_are_no_ids(tmp_path, word):
    assert f"line 3: no item ({word.strip() or 'blank'})" in refusal(tmp_path, f"user,item,rating\n1,a,3\n2,{word},3\n")


@pytest.mark.parametrize(
    ("text", "values", "note"),
    [
        ("user;item;rating\n1;2;3,5\n2;3;4\n", [3.5, 4], True),
        ('user,item,rating\n1,2,"3,5"\n2,3,"-4,25"\n', [3.5, -4.25], True),
        ("1\t2\t3,5\n2\t3\t4\n", [3.5, 4], True),
        ("user;item;rating\n1;2;0,125\n2;3;1,500\n", [0.125, 1.5], True),
        ("user;item;rating\n1;2;3.5\n2;3;4\n", [3.5, 4], False),
        ("user;item;rating\n1;2;1e1\n2;3;4\n", [10, 4], False),
    ],
)
def test_decimal_commas(tmp_path, text, values, note):
    data = loaded(tmp_path, text)
    assert data.events.values.tolist() == values
    assert ("values were read with a decimal comma" in data.notes) == note


def test_commas_that_may_be_thousands_are_refused(tmp_path):
    text = "user;item;plays\n1;2;1,234\n2;3;2,500\n"
    assert "the comma may stand before decimals or thousands" in refusal(tmp_path, text)
    assert "line 2: the value '1,5' is not a number" in refusal(tmp_path, "user;item;plays\n1;2;1,5\n2;3;2.5\n")
    assert "the value '1.234,5' is not a number" in refusal(tmp_path, "user;item;plays\n1;2;1.234,5\n")


def test_numbers_are_null_where_a_cell_is_none():
    numbers, notes = to_numbers(pl.Series("x", ["4,5", "good", None, "3"]), "x")
    assert numbers.to_list() == [4.5, None, None, 3.0]
    assert notes == ("values were read with a decimal comma",)


MOMENT = datetime.datetime(2016, 10, 16, 17, 57, 24)
DAY = MOMENT.replace(hour=0, minute=0, second=0)
MINUTE = MOMENT.replace(second=0)
DATES = {
    MOMENT: [
        "2016-10-16 17:57:24 UTC",
        "2016-10-16 17:57:24Z",
        "2016-10-16 19:57:24+02",
        "2016-10-16T19:57:24+0200",
        "2016-10-16 19:57:24 +02:00",
        "2016-10-16T12:27:24-0530",
        "2016/10/16 17:57:24",
        "20161016T175724Z",
        "20161016175724",
        "2016-10-16 5:57:24 PM",
        "Sun Oct 16 17:57:24 +0000 2016",
        "Sun Oct 16 17:57:24 2016",
        "Sun, 16 Oct 2016 17:57:24 GMT",
        "Sun Oct 16 2016 19:57:24 GMT+0200 (Central European Summer Time)",
    ],
    MINUTE: [
        "2016-10-16T17:57",
        "16/10/2016 17:57",
        "10/16/2016 5:57 PM",
        "16.10.2016 17:57",
        "October 16, 2016, 5:57 pm",
    ],
    DAY: [
        *("20161016", "2016/10/16", "2016.10.16", "2016. 10. 16.", "2016년 10월 16일", "16/10/2016", "10/16/16"),
        *("16.10.2016", "16-10-2016", "16-Oct-2016", "16 Oct 2016", "Oct 16, 2016", "October 16 2016", "10 16, 2016"),
        *("2016-10-16 12:00 AM", "10/16/2016 12:00:00 AM"),
    ],
}


@pytest.mark.parametrize(("moment", "text"), [(moment, text) for moment, texts in DATES.items() for text in texts])
def test_forms_of_dates(moment, text):
    micros, _ = to_micros(pl.Series([text, text]))
    assert micros.to_list() == [int(moment.replace(tzinfo=datetime.UTC).timestamp()) * 1_000_000] * 2


@pytest.mark.parametrize(
    "text", ["2001-02-30", "soon", "17:57:24", "2016-10-16T17:57:24 CEST", "13/13/2016", "2016-13-01"]
)
def test_what_is_no_date_is_null(text):
    assert parse_dates(pl.Series(["2016-10-16", text])).is_null().to_list() == [False, True]


def test_one_date_of_the_column_tells_the_day_from_the_month():
    assert parse_dates(pl.Series(["01/02/2016", "13/02/2016"])).cast(pl.Datetime("us")).dt.month().to_list() == [2, 2]
    assert parse_dates(pl.Series(["01/02/2016", "02/13/2016"])).cast(pl.Datetime("us")).dt.month().to_list() == [1, 2]
    with pytest.raises(DataError, match="'01/02/2016', in which the month may come first or second"):
        parse_dates(pl.Series(["01/02/2016", "03/04/2016"]))


def test_fractions_and_mixed_forms():
    texts = ["2016-10-16 17:57:24.25", "2016-10-16 17:57:24,5", "2016-10-16T17:57:24.125Z"]
    assert (parse_dates(pl.Series(texts)) % 1_000_000).to_list() == [250_000, 500_000, 125_000]


@pytest.mark.parametrize(
    ("text", "users", "items"),
    [
        ("sep=;\nuser;item\n1;2\n", [1], [2]),
        ('"sep=,"\nuser,item\n1,2\n', [1], [2]),
        ("sep=\t\nuser\titem\n1\t2\n", [1], [2]),
        ("\ufeffSEP=;\r\nuser;item\r\n1;2\r\n", [1], [2]),
        ("# made by x\n#\nuser,item\n1,2\n# between\n3,4\n", [1, 3], [2, 4]),
        ("#item,user\n1,2\n3,4\n", [2, 4], [1, 3]),
        ("# item\tuser\n1\t2\n", [2], [1]),
        ("# Nodes: 3 Edges: 4\n# FromNodeId\tToNodeId\n0\t1\n0\t2\n", [0], [1, 2]),
        ("% comment\n1 2\n3 4\n", [1, 3], [2, 4]),
        ("user   item  rating\nann    1     5\nbobby  22    4\n", ["ann", "bobby"], [1, 22]),
    ],
)
def test_what_stands_before_the_rows(tmp_path, text, users, items):
    data = loaded(tmp_path, text)
    assert (data.users.ids.tolist(), data.items.ids.tolist()) == (users, items)


def test_lines_are_counted_through_comments_and_quoted_breaks(tmp_path):
    assert "line 5: the value 'x'" in refusal(tmp_path, "\n# a\nuser,item,rating\n1,2,3\n1,3,x\n")
    assert "line 5: the value 'x'" in refusal(tmp_path, "# a\nuser,item,rating\n# b\n1,2,3\n1,3,x\n")
    text = 'user,item,note,rating\n1,2,"a\nb\n\nc",3\n1,3,"d\n",x\n'
    assert "line 6: the value 'x'" in refusal(tmp_path, text)


DIARY = (
    'Exported today\n\nDate,Name,Year,Rating,Review\n2020-01-02,Heat,1995,4.5,"long\n""good""\nfilm"\n'
    '2020-01-03,Alien,1979,4,"never closed\n2020-01-04,"Dumbo, the",1941,3,x\n2020-01-05,Too, many, cells,1,2\n'
)


def test_a_tolerant_reader_takes_what_it_can_and_names_the_rest():
    table = read_table(DIARY.encode(), "diary.csv", tolerant=True)
    assert table.frame["Name"].to_list() == ["Heat", "Alien", "Dumbo, the"]
    assert table.frame["Review"].to_list() == ['long\n"good"\nfilm', '"never closed', "x"]
    assert table.lines is not None
    assert table.lines.to_list() == [4, 7, 8]
    assert [(fault.line, fault.problem) for fault in table.faults] == [(9, "6 cells, but the first line has 5")]
    assert table.dropped == {"lines before the header": 2}


def test_a_tolerant_reader_takes_windows_text():
    table = read_table("title;year\nAmélie;2001\n".encode("cp1252"), "x.csv", tolerant=True)
    assert table.frame.row(0) == ("Amélie", "2001")


@pytest.mark.parametrize("cells", [[2016, 2014, 2015], [2016.0, 2014.0, 2015.0], ["2016", "2014", "2015"]])
def test_years_are_their_first_of_january(cells):
    data = mt.events({"user": [1, 1, 1], "item": [1, 2, 3], "time": cells})
    assert data.events.item_rows.tolist() == [1, 2, 0]
    assert (data.events.times // 86_400).tolist() == [16_071, 16_436, 16_801]
    assert any(note.startswith("times are years") for note in data.notes)


@pytest.mark.parametrize("cells", [[42_659, 42_700], [42_659.75, 42_700.25]])
def test_days_of_a_spreadsheet_are_not_passed_over_in_silence(cells):
    data = mt.events({"user": [1, 1], "item": [1, 2], "time": cells})
    assert any("if they are days of a spreadsheet" in note for note in data.notes)


@pytest.mark.parametrize("cells", [[0, 2016], [1899, 1950], [2016.5, 2017.0]])
def test_other_small_numbers_are_seconds(cells):
    data = mt.events({"user": [1, 1], "item": [1, 2], "time": cells})
    assert data.events.times.tolist() == [int(cell) for cell in cells]
    assert not any("year" in note for note in data.notes)
