"""Every MovieLens generation against a plain parse of the same lines."""

import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from matinee.data import movielens
from matinee.data.loading import load
from matinee.errors import DataError
from note_kinds import changes

RATINGS = [(3, 20, 4.0, 900_000_000), (1, 30, 3.5, 800_000_005), (1, 20, 5.0, 800_000_005), (1, 7, 1.0, 800_000_001)]
MOVIES = [
    (7, "Heat (1995)", ("Action", "Crime")),
    (20, "Misérables, Les (1995)", ("Drama",)),
    (25, "Nobody rated this (1999)", ("Comedy",)),
    (30, "12 Monkeys: La Jetée (1962)", ()),
]


def plain_arrays(lines, separator):
    """User ids, item ids, values and times in the order of Events, in plain Python."""
    rows = [line.split(separator) for line in lines if line]
    events = [(int(u), int(t), n, int(i), float(v)) for n, (u, i, v, t) in enumerate(rows)]
    return [(u, i, v, t) for u, t, _, i, v in sorted(events)]


def triples(data):
    events = data.events
    users, items = data.users.ids[events.user_rows].tolist(), data.items.ids[events.item_rows].tolist()
    return list(zip(users, items, events.values.tolist(), events.times.tolist(), strict=True))


def write_csv(folder: Path):
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{u},{i},{v},{t}" for u, i, v, t in RATINGS]
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(lines) + "\n")
    movies = [f'{i},"{title}",{"|".join(kinds) or "(no genres listed)"}' for i, title, kinds in MOVIES]
    (folder / "movies.csv").write_text("movieId,title,genres\n" + "\n".join(movies) + "\n", encoding="utf-8")
    (folder / "tags.csv").write_text("userId,movieId,tag,timestamp\n1,7,slow,800000000\n")
    (folder / "links.csv").write_text("movieId,imdbId,tmdbId\n7,0113277,949\n20,0113828,\n")


def write_dat(folder: Path, encoding="latin-1"):
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{u}::{i}::{v:g}::{t}" for u, i, v, t in RATINGS]
    (folder / "ratings.dat").write_text("\n".join(lines) + "\n")
    movies = [f"{i}::{title}::{'|'.join(kinds) or '(no genres listed)'}" for i, title, kinds in MOVIES]
    (folder / "movies.dat").write_text("\n".join(movies) + "\n", encoding=encoding)
    (folder / "users.dat").write_text("1::F::1::10::48067\n3::M::56::16::02138\n")


def write_100k(folder: Path):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "u.data").write_text("".join(f"{u}\t{i}\t{v:g}\t{t}\n" for u, i, v, t in RATINGS))
    names = ("unknown", "Action", "Comedy", "Crime", "Drama")
    rows = (
        f"{i}|{title}|01-Jan-1995||http://x/?{i}|" + "|".join("01"[name in kinds] for name in names)
        for i, title, kinds in MOVIES
    )
    (folder / "u.item").write_text("\n".join(rows) + "\n", encoding="latin-1")
    (folder / "u.genre").write_text("".join(f"{name}|{n}\n" for n, name in enumerate(names)) + "\n")
    (folder / "u.user").write_text("1|24|M|technician|85711\n3|53|F|other|94043\n")


WRITERS = {"csv": write_csv, "dat": write_dat, "100k": write_100k}


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("packed", ["folder", "inner folder", "zip", "zip with inner folder"])
def test_every_generation_and_packing_gives_the_same_data(tmp_path, form, packed):
    folder = tmp_path / "set" / "inner" if "inner" in packed else tmp_path / "set"
    WRITERS[form](folder)
    path = tmp_path / "set"
    if "zip" in packed:
        path = tmp_path / "set.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in (tmp_path / "set").rglob("*.*"):
                archive.write(file, file.relative_to(tmp_path / "set"))
            archive.writestr("__MACOSX/._ratings.csv", b"\0\0")
    data = load(path)
    assert triples(data) == [
        (1, 7, 1.0, 800_000_001),
        (1, 30, 3.5, 800_000_005),
        (1, 20, 5.0, 800_000_005),
        (3, 20, 4.0, 900_000_000),
    ]
    assert data.name == "set"
    assert data.kind == "rating"
    assert data.timed
    assert changes(data) == ()
    assert data.items.ids.tolist() == [7, 20, 30]
    assert data.catalogue.titles == ("Heat (1995)", "Misérables, Les (1995)", "12 Monkeys: La Jetée (1962)")
    assert data.catalogue.years == (1995, 1995, 1962)
    assert data.catalogue.genres == (("Action", "Crime"), ("Drama",), ())


@pytest.mark.parametrize(("form", "file"), [("csv", "ratings.csv"), ("dat", "ratings.dat"), ("100k", "u.data")])
def test_the_path_of_a_ratings_file_loads_its_folder(tmp_path, form, file):
    WRITERS[form](tmp_path / "set")
    assert load(tmp_path / "set" / file).catalogue.titles[0] == "Heat (1995)"


def test_movies_dat_of_ml_10m_is_utf8(tmp_path):
    write_dat(tmp_path, encoding="utf-8")
    assert load(tmp_path).catalogue.titles[1] == "Misérables, Les (1995)"


def test_100k_without_u_genre_uses_the_known_nineteen_genres(tmp_path):
    (tmp_path / "u.data").write_text("1\t1\t5\t874965758\n1\t2\t5\t874965759\n")
    flags = ["0"] * 19
    flags[3] = flags[4] = flags[5] = "1"
    lines = ["1|Toy Story (1995)|01-Jan-1995||http://x|" + "|".join(flags)]
    lines += ["2|unknown||||1" + "|0" * 18]
    (tmp_path / "u.item").write_text("\n".join(lines) + "\n")
    data = load(tmp_path)
    assert data.catalogue.genres == (("Animation", "Children's", "Comedy"), ())


def big_sample(seed=3, n=5000):
    rng = np.random.default_rng(seed)
    pairs = rng.permutation(200 * 90)[:n]  # no repeats
    users, items = pairs // 90 + 1, pairs % 90 * 37 + 1
    values = rng.integers(1, 11, n) / 2
    times = rng.integers(900_000_000, 900_000_400, n)  # many ties
    return users, items, values, times


@pytest.mark.parametrize("separator", [",", "::", "\t"])
def test_the_fast_reader_equals_a_plain_parse_and_the_general_reader(tmp_path, monkeypatch, separator):
    file = {",": "ratings.csv", "::": "ratings.dat", "\t": "u.data"}[separator]
    lines = [separator.join(map(str, row)) for row in zip(*(c.tolist() for c in big_sample()), strict=True)]
    header = "userId,movieId,rating,timestamp\n" if separator == "," else ""
    (tmp_path / file).write_text(header + "\n".join(lines) + "\n")
    fast = load(tmp_path)
    assert triples(fast) == plain_arrays(lines, separator)
    assert fast.events.user_rows.dtype == fast.events.item_rows.dtype == np.int32
    assert fast.events.values.dtype == np.float32
    assert fast.events.times.dtype == np.int64
    monkeypatch.setattr(movielens, "_read_numbers", lambda *args: None)
    assert load(tmp_path).fingerprint == fast.fingerprint


def test_the_fast_reader_reads_the_file(tmp_path, monkeypatch):
    """Without this test, the fast reader could stop being used unnoticed."""
    monkeypatch.setattr(movielens, "read_log", lambda *args: pytest.fail("the general reader was called"))
    for form, writer in WRITERS.items():
        writer(tmp_path / form)
        assert len(load(tmp_path / form).events) == 4


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("1::2::3::4::5", "line 2: 5 fields, but the first line has 4"),
        ("1::2::3", "line 2: no time"),
        ("1:2::3::4", "line 2: the item '3'|line 2: no time|line 2: the user '1:2'"),
        ("1::x2:3::4", "line 2"),
        ("1:9:2::3::4", "line 2"),
        ("1::2::3::4:5", "line 2: the time .4:5. is not a time"),
        ("1::2::3::", "line 2: no time"),
        ("::2::3::4", "line 2: no user"),
        ("1::2::three::4", "line 2: the value 'three' is not a number"),
        ("1::2::nan::4", "line 2: the value is nan|line 2: no value"),
        ("1::2::3::-4", "line 2: the time -4 is negative"),
        ("1::2::3::4000000000", "line 2: the time 2096-10-02 07:06:40 is in the future"),
    ],
)
def test_a_bad_line_of_ratings_dat_is_reported(tmp_path, bad, message):
    (tmp_path / "ratings.dat").write_text(f"1::10::4::800000000\n{bad}\n3::11::2::800000000\n")
    with pytest.raises(DataError, match=message):
        load(tmp_path, now=1_700_000_000)


@pytest.mark.parametrize(("file", "separator"), [("ratings.csv", ","), ("u.data", "\t")])
def test_an_extra_field_is_reported_in_every_format(tmp_path, file, separator):
    rows = ["1 10 4 800000000", "1 2 3 4 5", "3 11 2 800000000"]
    header = ["userId movieId rating timestamp"] if file == "ratings.csv" else []
    (tmp_path / file).write_text("\n".join([*header, *rows]).replace(" ", separator))
    with pytest.raises(DataError, match=f"line {2 + len(header)}: 5 fields, but the first line has 4"):
        load(tmp_path)


def test_a_double_separator_across_blocks_counts_once(monkeypatch):
    monkeypatch.setattr(movielens, "_BLOCK", 3)
    raw = b"1::2:3::::45:"
    plain = sum(a == b == ord(":") for a, b in pairwise(raw))
    assert movielens._count(raw, 0, ord(":")) == (raw.count(b":"), plain)


@pytest.mark.slow
def test_movielens_1m_equals_a_plain_parse(shared_data):
    path = shared_data("ml-1m")
    data = load(path)
    assert triples(data) == plain_arrays((path / "ratings.dat").read_text().split("\n"), "::")
    assert (len(data.users), len(data.items), len(data.events)) == (6040, 3706, 1_000_209)
    assert data.catalogue.titles[data.items.row(1)] == "Toy Story (1995)"
    assert changes(data) == ()


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("movielens-small-2018", (610, 9724, 100_836)), ("movielens-small-2016-01", (668, 10_325, 105_339))],
)
def test_movielens_small_equals_a_plain_parse(shared_data, name, sizes):
    path = shared_data(name)
    data = load(path)
    assert (len(data.users), len(data.items), len(data.events)) == sizes
    assert triples(data) == plain_arrays((path / "ratings.csv").read_text().split("\n")[1:], ",")
    assert all(data.catalogue.titles)


def test_links_lead_to_imdb_and_tmdb(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text(
        "userId,movieId,rating,timestamp\n1,1,4.0,5\n1,2,3.0,6\n1,3,3.5,7\n2,4,3.5,8\n"
    )
    links = "movieId,imdbId,tmdbId\n1,0114709,862\n2,,8844\n4,javascript:alert(1),\n9,12345678,1\n"
    (tmp_path / "links.csv").write_text(links)
    data = load(tmp_path)
    assert data.item_table.links == (
        "https://www.imdb.com/title/tt0114709/ https://www.themoviedb.org/movie/862",
        "https://www.themoviedb.org/movie/8844",
        "",
        "",
    )
    assert data.source == "MovieLens"
    (tmp_path / "links.csv").write_text("nonsense\n")
    assert load(tmp_path).item_table.links == ()


@pytest.mark.parametrize(
    ("ratings", "source"),
    [
        ("userId,movieId,rating,timestamp\n1,1,5.0,5\n2,1,0.5,6\n", "MovieLens"),
        ("user,product,stars\n1,1,5\n2,1,4\n", ""),
        ("userId,movieId,rating,timestamp\n1,1,10,5\n2,1,7,6\n", ""),
    ],
)
def test_a_log_of_that_name_is_movielens_by_its_columns_and_stars(tmp_path: Path, ratings: str, source: str) -> None:
    (tmp_path / "ratings.csv").write_text(ratings)
    assert load(tmp_path).source == source
