"""Files of every format give the log that they were written from; others are refused in one line."""

import bz2
import datetime
import gzip
import io
import json
import lzma
import os
import tarfile
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pandas
import polars as pl
import pytest
from backports import zstd

from matinee.data.loading import events_from_frame, load, load_parts
from matinee.errors import DataError
from matinee.reading import columnar
from matinee.reading.table import read_table

NOW = 1_800_000_000
ROWS = [("u1", "a", 4.0, 1000000000), ("u2", "b", 3.5, 1000000005), ("u1", "b", 1.0, 1000000003)]
EXPECTED = [("u1", "a", 4.0, 1000000000), ("u1", "b", 1.0, 1000000003), ("u2", "b", 3.5, 1000000005)]
CSV = "user,item,rating,time\n" + "".join(",".join(map(str, row)) + "\n" for row in ROWS)
OBJECTS = [dict(zip(("user", "item", "rating", "time"), row, strict=True)) for row in ROWS]
FRAME = pl.DataFrame(ROWS, schema=["user", "item", "rating", "time"], orient="row")
RATINGS = "userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n2,1029,3.0,1260759179\n"
MOVIES = "movieId,title,genres\n31,Heat (1995),Action\n1029,Dumbo (1941),Drama\n"
NETFLIX = "1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n2:\n885013,4,2005-10-19\n"


def rows_of(data):
    events = data.events
    users, items = data.users.ids[events.user_rows].tolist(), data.items.ids[events.item_rows].tolist()
    return list(zip(users, items, events.values.tolist(), events.times.tolist(), strict=True))


def put(folder, raw, name="log.bin"):
    path = folder / name
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    return path


def refusal(path):
    with pytest.raises(DataError) as caught:
        load(path, now=NOW)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(path), "FILE")


def tarred(members, mode="w:gz"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, text in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstd.compress}


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("name", ["log.csv", "log.csv.{}"])
def test_compression_is_recognised_by_its_first_bytes(tmp_path, kind, name):
    pack = PACKERS[kind]
    for raw in (pack(CSV.encode()), pack(pack(CSV.encode())), pack(CSV[:30].encode()) + pack(CSV[30:].encode())):
        assert rows_of(load(put(tmp_path, raw, name.format(kind)), now=NOW)) == EXPECTED
    assert "is damaged" in refusal(put(tmp_path, pack(CSV.encode())[:-6]))


@pytest.mark.parametrize("kind", PACKERS)
def test_what_unpacks_to_far_more_than_its_size_is_refused(tmp_path, kind):
    assert "unpacks to more than" in refusal(put(tmp_path, PACKERS[kind](bytes(2**24 + 1))))


@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_is_a_folder(tmp_path, mode):
    path = put(tmp_path, tarred({"ml/ratings.csv": RATINGS, "ml/movies.csv": MOVIES, "._x": "x"}, mode), "ml.tar")
    data = load(path, now=NOW)
    assert data.catalogue.titles == ("Heat (1995)", "Dumbo (1941)")
    assert rows_of(data) == [(1, 31, 2.5, 1260759144), (2, 1029, 3.0, 1260759179)]


def test_tables_inside_archives_may_be_packed_again(tmp_path):
    assert rows_of(load(put(tmp_path, zipped({"x/log.csv.gz": gzip.compress(CSV.encode())})), now=NOW)) == EXPECTED
    tar = zstd.compress(tarred({"log.csv": CSV}, "w:"))
    assert rows_of(load(put(tmp_path, tar), now=NOW)) == EXPECTED


def test_a_tar_that_is_cut_or_leaves_its_folder_is_refused(tmp_path):
    assert "do not trust this archive" in refusal(put(tmp_path, tarred({"../log.csv": CSV})))
    assert "damaged or cut short" in refusal(put(tmp_path, tarred({"log.csv": CSV * 50}, "w:")[:700]))
    packed = zipped({"log.csv": CSV})
    renamed = packed[: packed.rfind(b"log.csv")] + b"X" * 7 + packed[packed.rfind(b"log.csv") + 7 :]  # not as inside
    assert len(refusal(put(tmp_path, renamed))) < 500
    assert "holds a zip" in refusal(put(tmp_path, gzip.compress(zipped({"log.csv": CSV}))))


def test_a_pipe_is_read_once(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for raw in (CSV.encode(), gzip.compress(CSV.encode()), zipped({"log.csv": CSV}), tarred({"log.csv": CSV})):
        writer = threading.Thread(target=pipe.write_bytes, args=(raw,))
        writer.start()
        data = load(pipe, now=NOW)
        writer.join()
        assert (rows_of(data), data.name) == (EXPECTED, "pipe")


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_a_dash_is_standard_input(monkeypatch, name):
    stdin = SimpleNamespace(buffer=io.BytesIO(CSV.encode()), isatty=lambda: False)
    monkeypatch.setattr("sys.stdin", stdin)
    data = load(name, now=NOW)
    assert (rows_of(data), data.name) == (EXPECTED, "stdin")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(), isatty=lambda: True))
    with pytest.raises(DataError, match="nothing comes from standard input; pipe a table into it"):
        load(name)


def test_a_device_is_no_file():
    with pytest.raises(DataError, match="/dev/zero is a device, not a file"):
        load(Path("/dev/zero"))


NESTED = [
    {"user": {"id": user}, "item": {"id": item}, "rating": value, "time": at, "tags": ["x"]}
    for user, item, value, at in ROWS
]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(map(json.dumps, OBJECTS)),
        "\n\n" + "\n\n".join(map(json.dumps, OBJECTS)) + "\n\n",
        json.dumps(OBJECTS),
        json.dumps(OBJECTS, indent=2),
        json.dumps({"made": "today", "events": OBJECTS}),
        json.dumps(NESTED),
        "\n".join(map(json.dumps, NESTED)),
        json.dumps([["user", "item", "rating", "time"], *ROWS]),
        "\n".join(map(json.dumps, ROWS)),
        *(
            pandas.DataFrame(OBJECTS).to_json(orient=form)
            for form in ("columns", "split", "table", "values", "records")
        ),
    ],
)
def test_json_in_any_form(tmp_path, text):
    assert rows_of(load(put(tmp_path, text, "log.json"), now=NOW)) == EXPECTED


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps(OBJECTS[0]) + "\n{bad", "FILE, line 2: damaged JSON"),
        ('[{"user": 1,\n "item"}]', "FILE, line 2: damaged JSON"),
        ("[]", "FILE is an empty array"),
        ("[" * 100_000, "FILE is JSON nested too deep"),
        (json.dumps({"movies": OBJECTS, "shows": OBJECTS}), "FILE has several tables (movies, shows)"),
        (json.dumps({"a": {"b": [1]}}), "FILE is JSON without a table"),
        (json.dumps([{"user": 1, "item": [1, 2]}]), "FILE: the column 'item' holds lists; give one item a row"),
        (json.dumps([{"user": 1, "item": 2}, 3]), "FILE, entry 2: it is no object"),
        (json.dumps([[1, 2, 3], [1, 2]]), "FILE, row 2: 2 cells, but there are 3 columns"),
        ("\n".join(json.dumps({f"key{n}": n}) for n in range(3000)), "FILE has 3,000 different keys"),
        (json.dumps([{f"key{n}": n} for n in range(3000)]), "FILE has 3,000 different keys"),
    ],
)
def test_json_without_a_table_is_refused(tmp_path, text, message):
    assert refusal(put(tmp_path, text, "log.json")).startswith(message)


def test_large_ids_in_json_are_exact(tmp_path):
    for rows in ([{"user": 2**53 + n, "item": 2**70 + n} for n in range(3)],):
        for text in (json.dumps(rows), "\n".join(map(json.dumps, rows))):
            data = load(put(tmp_path, text))
            assert data.users.ids.tolist() == [2**53, 2**53 + 1, 2**53 + 2]
            assert data.items.ids.tolist() == [str(2**70 + n) for n in range(3)]


def test_arrow_and_workbooks(tmp_path):
    for write in ("write_ipc", "write_ipc_stream", "write_excel"):
        buffer = io.BytesIO()
        getattr(FRAME, write)(buffer)
        assert rows_of(load(put(tmp_path, buffer.getvalue()), now=NOW)) == EXPECTED


def test_of_a_workbook_the_first_sheet_with_rows_is_read_and_named(tmp_path):
    import xlsxwriter

    path = tmp_path / "log.xlsx"
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet("empty")
        FRAME.write_excel(book, "log")
        FRAME.write_excel(book, "more")
    data = load(path, now=NOW)
    assert rows_of(data) == EXPECTED
    assert "read the sheet 'log' (left out: more)" in data.notes


def test_without_the_extra_a_workbook_says_how_to_install_it(tmp_path, monkeypatch):
    FRAME.write_excel(tmp_path / "log.xlsx")
    monkeypatch.setattr(columnar, "find_spec", lambda name: None)
    assert "install the extra (pip install 'matinee[excel]')" in refusal(tmp_path / "log.xlsx")


DAY = datetime.datetime(2020, 1, 1)
SECONDS = 1577836800


@pytest.mark.parametrize(
    ("column", "ids"),
    [
        (pl.Series("item", ["a", "b", "c"], dtype=pl.Categorical), ["a", "b", "c"]),
        (pl.Series("item", ["a", "b", "c"], dtype=pl.Enum(["a", "b", "c"])), ["a", "b", "c"]),
        (pl.Series("item", [b"a", b"b", b"c"]), ["a", "b", "c"]),
        (pl.Series("item", [b"\xff\x00", b"b", b"c"]), ["62", "63", "ff00"]),
        (pl.Series("item", ["1", "2", "3"]).cast(pl.Decimal(20, 0)), [1, 2, 3]),
        (pl.Series("item", ["1", "2", "3"]).cast(pl.Decimal(20, 2)), [1, 2, 3]),
        (pl.Series("item", [1, 2, 3], dtype=pl.UInt64), [1, 2, 3]),
        (pl.Series("item", [1, 2, 2**63 + 5], dtype=pl.UInt64), ["1", "2", str(2**63 + 5)]),
        (pl.Series("item", [1, 2, 2**100], dtype=pl.Int128), ["1", str(2**100), "2"]),
        (pl.Series("item", [DAY.date()] * 3), ["2020-01-01"]),
    ],
)
def test_ids_of_any_type(tmp_path, column, ids):
    frame = pl.DataFrame({"user": [1, 2, 3]}).with_columns(column)
    frame.write_parquet(tmp_path / "x.parquet")
    for data in (load(tmp_path / "x.parquet"), events_from_frame(frame)):
        assert data.items.ids.tolist() == ids


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pl.Series("rating", ["1.5", "2", "3"]).cast(pl.Decimal(20, 2)), [1.5, 2, 3]),
        (pl.Series("rating", [datetime.timedelta(hours=n) for n in (1, 2, 3)]), [3600, 7200, 10800]),
        (pl.Series("rating", [True, False, True]), [1, 0, 1]),
        (pl.Series("rating", ["true", "False", "yes"]), [1, 0, 1]),
        (pl.Series("rating", ["1", "2", "3"], dtype=pl.Categorical), [1, 2, 3]),
        (pl.Series("rating", [1, 2, 3], dtype=pl.UInt8), [1, 2, 3]),
    ],
)
def test_values_of_any_type(column, values):
    frame = pl.DataFrame({"user": [1, 2, 3], "item": [1, 1, 1]}).with_columns(column)
    assert events_from_frame(frame).events.values.tolist() == values


@pytest.mark.parametrize(
    "column",
    [
        pl.Series("time", [DAY.date()] * 2),
        pl.Series("time", [DAY] * 2, dtype=pl.Datetime("ns")),
        pl.Series("time", [DAY] * 2, dtype=pl.Datetime("ms", "Europe/Berlin")),
        pl.Series("time", ["2020-01-01"] * 2, dtype=pl.Categorical),
        pl.Series("time", [b"2020-01-01"] * 2),
        pl.Series("time", [str(SECONDS)] * 2).cast(pl.Decimal(20, 0)),
        pl.Series("time", [SECONDS * 1000] * 2, dtype=pl.UInt64),
        pl.Series("time", [20200101] * 2),
    ],
)
def test_times_of_any_type(column):
    frame = pl.DataFrame({"user": [1, 2], "item": [1, 2]}).with_columns(column)
    assert events_from_frame(frame, now=NOW).events.times.tolist() == [SECONDS] * 2


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pl.Series("item", [[1]]), "the column 'item' holds lists; give one item a row"),
        (pl.Series("item", [[1]], dtype=pl.Array(pl.Int64, 1)), "the column 'item' holds lists"),
        (pl.Series("item", [{"a": 1}]), "the column 'item' holds objects"),
        (pl.Series("item", [datetime.timedelta(1)]), "the column 'item' holds durations"),
        (pl.Series("rating", [[1.0]]), "the column 'rating' holds lists"),
        (pl.Series("rating", [DAY]), "the column 'rating' holds dates, not values"),
        (pl.Series("time", [[1]]), "the column 'time' of times holds lists or objects"),
        (pl.Series("time", [datetime.timedelta(1)]), "the column 'time' of times holds durations"),
        (pl.Series("time", [datetime.time(3)]), "the column 'time' of times holds times of day"),
    ],
)
def test_types_that_hold_no_such_thing_are_refused_in_words(tmp_path, column, message):
    frame = pl.DataFrame({"user": [1], "item": [2]}).with_columns(column)
    frame.write_parquet(tmp_path / "x.parquet")
    assert message in refusal(tmp_path / "x.parquet")
    with pytest.raises(DataError, match=message):
        events_from_frame(frame)


def test_a_parquet_of_endless_runs_is_refused(tmp_path, monkeypatch):
    pl.DataFrame({"user": pl.repeat(1, 10**6, eager=True), "item": 1}).write_parquet(tmp_path / "x.parquet")
    monkeypatch.setattr(columnar, "_FEW_CELLS", 1000)
    monkeypatch.setattr(columnar, "MAX_CELL_RATIO", 10)
    assert "2,000,000 cells in" in refusal(tmp_path / "x.parquet")


def test_a_panic_of_the_library_is_one_line_and_no_trace(tmp_path, capfd):
    frame = pl.DataFrame({"user": [1, 2, 3] * 50, "item": [4, 5, 6] * 50})
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="uncompressed")
    whole = buffer.getvalue()
    for at in range(4, len(whole) - 8, 7):
        try:
            read_table(whole[:at] + b"\xff\x7f" + whole[at + 2 :], "x")
        except DataError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
    assert capfd.readouterr().err == ""


def test_netflix_blocks_in_one_file_or_many(tmp_path):
    expected = [(822109, 1, 5.0, 1115942400), (885013, 2, 4.0, 1129680000), (1488844, 1, 3.0, 1125964800)]
    assert rows_of(load(put(tmp_path, NETFLIX, "combined_data_1.txt"), now=NOW)) == expected
    assert rows_of(load(put(tmp_path, NETFLIX.replace("\n", "\r\n"), "x.txt"), now=NOW)) == expected
    first, second = NETFLIX[: NETFLIX.index("2:")], NETFLIX[NETFLIX.index("2:") :]
    files = {
        "set/mv_0000001.txt": first,
        "set/mv_0000002.txt": second,
        "movie_titles.csv": "1,2003,Isle, Lost\n2,NULL,B\n",
    }
    data = load(put(tmp_path, tarred(files), "netflix.tar.gz"), now=NOW)
    assert rows_of(data) == expected
    assert data.catalogue.titles == ("Isle, Lost (2003)", "B")
    bad = files | {"set/mv_0000002.txt": second.replace(",4,", ",x,")}
    assert "mv_0000002.txt, line 2: the value 'x' is not a number" in refusal(put(tmp_path, tarred(bad), "bad.tar"))
    assert "FILE, line 5: a line is `movie:` or `user,rating,date`" in refusal(put(tmp_path, NETFLIX[:-12], "n.txt"))


def test_konect_recbole_and_ncf(tmp_path):
    konect = "% bip weighted posweighted\n% 3 2 2\n1 1 4.5 1260759144\n1\t2 3 1260759145\n"
    tar = tarred({"ucforum/out.ucforum": konect, "ucforum/README.ucforum": "x"}, "w:bz2")
    for raw, name in ((konect, "out.ucforum"), (tar, "download.tsv.ucforum.tar.bz2")):
        data = load(put(tmp_path, raw, name), now=NOW)
        assert rows_of(data) == [(1, 1, 4.5, 1260759144), (1, 2, 3.0, 1260759145)]
    inter = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t2\t3\t881250949\n"
    assert rows_of(load(put(tmp_path, inter, "ml.inter"), now=NOW)) == [(1, 2, 3.0, 881250949)]
    assert rows_of(load(put(tmp_path, "0\t25\t5\t978824351\n", "x.rating"), now=NOW)) == [(0, 25, 5.0, 978824351)]
    assert "sampled negatives, not events" in refusal(put(tmp_path, "(0,25)\t1064\t174\n", "x.test.negative"))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"7z\xbc\xaf\x27\x1c", "is a 7z archive; unpack it first"),
        (b"SQLite format 3\0", "is an SQLite database; export its table"),
        (b"\x80\x04\x95\0", "is a Python pickle, which can run anything"),
        (b"<!DOCTYPE html><html>", "is a web page; download the file itself"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "save it as .xlsx or CSV"),
    ],
)
def test_files_of_other_kinds_are_named(tmp_path, raw, message):
    assert message in refusal(put(tmp_path, raw))


TABLE = [
    f"{user} {item} {1 + user * item % 5} {880000000 + user * item}" for user in range(1, 40) for item in range(1, 8)
]


@pytest.mark.parametrize("separator", [" ", "\t", ",", "::"])
@pytest.mark.parametrize(("line", "cells"), [(51, 5), (51, 3), (51, 2), (1, 5), (1, 3)])
def test_one_ragged_line_of_a_log_of_whole_numbers_is_named(tmp_path, separator, line, cells):
    lines = [row.replace(" ", separator) for row in TABLE]
    lines[line - 1] = separator.join([*TABLE[line - 1].split(), "9"][:cells])
    assert f"line {line}" in refusal(put(tmp_path, "\n".join(lines), "log.tsv"))


def test_adjacency_text_is_taken_only_where_its_shape_is_unmistakable(tmp_path):
    data = load(put(tmp_path, "0 5 3 8\n1 5\n2 9 5 3\n4 1 2 3 5 6\n", "train.txt"))
    assert "read as `user item item ...`" in data.notes
    assert len(data.events) == 3 + 1 + 3 + 5
    data = load(put(tmp_path, "\n".join(row.rpartition(" ")[0] for row in TABLE), "x.txt"))
    assert (data.kind, len(data.events)) == ("rating", len(TABLE))


def test_a_part_is_adjacency_text_only_beside_one_that_is(tmp_path):
    (tmp_path / "train.txt").write_text("0 5 3 8\n1 5\n2 9 5\n")
    (tmp_path / "test.txt").write_text("0 9 4 1\n1 3 4 8\n2 1 4 6\n")
    data, labels = load_parts(tmp_path)
    assert (data.kind, len(labels)) == ("click", 6 + 9)
    (tmp_path / "train.txt").write_text("0 5 3 80\n0 6 4 90\n1 5 3 70\n")
    data, labels = load_parts(tmp_path)
    assert (data.kind, len(labels)) == ("rating", 6)
