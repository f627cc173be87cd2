"""Invalid logs raise one line with the problem, its place and the fix; odd but valid ones load."""

import gzip
import io
import zipfile

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import matinee as mt
from matinee.config import ColumnsConfig
from matinee.data.loading import events_from_frame, load
from matinee.errors import DataError
from matinee.reading.archives import Zip
from matinee.reading.numbers import MISSING
from note_kinds import changes

NOW = 1_700_000_000
HEAD = "user,item,rating,timestamp\n"


def refusal(path, **kwargs):
    with pytest.raises(DataError) as caught:
        load(path, now=NOW, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message.replace(str(path), "FILE")


def put(tmp_path, content, name="log.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "FILE is empty; a log has a line for each event: user, item, value, time"),
        ("\n\n  \n", "FILE is empty"),
        (HEAD, "FILE has no events; a log has a line for each: user, item, value, time"),
        (HEAD.strip(), "FILE has no events"),
        ("user^item^rating\n1^2^3\n", "FILE, line 1: no separator gives columns (tried"),
        ("Once upon a time\nthere was a file of prose, long and without columns\nto speak of\n", "FILE, line 1: no se"),
        ("user,rating\n1,2\n", "FILE: no column for the item among 'user', 'rating'; name it (--item COLUMN)"),
        ("a,b,c\nx,y,3\n", "FILE: no column for the user among 'a', 'b', 'c'; name it (--user COLUMN)"),
        (HEAD + "1,2,3,4\n1,5,good,6\n", "FILE, line 3: the value 'good' is not a number; fix it or drop the line"),
        (HEAD + "1,2,3,4\n\n\n1,5,good,6\n", "FILE, line 5: the value 'good' is not a number"),
        (HEAD + '1,"a\nb",3,4\n1,5,good,6\n', "FILE, line 4: the value 'good' is not a number"),
        ("\n\n" + HEAD + "1,2,3,4\n1,5,good,6\n", "FILE, line 5: the value 'good' is not a number"),
        ("1,2,3,4\n1,5,good,6\n", "FILE, line 2: the value 'good' is not a number"),
        (HEAD + "1,2,3,4\n1,5,NaN,6\n", "FILE, line 3: no value (NaN)"),
        (HEAD + "1,2,3,4\n1,5,inf,6\n", "FILE, line 3: the value is inf"),
        (HEAD + "1,2,3,4\n1,5,,6\n", "FILE, line 3: no value (blank); fill it in or drop the line"),
        (HEAD + "1,2,3,4\n,5,1,6\n", "FILE, line 3: no user (blank)"),
        (
            HEAD + "1,2,3,4\n1,,1,6\n1,2,3,4\n1, ,1,6\n1,nan,1,6\n",
            "FILE, line 3: no item (blank), and none on 2 more lines; fill it in or drop these lines "
            "(--drop-blank true does), or name another column (--item)",
        ),
        (HEAD + "1,2,3,4\n1,  ,1,6\n", "FILE, line 3: no item"),
        (HEAD + "1,2,3,4\n1,NaN,1,6\n", "FILE, line 3: no item (NaN)"),
        (HEAD + "1,2,3,4\n1,5,1,\n", "FILE, line 3: no time (blank)"),
        (HEAD + "1,2,3,4\n1,5,1,soon\n", "FILE, line 3: the time 'soon' is not a time (seconds since 1970, or ISO"),
        (HEAD + "1,2,3,4\n1,5,1,01.02.2003\n", "FILE, line 3: the time '01.02.2003' is not a time"),
        (HEAD + "1,2,3,2001-02-03\n1,5,1,2001-02-30\n", "FILE, line 3: the time '2001-02-30' is not a time"),
        (HEAD + "1,2,3,4\n1,5,1,-6\n", "FILE, line 3: the time -6 is negative; times count from 1970 on"),
        (HEAD + "1,2,3,4\n1,5,1,1800000000\n", "FILE, line 3: the time 2027-01-15 08:00:00 is in the future"),
        (HEAD + "1,2,3,4\n1,5,1,99999999999999999999\n", "FILE, line 3: the time"),
        (HEAD + "1,2,3,4\n1,5,1\n", "FILE, line 3: no time"),
        (HEAD + "1,2,3,4\n1,5,1,6,7\n", "FILE, line 3: 5 fields, but the first line has 4; quote fields that contain"),
        (HEAD + '1,2,3,4\n1,"5,1,6\n2,3,4,5\n', "FILE, line 3: a quote is opened but never closed; close it"),
        (HEAD + '1,2,3,4\n1,"5" x,1,6\n', "FILE, line 3: broken quotes"),
        (
            HEAD.encode() + b"1,2,3,4\n1,Mis\xe9r,1,6\n",
            "FILE, line 3: byte 0xe9 is not UTF-8; name its encoding (--encoding cp1252 reads 'Mis\xe9r'), or save the "
            "file as UTF-8 text",
        ),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "FILE is not text (a zero byte on line 3); give a CSV, TSV or Parquet"),
        (b"\xff\xfeu", "FILE begins like utf-16 text but is not"),
        (b"PAR1" + b"junk" * 20, "FILE is damaged Parquet"),
        (gzip.compress(HEAD.encode() * 50, mtime=0)[:-9], "FILE is damaged gzip"),
        (b"PK\x03\x04 no zip", "FILE is damaged or cut short"),
    ],
)
def test_an_error_is_one_line_with_problem_place_and_fix(tmp_path, content, message):
    assert refusal(put(tmp_path, content)).startswith(message)


@pytest.mark.parametrize("name", ["log.csv", "log.parquet", "ratings.csv"])
def test_lines_with_blanks_are_dropped_on_demand_and_counted(tmp_path, name):
    rows = [(1, 2, 3.0, 4), (1, None, 1.0, 6), (None, None, 2.0, 7), (2, 2, None, 8), (2, 3, 1.0, None), (2, 4, 5.0, 9)]
    frame = pl.DataFrame(rows, schema=["user", "item", "value", "time"], orient="row")
    path = tmp_path / name
    if name.endswith(".csv"):
        frame.write_csv(path)
    else:
        frame.write_parquet(path)
    data = load(path, ColumnsConfig(drop_blank=True))
    assert data.events.times.tolist() == [4, 9]
    assert data.items.ids.tolist() == [2, 4]
    assert "dropped 4 of 6 lines: no user 1, no item 1, no value 1, no time 1" in data.notes
    clean = mt.events(frame, drop_blank=True)
    assert clean.fingerprint == data.fingerprint


def test_a_missing_configured_column_raises(tmp_path):
    path = put(tmp_path, HEAD + "1,2,3,4\n")
    message = refusal(path, columns=ColumnsConfig(user="usr"))
    assert message == "FILE: no column 'usr' for the user; did you mean 'user'?"


@pytest.mark.parametrize(
    ("lines", "users", "items"),
    [
        ("1,1,3,4\n1,2,3,4\n", 1, 2),
        ("1,1,3,4\n2,1,3,4\n", 2, 1),
        ("1,1,3,4\n", 1, 1),
        ("1,1,3,4", 1, 1),
        (" 1 , 1 , 3 , 4 \n", 1, 1),
        ("-5,1,-3,0\n", 1, 1),
        (",,,\n1,1,3,4\n,,,\n", 1, 1),
        ('"1","1","3","4"\n', 1, 1),
    ],
)
def test_small_and_odd_logs_load(tmp_path, lines, users, items):
    data = load(put(tmp_path, HEAD + lines), now=NOW)
    assert (len(data.users), len(data.items)) == (users, items)
    assert changes(data) == ()


def test_a_time_slightly_in_the_future_is_accepted(tmp_path):
    path = put(tmp_path, HEAD + f"1,2,3,{NOW + 86_000}\n")
    assert len(load(path, now=NOW).events) == 1


def test_by_default_now_is_the_current_time(tmp_path):
    path = put(tmp_path, HEAD + "1,2,3,1700000000\n")
    assert len(load(path).events) == 1
    path = put(tmp_path, HEAD + "1,2,3,32503680000\n")
    with pytest.raises(DataError, match="3000-01-01 00:00:00 is in the future"):
        load(path)


REPEATS = HEAD + "1,9,1,100\n1,9,2,300\n1,9,3,200\n2,9,4,100\n1,8,5,100\n1,9,6,300\n"


def test_the_last_of_repeated_events_by_time_then_log_order_is_kept(tmp_path):
    data = load(put(tmp_path, REPEATS), now=NOW)
    assert changes(data) == ("dropped 3 repeated events, keeping the last of each",)
    assert data.events.values.tolist() == [5, 6, 4]
    assert data.events.times.tolist() == [100, 300, 100]


def test_keeping_repeats_drops_only_those_at_the_same_time(tmp_path):
    data = load(put(tmp_path, REPEATS), repeats="keep", now=NOW)
    assert changes(data) == ("dropped 1 events with the same user, item and time as another",)
    assert data.events.values.tolist() == [1, 5, 3, 6, 4]


def test_repeats_are_found_when_keys_exceed_32_bits():
    users = np.repeat(np.arange(60_000), 2)
    items = np.arange(120_000) // 2 * 2 + np.tile([0, 1], 60_000)
    items[-1] = items[-2]
    data = events_from_frame({"user": users, "item": items})
    assert changes(data) == ("dropped 1 repeated events, keeping the last of each",)
    assert len(data.events) == 119_999


def zipped(tmp_path, members, name="set.zip"):
    path = tmp_path / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return path


@pytest.mark.parametrize("member", ["../ratings.csv", "a/../../x.csv", "/etc/ratings.csv", "C:/x.csv", "..\\x.csv"])
def test_a_zip_with_a_path_outside_its_folder_is_refused(tmp_path, member):
    path = zipped(tmp_path, {"ratings.csv": HEAD + "1,2,3,4\n", member: "x"})
    message = refusal(path)
    assert "a path outside the folder; do not trust this archive" in message
    assert [entry.name for entry in tmp_path.iterdir()] == ["set.zip"]


def test_a_truncated_zip_is_refused(tmp_path):
    whole = zipped(tmp_path, {"ratings.csv": HEAD + "1,2,3,4\n" * 1000}).read_bytes()
    for size in (10, 100, len(whole) - 5):
        assert "damaged or cut short" in refusal(put(tmp_path, whole[:size], "cut.zip"))


def test_a_corrupt_zip_is_refused(tmp_path):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("ratings.csv", HEAD + "1,2,3,4\n")
    path.write_bytes(path.read_bytes().replace(b"1,2,3,4", b"1,2,5,4"))
    assert "damaged or cut short" in refusal(path)


def test_a_zip_bomb_is_refused_before_unpacking(tmp_path, monkeypatch):
    path = zipped(tmp_path, {"ratings.csv": b"0" * 20_000_000})
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *args: pytest.fail("unpacked"))
    assert "times its size; unpack it by hand if you trust it" in refusal(path)
    monkeypatch.setattr("matinee.reading.archives.MAX_RATIO", 10**9)
    monkeypatch.setattr("matinee.reading.archives.MAX_BYTES", 10_000_000)
    with pytest.raises(DataError, match="unpacks to more than"):
        Zip(path)


def test_an_encrypted_zip_is_refused(tmp_path):
    path = zipped(tmp_path, {"ratings.csv": HEAD + "1,2,3,4\n"})
    raw = bytearray(path.read_bytes())
    raw[6] |= 1  # the flag of encryption, in the local and in the central header
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(raw))
    assert "unpack it and give the folder" in refusal(path)


def test_a_folder_or_zip_without_ratings_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    assert "has no ratings: none of ratings.csv, ratings.dat, u.data" in refusal(tmp_path / "a")
    (tmp_path / "a" / "movies.csv").write_text("movieId,title\n1,x\n")
    assert refusal(tmp_path / "a").endswith("but movies.csv; give the path of the table itself")
    (tmp_path / "a" / "x.csv").write_text("user,item\n1,2\n")
    assert len(load(tmp_path / "a").events) == 1
    (tmp_path / "a" / "y.csv").write_text("user,item\n1,2\n")
    assert refusal(tmp_path / "a").endswith("but x.csv, y.csv; give the path of the table itself")
    assert "has no ratings" in refusal(zipped(tmp_path, {"readme.md": "hello"}))


def test_a_movies_table_without_titles_is_refused(tmp_path):
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,2,3,4\n")
    (tmp_path / "movies.csv").write_text("number,name\n1,x\n")
    assert "no columns movieId and title among 'number', 'name'" in refusal(tmp_path)
    (tmp_path / "movies.csv").unlink()
    (tmp_path / "movies.dat").write_text("1::Heat\n")
    assert "movies.dat, line 1: fewer than 3 fields separated by ::" in refusal(tmp_path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=200), st.text(alphabet='01,"\n\t;|: a.é-', max_size=120).map(str.encode)))
def test_any_bytes_give_a_valid_data_set_or_a_one_line_error(tmp_path, content):
    path = put(tmp_path, content, "fuzz.csv")
    try:
        data = load(path, now=NOW)
    except DataError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
        return
    assert len(data.events) > 0
    assert len(data.catalogue) == len(data.items)


cell = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=8).filter(
    lambda text: text.strip() not in MISSING
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(cell, cell), min_size=1, max_size=8, unique=True))
def test_any_text_can_be_an_id(tmp_path, pairs):
    """A CSV written by Python and read back, against the same table in memory."""
    import csv

    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL)
    writer.writerows([("user", "item"), *pairs])
    data = load(put(tmp_path, buffer.getvalue(), "ids.csv"))
    same = events_from_frame({"user": [user for user, _ in pairs], "item": [item for _, item in pairs]})
    assert data.fingerprint == same.fingerprint
    if not data.users.numeric:
        assert data.users.ids.tolist() == sorted({user.strip() for user, _ in pairs})
