"""Files as the sites export them: what is read of each, what is left out, and what is said about it."""

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from matinee.serve.transfer.read import MAX_BYTES, MAX_TABLES, read_upload
from matinee.serve.transfer.rows import ImportFile, ImportRow, UnreadableError, Upload

EXPORTS = Path(__file__).parent / "exports"
IMDB, IMDB_LIST, IMDB_OF_2012 = (
    (EXPORTS / name).read_text("utf-8") for name in ("imdb_ratings.csv", "imdb_list.csv", "imdb_ratings_2012.csv")
)
LETTERBOXD = "Date,Name,Year,Letterboxd URI"
DIARY = f"""{LETTERBOXD},Rating,Rewatch,Tags,Watched Date
2024-03-05,Toy Story,1995,https://boxd.it/1,4,Yes,"with, the kids",2024-02-10
2024-03-06,Alien,1979,https://boxd.it/2,,,,
"""
REVIEWS = f"""{LETTERBOXD},Rating,Rewatch,Review,Tags,Watched Date
2020-05-01,Alien,1979,https://boxd.it/a,4.5,,"My notes begin here
seen again, with friends,Heat,1995,and it ""held"" up

the end",,2020-04-30
2020-05-02,Heat,1995,https://boxd.it/b,3,,"one line",,
"""
LETTERBOXD_LIST = """Letterboxd list export v7
Date,Name,Tags,URL,Description
2024-01-01,Best of all,,https://boxd.it/l,

Position,Name,Year,URL,Description
1,Alien,1979,https://boxd.it/2,
2,The Matrix,1999,https://boxd.it/3,"not yet
seen"
"""
MOVIE = {"title": "Alien", "year": 1979, "ids": {"trakt": 295, "slug": "alien-1979", "imdb": "tt0078748", "tmdb": 348}}
SHOW = {"title": "Breaking Bad", "year": 2008, "ids": {"trakt": 1388, "slug": "breaking-bad", "tvdb": 81189}}
EPISODE = {"season": 5, "number": 14, "title": "Ozymandias", "ids": {"trakt": 62085}}
AT = "2014-09-01T09:10:11.000Z"
TRAKT_RATINGS = [
    {"rated_at": AT, "rating": 4, "type": "movie", "movie": MOVIE},
    {"rated_at": AT, "rating": 10, "type": "show", "show": SHOW},
    {"rated_at": AT, "rating": 8, "type": "season", "season": {"number": 5, "ids": {"trakt": 3}}, "show": SHOW},
    {"rated_at": AT, "rating": 9, "type": "episode", "episode": EPISODE, "show": SHOW},
]
TRAKT_HISTORY = [
    {"id": 1, "watched_at": AT, "action": "scrobble", "type": "movie", "movie": MOVIE},
    {"id": 2, "watched_at": AT, "action": "watch", "type": "episode", "episode": EPISODE, "show": SHOW},
]
TRAKT_WATCHED = [{"plays": 4, "last_watched_at": AT, "last_updated_at": AT, "movie": MOVIE}]
TRAKT_WATCHED_SHOWS = [{"plays": 9, "last_watched_at": AT, "show": SHOW, "seasons": [{"number": 1, "episodes": []}]}]
TRAKT_WATCHLIST = [{"rank": 1, "id": 101, "listed_at": AT, "notes": None, "type": "movie", "movie": MOVIE}]
TRAKT_COLLECTION = [{"collected_at": AT, "updated_at": AT, "movie": MOVIE}]
TRAKT_PLAYBACK = [{"progress": 55.5, "paused_at": AT, "id": 13, "type": "movie", "movie": MOVIE}]


def simkl_movie(title: str, status: str, rating: int | None, watched: str | None = AT) -> dict[str, Any]:
    ids = {"simkl": 53992, "slug": "x", "imdb": "tt0078748", "tmdb": "348"}
    return {
        "last_watched_at": watched,
        "status": status,
        "user_rating": rating,
        "added_to_watchlist_at": AT,
        "watched_episodes_count": 0,
        "movie": {"title": title, "poster": "74/x", "year": 1979, "ids": ids},
    }


SIMKL = {
    "shows": [{"status": "completed", "user_rating": 9, "last_watched_at": AT, "show": SHOW}],
    "anime": [
        {"status": "completed", "user_rating": 10, "last_watched_at": AT, "anime_type": "movie", "show": MOVIE},
        {"status": "completed", "user_rating": 9, "last_watched_at": AT, "anime_type": "tv", "show": SHOW},
    ],
    "movies": [
        simkl_movie("Alien", "completed", 4),
        simkl_movie("Heat", "completed", None),
        simkl_movie("Jaws", "plantowatch", None, None),
        simkl_movie("Rocky", "dropped", None),
        simkl_movie("Fargo", "dropped", 2),
    ],
}
SIMKL_CSV = """SIMKL_ID,Title,Type,Year,Watchlist,LastEpWatched,WatchedDate,Rating,Memo,TVDB,TMDB,IMDB,MAL_ID
53992,Alien,movie,1979,completed,,2020-01-02 20:15:00,4,,,348,tt0078748,
17465,Game of Thrones,tv,2011,completed,s8e8,2019-05-20,5,,121361,1399,tt0944947,
1,Jaws,movie,1975,plantowatch,,,,,,578,tt0073195,
2,Heat,movie,1995,watching,,2020-01-02,,,,949,tt0113277,
"""
TMDB = """TMDb ID,IMDb ID,Type,Name,Release Date,Season Number,Episode Number,Rating,Your Rating,Date Rated
348,tt0078748,movie,Alien,1979-05-25,,,8.2,4,2020-01-02T03:04:05Z
1396,tt0903747,tv,Breaking Bad,2008-01-20,,,8.9,5,2020-01-02T03:04:05Z
"""


def read(content: Any, name: str = "export.csv") -> ImportFile:
    raw = (
        content
        if isinstance(content, bytes)
        else (content if isinstance(content, str) else json.dumps(content)).encode()
    )
    (file,) = read_upload([(name, raw)]).files
    return file


def packed(files: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content if isinstance(content, str | bytes) else json.dumps(content))
    return out.getvalue()


def brief(file: ImportFile) -> list[tuple[Any, ...]]:
    """Title, year and what a row is: its stars, `watched`, or why it is left out."""
    return [(row.title, row.year, row.excluded or row.stars or row.kind) for row in file.rows]


# IMDb, TMDB -----------------------------------------------------------------


def test_imdbs_ratings_are_out_of_ten_even_if_all_are_low_and_only_movies_count() -> None:
    file = read(IMDB)
    assert (file.site, file.scale and (file.scale.out_of, file.scale.by)) == ("imdb", (10, "site"))
    assert brief(file) == [
        ("Alien", "1979", 2.0),
        ("Breaking Bad", "2008", "other_kind"),
        ("Breaking Bad: Ozymandias", "2013", "other_kind"),
        ("The Matrix", "1999", 1.0),
        ("Half-Life", "1998", "other_kind"),
    ]
    assert (file.rows[0].imdb, file.rows[0].at) == ("tt0078748", 1551441600)  # noon; GNU date -u -d 2019-03-01T12Z +%s
    assert file.unused == ["URL", "IMDb Rating", "Runtime (mins)", "Genres", "Num Votes", "Directors"]
    assert file.columns["Your Rating"] == "rating"


def test_of_imdbs_lists_and_watchlist_only_rated_movies_count() -> None:
    for name in ("WATCHLIST.csv", "5f0c.csv"):
        assert brief(read(IMDB_LIST, name)) == [("Alien", "1979", 4.5), ("The Matrix", "1999", "later")]


def test_imdbs_export_of_2012_is_read() -> None:
    file = read(IMDB_OF_2012)
    assert brief(file) == [("Alien", "1979", 4.5)]
    assert file.rows[0].at == 1330560000  # GNU date -u -d 2012-03-01 +%s


def test_tmdbs_own_ratings_count_and_not_its_average() -> None:
    file = read(TMDB)
    assert brief(file) == [("Alien", "1979-05-25", 2.0), ("Breaking Bad", "2008-01-20", "other_kind")]
    assert (file.rows[0].tmdb, file.rows[0].imdb, file.rows[0].at) == ("348", "tt0078748", 1577934245)
    unrated = read(TMDB.replace("8.2,4,2020-01-02T03:04:05Z", "8.2,,"))
    assert (brief(unrated)[0], "Rating" in unrated.unused) == (("Alien", "1979-05-25", "watched"), True)


# Letterboxd -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["watched.csv", "films.csv"])
def test_letterboxds_watched_and_liked_movies_are_watches(name: str) -> None:
    file = read(f"{LETTERBOXD}\n2024-03-01,The Matrix,1999,https://boxd.it/2a1m\n", name)
    assert (brief(file), file.unused) == ([("The Matrix", "1999", "watched")], ["Letterboxd URI"])


def test_letterboxds_diary_has_the_date_of_watching_and_else_of_writing() -> None:
    file = read(DIARY)
    assert [(row.date, row.stars) for row in file.rows] == [("2024-02-10", 4.0), ("2024-03-06", None)]


def test_a_review_of_several_lines_is_one_row() -> None:
    file = read(REVIEWS)
    assert brief(file) == [("Alien", "1979", 4.5), ("Heat", "1995", 3.0)]
    assert [row.line for row in file.rows] == [2, 6]


@pytest.mark.parametrize("name", ["watchlist.csv", "My Watchlist (1).csv", "letterboxd-watch_list.csv", "wishlist.tsv"])
def test_a_watchlist_is_not_watched(name: str) -> None:
    assert brief(read(f"{LETTERBOXD}\n2024-03-01,Heat,1995,https://boxd.it/2\n", name)) == [("Heat", "1995", "later")]


def test_a_list_of_letterboxd_is_not_watched() -> None:
    file = read(LETTERBOXD_LIST)
    assert brief(file) == [("Alien", "1979", "later"), ("The Matrix", "1999", "later")]
    assert [row.line for row in file.rows] == [6, 7]


LETTERBOXD_ZIP = {
    "profile.csv": "Date Joined,Username\n2019-01-01,someone\n",
    "ratings.csv": f"{LETTERBOXD},Rating\n2024-03-01,Alien,1979,https://x,4.5\n",
    "watched.csv": f"{LETTERBOXD}\n2024-03-01,Heat,1995,https://x\n",
    "diary.csv": DIARY,
    "reviews.csv": REVIEWS,
    "watchlist.csv": f"{LETTERBOXD}\n2024-03-01,Jaws,1975,https://x\n",
    "comments.csv": "Date,Content,Comment\n2024-01-01,x,y\n",
    "likes/films.csv": f"{LETTERBOXD}\n2024-03-01,Rocky,1976,https://x\n",
    "lists/best.csv": LETTERBOXD_LIST,
    "deleted/diary.csv": DIARY.replace("Toy Story", "Deleted"),
    "orphaned/diary.csv": DIARY.replace("Toy Story", "Orphaned"),
    "__MACOSX/._ratings.csv": b"\0\0",
}


@pytest.mark.parametrize("folder", ["", "letterboxd-someone-2024-03-01/"])
def test_letterboxds_zip_is_read_whole_but_for_what_was_deleted(folder: str) -> None:
    upload = read_upload([("l.zip", packed({folder + name: text for name, text in LETTERBOXD_ZIP.items()}))])
    names = [file.name.removeprefix(f"l.zip/{folder}") for file in upload.files]
    assert names == ["diary.csv", "ratings.csv", "watched.csv", "watchlist.csv"]
    titles = {row.title: row.excluded for file in upload.files for row in file.rows}
    assert titles == {"Alien": "", "Heat": "", "Toy Story": "", "Jaws": "later"}
    left = {name.removeprefix(f"l.zip/{folder}"): reason for name, reason in upload.left_out}
    assert left.pop("deleted/diary.csv") == left.pop("orphaned/diary.csv") == "deleted"
    assert set(left.values()) == {"not_needed"}
    assert set(left) == {"profile.csv", "reviews.csv", "comments.csv", "likes/films.csv", "lists/best.csv"}


# Trakt, Simkl ---------------------------------------------------------------


def test_trakts_ratings_are_out_of_ten_and_shows_seasons_and_episodes_are_named() -> None:
    file = read(TRAKT_RATINGS, "ratings.json")
    assert (file.site, file.scale and (file.scale.out_of, file.scale.by)) == ("trakt", (10, "site"))
    assert brief(file) == [
        ("Alien", "1979", 2.0),
        ("Breaking Bad", "2008", "other_kind"),
        ("Breaking Bad S5", "2008", "other_kind"),
        ("Breaking Bad S5E14", "2008", "other_kind"),
    ]
    assert (file.rows[0].imdb, file.rows[0].tmdb, file.rows[0].at) == ("tt0078748", "348", 1409562611)
    assert {"movie.ids.trakt", "movie.ids.slug", "show.ids.tvdb", "episode.title"} <= set(file.unused)


@pytest.mark.parametrize(
    ("content", "outcomes"),
    [
        (TRAKT_HISTORY, ["watched", "other_kind"]),
        (TRAKT_WATCHED, ["watched"]),
        (TRAKT_WATCHED_SHOWS, ["other_kind"]),
        (TRAKT_WATCHLIST, ["later"]),
        (TRAKT_COLLECTION, ["no_event"]),
        (TRAKT_PLAYBACK, ["unfinished"]),
        ([*TRAKT_RATINGS[:1], *TRAKT_HISTORY, *TRAKT_WATCHLIST], [2.0, "watched", "other_kind", "later"]),
        ({"ratings": TRAKT_RATINGS[:1], "note": "of a backup"}, [2.0]),
    ],
)
def test_trakts_other_files_say_what_they_are(content: Any, outcomes: list[Any]) -> None:
    file = read(content, "export.json")
    assert [row.excluded or row.stars or row.kind for row in file.rows] == outcomes
    assert [row.at for row in file.rows if not row.excluded] == [1409562611] * outcomes.count("watched") + [
        1409562611
    ] * outcomes.count(2.0)


def test_trakts_json_lines_are_read() -> None:
    file = read("\n".join(map(json.dumps, TRAKT_HISTORY)), "history.json")
    assert [row.excluded or row.kind for row in file.rows] == ["watched", "other_kind"]


def test_trakts_zip_leaves_out_by_name_what_is_about_no_movie() -> None:
    files = {
        "ratings-movies.json": TRAKT_RATINGS[:1],
        "watched-history-1.json": TRAKT_HISTORY,
        "lists-watchlist.json": TRAKT_WATCHLIST,
        "network-followers.json": [{"followed_at": AT, "user": {"username": "someone"}}],
        "comments-movies.json": [],
        "user-profile.json": {"username": "someone"},
        "avatar.png": b"\x89PNG",
    }
    upload = read_upload([("trakt.zip", packed(files))])
    assert [len(file.rows) for file in upload.files] == [1, 1, 2]
    assert {name.partition("/")[2]: reason for name, reason in upload.left_out} == dict.fromkeys(
        ("network-followers.json", "comments-movies.json", "user-profile.json", "avatar.png"), "no_table"
    )


def of_simkl(upload: Upload) -> dict[str, list[Any]]:
    return {file.name.rpartition("/")[2]: [r.excluded or r.stars or r.kind for r in file.rows] for file in upload.files}


def test_simkls_json_has_movies_shows_and_anime() -> None:
    expected = {
        "shows": ["other_kind"],
        "anime": [5.0, "other_kind"],
        "movies": [2.0, "watched", "later", "unfinished", 1.0],
    }
    raw = json.dumps(SIMKL).encode()
    assert of_simkl(read_upload([("SimklBackup.json", raw)])) == expected
    upload = read_upload([("SimklBackup.zip", packed({"SimklBackup.json": SIMKL}))])
    assert of_simkl(upload) == expected
    assert {file.site for file in upload.files[1:]} <= {"simkl", "trakt"}


def test_simkls_csv_is_out_of_ten_and_has_a_status() -> None:
    file = read(SIMKL_CSV)
    assert brief(file) == [
        ("Alien", "1979", 2.0),
        ("Game of Thrones", "2011", "other_kind"),
        ("Jaws", "1975", "later"),
        ("Heat", "1995", "unfinished"),
    ]
    assert file.rows[0].at == 1577996100


# Any table ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "cells", "out_of", "stars"),
    [
        ("Rating", ["9", "4", "2"], 10, [4.5, 2.0, 1.0]),
        ("Rating", ["5", "4", "2"], 5, [5.0, 4.0, 2.0]),
        ("Rating", ["5.5", "4", "2"], 10, [2.75, 2.0, 1.0]),
        ("rating", ['"7,5"', "4", "2"], 10, [3.75, 2.0, 1.0]),
        ("score", ["80", "55", "100"], 100, [4.0, 2.75, 5.0]),
        ("Score", ["11", "5", "3"], 100, [0.55, 0.5, 0.5]),
        ("my_rating", ["10", "0", "1"], 10, [5.0, None, 0.5]),
        ("Rating10", ["4", "3", "2"], 10, [2.0, 1.5, 1.0]),
        ("rating (1-10)", ["4", "3", "2"], 10, [2.0, 1.5, 1.0]),
        ("Rating", ["9/10", "3/5", "85%"], None, [4.5, 3.0, 4.25]),
        ("Rating", ["★★★½", "★", "½"], None, [3.5, 1.0, 0.5]),
        ("Rating", ["500", "4", "2"], 5, [None, 4.0, 2.0]),
        ("별점", ["8", "7", "2"], 10, [4.0, 3.5, 1.0]),
    ],
)
def test_the_scale_is_that_of_the_whole_column(
    header: str, cells: list[str], out_of: int | None, stars: list[float | None]
) -> None:
    titles = ("Alien", "Heat", "Jaws")
    file = read(f"Title,{header}\n" + "".join(f"{one},{cell}\n" for one, cell in zip(titles, cells, strict=True)))
    assert [row.stars for row in file.rows] == pytest.approx(stars, nan_ok=True) if None not in stars else stars
    assert [row.stars for row in file.rows] == stars
    assert (file.scale and file.scale.out_of) == out_of


def test_ones_own_rating_precedes_the_communitys() -> None:
    file = read("Title,IMDb Rating,Your Rating,Average Rating\nAlien,8.5,9,7\n")
    assert (file.rows[0].stars, file.unused) == (4.5, ["IMDb Rating", "Average Rating"])


@pytest.mark.parametrize(
    ("table", "outcomes"),
    [
        ("Title,Seen\nAlien,yes\nHeat,no\nJaws,\n", ["watched", "later", "later"]),
        ("Title,Watched\nAlien,x\nHeat,\n", ["watched", "later"]),
        ("Title,Status\nAlien,Completed\nHeat,Plan to watch\nJaws,On-Hold\n", ["watched", "later", "unfinished"]),
        ("Title,Type\nAlien,Movie\nLost,TV Show\nDoom,Video Game\nX,Podcast\n", ["watched", *["other_kind"] * 3]),
        ("title,kind,value\nAlien,rating,4\nHeat,watched,1\nJaws,click,1\n", [4.0, "watched", "no_event"]),
        ("Title,Watched\nAlien,2020-01-01\n", ["watched"]),
        ("Title;Year;Rating\nAlien;1979;4\n", [4.0]),
        ("my movies\n\nTitle,Rating\nAlien,4\n", [4.0]),
        ("제목,별점,날짜\n올드보이,4.5,2020-01-01\n", [4.5]),
    ],
)
def test_other_tables_say_what_they_are(table: str, outcomes: list[Any]) -> None:
    assert [row.excluded or row.stars or row.kind for row in read(table).rows] == outcomes


def test_a_column_of_notes_is_no_rating() -> None:
    file = read("Title,Rating,Note\nAlien,9,scary\nHeat,,long\n")
    assert (brief(file), file.unused) == ([("Alien", "", 4.5), ("Heat", "", "watched")], ["Note"])


def test_a_column_of_dates_named_watched_is_named_as_unused() -> None:
    assert read("Title,Watched\nAlien,2020-01-01\n").unused == ["Watched"]


def test_a_quote_that_never_closes_costs_its_line() -> None:
    rows = read('Title,Year,Rating\n"Alien,1979,4\nHeat,1995,3\n"Jaws",1975,2\n').rows
    assert [(row.title.strip('"'), row.stars) for row in rows] == [("Alien", 4.0), ("Heat", 3.0), ("Jaws", 2.0)]


def test_a_stray_quote_that_another_one_closes_later_costs_its_line() -> None:
    rows = read('Title,Year,Rating\n"Alien,1979,4\nHeat,1995,3\nJaws,1975,2"\nFargo,1996,"1"\n').rows
    assert [(row.title.strip('"'), row.line) for row in rows] == [("Alien", 2), ("Heat", 3), ("Jaws", 4), ("Fargo", 5)]


def test_a_row_with_too_many_cells_is_named() -> None:
    rows = read("Title,Year,Rating\nThe Good, the Bad and the Ugly,1966,5\nHeat,1995,3\n").rows
    assert [(row.line, row.excluded) for row in rows] == [(2, "broken"), (3, "")]
    assert "The Good, the Bad" in rows[0].summary


@pytest.mark.parametrize("name", ["movies.csv", "links.csv"])
def test_movielenss_lists_of_movies_are_not_watched(name: str) -> None:
    tables = {
        "movies.csv": "movieId,title,genres\n1,Toy Story (1995),Comedy\n",
        "links.csv": "movieId,imdbId,tmdbId\n1,0114709,862\n",
    }
    with pytest.raises(UnreadableError, match="catalogue"):
        read(tables[name], name)


@pytest.mark.parametrize(
    ("dates", "at"),
    [
        (["2016-03-01"], 1456833600),  # noon; GNU date -u -d 2016-03-01T12Z +%s
        (["20160301"], 1456833600),
        (["1 March 2016"], 1456833600),
        (["01/03/2016", "25/12/2015"], 1456833600),
        (["2016/03/01"], 1456833600),
        (["2016-03-01T00:00:00Z"], 1456790400),
        (["2016-03-01 08:15 PM"], 1456863300),
        (["1456833600"], 1456833600),
        (["1456833600", "2016-03-01"], 1456833600),
    ],
)
def test_dates_are_read_in_the_forms_of_logs(dates: list[str], at: int) -> None:
    rows = read("Title,Date\n" + "".join(f"Alien,{date}\n" for date in dates)).rows
    assert rows[0].at == at
    assert None not in [row.at for row in rows]


def test_dates_of_which_none_says_where_the_month_is_are_refused() -> None:
    with pytest.raises(UnreadableError, match="dates"):
        read("Title,Date\nAlien,01/02/2016\n")


# Bounds ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ("[" * 100_000 + "]" * 100_000, "no_table"),
        ('[{"title": ' + '{"a": ' * 5000 + "1" + "}" * 5001 + "]", "no_table"),
        ('{"title": ' + '{"a": ' * 5000 + "1" + "}" * 5001 + '\n{"title": "Alien"}', "no_table"),
        ('[{"title": ' + '{"a": ' * 900 + "1" + "}" * 901 + "]", "no_table"),
        ('{"title": ' + "[" * 900 + "1" + "]" * 900 + '}\n{"title": "Alien"}', "no_table"),
        ('[{"title": "Alien"}', "no_table"),
        ('[{"title": "Alien", "rating": ' + "9" * 5000 + "}]", "no_table"),
        ("[]", "no_table"),
        ("[1, 2, 3]", "no_table"),
        ('{"a": {"b": {"c": 1}}}', "no_table"),
        (b"PAR1" + bytes(100), "no_text"),
        (packed({"[Content_Types].xml": "<x/>", "xl/workbook.xml": "<x/>"}), "no_text"),
        (packed({"a.csv": "x,y\n1,2\n"}), "nothing_inside"),
        (packed({"a.csv": b"title\n" + b"Alien\n" * (MAX_BYTES // 6 + 1)}), "too_large"),
        (packed({f"{n}.csv": b"title\n" + bytes(range(65, 91)) * (MAX_BYTES // 52) for n in range(3)}), "too_large"),
        (packed({"a.csv": "title\nAlien\n"})[:-30], "damaged"),
        (packed({"../a.csv": "title\nAlien\n"}), "damaged"),
    ],
    ids=[
        *(
            "deep arrays",
            "deep objects",
            "deep lines",
            "less deep",
            "less deep lines",
            "open array",
            "long number",
            "empty array",
            "numbers",
            "no array",
        ),
        *("parquet", "excel", "no table inside", "large inside", "large together", "cut off", "path upwards"),
    ],
)
def test_hostile_files_are_refused(content: str | bytes, key: str) -> None:
    with pytest.raises(UnreadableError, match=key):
        read_upload([("x.zip", content.encode() if isinstance(content, str) else content)])


def test_a_compressed_table_is_unpacked_within_bounds() -> None:
    assert brief(read(gzip.compress(b"Title,Rating\nAlien,4\n"), "r.csv.gz")) == [("Alien", "", 4.0)]
    with pytest.raises(UnreadableError, match="too_large"):
        read(gzip.compress(b"title\n" + b"Alien\n" * (MAX_BYTES // 6 + 1)))
    bomb = b"title\nAlien\n"
    for _ in range(6):
        bomb = gzip.compress(bomb)
    with pytest.raises(UnreadableError, match="no_text"):
        read(bomb)


def test_a_zip_is_read_up_to_a_number_of_tables() -> None:
    upload = read_upload([("x.zip", packed({f"{n:03}.csv": "title\nAlien\n" for n in range(MAX_TABLES + 2)}))])
    assert len(upload.files) == MAX_TABLES
    assert upload.left_out == [("x.zip/050.csv", "too_many"), ("x.zip/051.csv", "too_many")]


def test_a_zip_in_a_zip_is_named() -> None:
    inner = packed({"ratings.csv": "title\nAlien\n"})
    upload = read_upload([("x.zip", packed({"inner.zip": inner, "ratings.csv": "title\nHeat\n"}))])
    assert upload.left_out == [("x.zip/inner.zip", "no_table")]


def test_halves_of_characters_in_json_do_not_break_the_report() -> None:
    row: ImportRow = read('[{"title": "Alien\\ud800", "year": 1979}]', "x.json").rows[0]
    row.summary.encode()
