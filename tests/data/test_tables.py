"""Tables in files and in memory: delimiter, header, columns, ids and times."""

import datetime
import gzip

import numpy as np
import pandas
import polars as pl
import pytest

from matinee.config import ColumnsConfig
from matinee.data.loading import events_from_frame, load
from matinee.errors import DataError
from matinee.reading.timestamps import to_micros
from note_kinds import changes

NOW = 1_800_000_000
ROWS = [("u1", "a", 4.0, 1000000000), ("u2", "b", 3.5, 1000000005), ("u1", "b", 1.0, 1000000003)]
EXPECTED = [("u1", "a", 4.0, 1000000000), ("u1", "b", 1.0, 1000000003), ("u2", "b", 3.5, 1000000005)]


def rows_of(data):
    events = data.events
    users, items = data.users.ids[events.user_rows].tolist(), data.items.ids[events.item_rows].tolist()
    return list(zip(users, items, events.values.tolist(), events.times.tolist(), strict=True))


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("separator", [",", "\t", ";", "|", "::", " "])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_delimiter_header_and_line_ends_are_sniffed(tmp_path, separator, header, ending):
    lines = [separator.join(map(str, row)) for row in ROWS]
    lines = [separator.join(("user", "item", "rating", "timestamp")), *lines] if header else lines
    data = load(write(tmp_path / "log.txt", ending.join(lines) + ending), now=NOW)
    assert rows_of(data) == EXPECTED
    assert data.name == "log"
    assert (data.kind, data.timed, changes(data)) == ("rating", True, ())


@pytest.mark.parametrize(
    "names",
    [
        ("user", "item", "rating", "timestamp"),
        ("userId", "movieId", "value", "at"),
        ("User_ID", "Product ID", "Score", "Date"),
        ("uid", "iid", "stars", "ts"),
        ("member", "film", "vote", "time"),
        ("user_id:token", "item_id:token", "rating:float", "timestamp:float"),
        ("reviewerID", "asin", "overall", "unixReviewTime"),
    ],
)
def test_columns_are_found_by_name_in_any_order(tmp_path, names):
    shuffled = [2, 0, 3, 1]
    lines = [",".join(str(row[n]) for n in shuffled) for row in [names, *ROWS]]
    assert rows_of(load(write(tmp_path / "x.csv", "\n".join(lines)), now=NOW)) == EXPECTED


def test_configured_columns_take_precedence(tmp_path):
    text = "who,user,what,user2,when\nu1,9,a,4,1000000000\nu2,9,b,3.5,1000000005\nu1,9,b,1,1000000003\n"
    columns = ColumnsConfig(user="who", item="what", value="user2", at="when")
    assert rows_of(load(write(tmp_path / "x.csv", text), columns, now=NOW)) == EXPECTED


def test_columns_without_a_header_are_numbered(tmp_path):
    text = "1000000000,4,a,u1\n1000000005,3.5,b,u2\n1000000003,1,b,u1\n"
    columns = ColumnsConfig(user="4", item="3", value="2", at="1")
    assert rows_of(load(write(tmp_path / "x.csv", text), columns, now=NOW)) == EXPECTED
    with pytest.raises(DataError, match="no column 'name' for the user: the table has no header; columns are numbered"):
        load(tmp_path / "x.csv", ColumnsConfig(user="name"), now=NOW)


def test_a_third_column_of_times_is_not_a_rating(tmp_path):
    data = load(write(tmp_path / "x.csv", "u1,a,1000000000\nu2,b,1000000005\nu1,b,1000000003\n"), now=NOW)
    assert rows_of(data) == [(u, i, 1.0, t) for u, i, _, t in EXPECTED]
    assert data.kind == "click"


def test_without_values_and_times_events_are_clicks_in_file_order(tmp_path):
    data = load(write(tmp_path / "x.csv", "user,item\n2,9\n1,8\n2,3\n1,5\n"))
    assert rows_of(data) == [(1, 8, 1.0, 0), (1, 5, 1.0, 0), (2, 9, 1.0, 0), (2, 3, 1.0, 0)]
    assert (data.kind, data.timed) == ("click", False)


@pytest.mark.parametrize(
    ("cells", "seconds", "note"),
    [
        (["1000000000", "1000000005"], [1000000000, 1000000005], None),
        (["1000000000.7", "1000000005.2"], [1000000000, 1000000005], None),
        (
            ["1000000000123", "1000000005999"],
            [1000000000, 1000000005],
            "times in milliseconds were truncated to seconds",
        ),
        (
            ["1000000000123456", "1000000005999999"],
            [1000000000, 1000000005],
            "times in microseconds were truncated to seconds",
        ),
        (["1000000000123456789", "1000000005999999999"], [1000000000, 1000000005], "nanoseconds"),
        (["2001-09-09T01:46:40Z", "2001-09-09T01:46:45Z"], [1000000000, 1000000005], None),
        (["2001-09-09 01:46:40", "2001-09-09 01:46:45.5"], [1000000000, 1000000005], None),
        (["2001-09-09T03:46:40+02:00", "2001-09-08T20:16:45-0530"], [1000000000, 1000000005], None),
        (["2001-09-09", "2001-09-10"], [999993600, 1000080000], None),
        (["0", "5"], [0, 5], None),
    ],
)
def test_units_of_timestamps_are_recognised(tmp_path, cells, seconds, note):
    text = "user,item,at\n" + "".join(f"1,{n},{cell}\n" for n, cell in enumerate(cells))
    data = load(write(tmp_path / "x.csv", text), now=NOW)
    assert data.events.times.tolist() == seconds
    assert (note in changes(data)[0]) if note else changes(data) == ()


def test_times_agree_with_the_standard_library():
    rng = np.random.default_rng(5)
    zone = datetime.timezone(datetime.timedelta(hours=-3, minutes=-30))
    moments = [datetime.datetime.fromtimestamp(int(s), tz=zone) for s in rng.integers(0, 4_000_000_000, 200)]
    micros, _ = to_micros(pl.Series([moment.isoformat() for moment in moments]))
    assert (micros // 1_000_000).to_list() == [int(moment.timestamp()) for moment in moments]


def test_fractions_of_seconds_determine_the_order(tmp_path):
    text = "user,item,at\n1,a,1000000000900\n1,b,1000000000100\n1,c,1000000000500\n"
    data = load(write(tmp_path / "x.csv", text), now=NOW)
    assert data.items.ids[data.events.item_rows].tolist() == ["b", "c", "a"]


def test_ids_are_integers_only_if_all_are(tmp_path):
    assert load(write(tmp_path / "a.csv", "user,item\n10,5\n9,7\n")).users.ids.tolist() == [9, 10]
    assert load(write(tmp_path / "b.csv", "user,item\n10,5\n9a,7\n")).users.ids.tolist() == ["10", "9a"]
    assert load(write(tmp_path / "c.csv", "user,item\n007,5\n7,7\n")).users.ids.tolist() == ["007", "7"]
    late = "user,item\n" + "".join(f"{n},1\n" for n in range(500)) + "x,1\n"
    assert load(write(tmp_path / "d.csv", late)).users.ids[-1] == "x"


def test_ids_of_any_script_with_spaces_commas_and_quotes(tmp_path):
    ids = ["김 민수", "안녕,하세요", "🎬🍿", 'say "hi"', "two  spaces ", "línea\nnueva", "z"]
    quoted = ['"' + name.replace('"', '""') + '"' for name in ids]
    text = "user,item,rating\n" + "".join(f"{name},{name},3\n" for name in quoted)
    data = load(write(tmp_path / "x.csv", text))
    assert sorted(id.strip() for id in ids) == data.users.ids.tolist() == data.items.ids.tolist()
    assert data.users.row("김 민수") >= 0
    assert data.catalogue.titles[data.items.row("🎬🍿")] == "🎬🍿"


def test_a_space_after_each_comma_is_dropped(tmp_path):
    data = load(write(tmp_path / "x.csv", "user, item, rating\nu1, a b, 4\nu2, c, 5\n"))
    assert data.items.ids.tolist() == ["a b", "c"]


def test_byte_order_marks_and_utf16(tmp_path):
    text = "user,item,rating\nÅsa,a,4\n"
    for encoding in ("utf-8-sig", "utf-16"):
        assert load(write(tmp_path / "x.csv", text, encoding)).users.ids.tolist() == ["Åsa"]


def test_quotes_inside_fields_are_characters(tmp_path):
    data = load(write(tmp_path / "x.tsv", 'user\titem\nu1\t5" disk\nu2\t7" disk" x\n'))
    assert data.items.ids.tolist() == ['5" disk', '7" disk" x']


def test_parquet_and_gzip_are_recognised_by_content(tmp_path):
    frame = pl.DataFrame(ROWS, schema=["user", "item", "rating", "time"], orient="row")
    frame.with_columns(pl.from_epoch("time").dt.replace_time_zone("UTC")).write_parquet(tmp_path / "x.csv")
    assert rows_of(load(tmp_path / "x.csv", now=NOW)) == EXPECTED
    frame.with_columns(pl.col("user").cast(pl.Categorical)).write_parquet(tmp_path / "y.parquet")
    assert rows_of(load(tmp_path / "y.parquet", now=NOW)) == EXPECTED
    (tmp_path / "z.csv.gz").write_bytes(gzip.compress(frame.write_csv().encode()))
    data = load(tmp_path / "z.csv.gz", now=NOW)
    assert rows_of(data) == EXPECTED
    assert data.name == "z"


def test_a_title_column_becomes_the_catalogue(tmp_path):
    text = 'movieId,title,genres,userId,rating\n5,"Heat (1995)",Action|Crime,1,4\n6,,,1,3\n5,"Heat (1995)",Action,2,3\n'
    data = load(write(tmp_path / "x.csv", text))
    assert data.catalogue.titles == ("Heat (1995)", "6")
    assert data.catalogue.genres == (("Action", "Crime"), ())


def columns_of_rows():
    users, items, values, times = (list(column) for column in zip(*ROWS, strict=True))
    return {"user": users, "item": items, "rating": values, "timestamp": times}


class Arrowlike:
    """A table that names its columns as Arrow does."""

    column_names = ("user", "item", "rating", "timestamp")

    def __getitem__(self, name):
        return np.array(columns_of_rows()[name])


@pytest.mark.parametrize(
    "make",
    [
        pl.DataFrame,
        lambda columns: pl.DataFrame(columns).lazy(),
        pandas.DataFrame,
        lambda columns: pandas.DataFrame(columns).astype({"user": "category", "item": "object"}),
        lambda columns: pandas.DataFrame(columns).assign(timestamp=lambda f: pandas.to_datetime(f.timestamp, unit="s")),
        lambda columns: pandas.DataFrame(columns, index=[7, 7, 3]),
        lambda columns: {name: np.array(column) for name, column in columns.items()},
        dict,
        lambda columns: Arrowlike(),
    ],
)
def test_tables_in_memory(make):
    data = events_from_frame(make(columns_of_rows()), now=NOW)
    assert rows_of(data) == EXPECTED
    assert data.name == "events"


def test_a_table_in_memory_with_named_columns_and_gaps():
    frame = pandas.DataFrame({"who": [1.0, 2.0], "what": ["a", "b"], "n": pandas.array([3, 4], dtype="Int64")})
    data = events_from_frame(frame, ColumnsConfig(user="who", item="what", value="n"), name="mine")
    assert rows_of(data) == [(1, "a", 3.0, 0), (2, "b", 4.0, 0)]
    assert data.name == "mine"
    frame.loc[1, "what"] = None
    with pytest.raises(DataError, match="mine, row 2: no item"):
        events_from_frame(frame, ColumnsConfig(user="who", item="what", value="n"), name="mine")
    frame = pandas.DataFrame({"user": [1.0, np.nan], "item": [1, 2]})
    with pytest.raises(DataError, match="events, row 2: no user"):
        events_from_frame(frame)


@pytest.mark.parametrize(("table", "message"), [(3, "int is not a table"), ({}, "the table has no columns")])
def test_an_object_that_is_not_a_table_raises(table, message):
    with pytest.raises(DataError, match=message):
        events_from_frame(table)


def test_columns_of_unequal_length_raise():
    with pytest.raises(DataError, match="the table cannot be read"):
        events_from_frame({"user": [1, 2], "item": [1]})
