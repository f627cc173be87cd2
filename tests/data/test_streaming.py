"""Logs that do not fit into memory: read in pieces they are the data set that they are when read as a whole."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee import mapped
from matinee.data import streaming
from matinee.dataset import Dataset
from matinee.errors import DataError, MatineeError

N = 2000


def log_of(form: str, seed: int = 1) -> pl.DataFrame:
    """A log in no order, with repeated events, and ids, values and times of a form."""
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "user": (rng.random(N) ** 3 * 70).astype(np.int64),
            "item": rng.integers(0, 50, N),
            "value": rng.integers(1, 11, N) / 2,
            "at": rng.integers(1_000_000_000, 1_000_500_000, N),
        }
    )
    forms = {
        "numbers": {},
        "narrow": {"user": pl.col("user").cast(pl.Int32), "item": pl.col("item").cast(pl.Int16)},
        "far apart": {"user": pl.col("user") * 10**12 - 7, "item": pl.col("item") * 10**9},
        "text": {"user": pl.format("user-{}", "user"), "item": pl.format("Ärger {}", "item")},
        "numbers as text": {"user": pl.col("user").cast(pl.String)},
        "floats": {"user": pl.col("user").cast(pl.Float64)},
        "dates": {"at": pl.from_epoch("at")},
        "milliseconds": {"at": pl.col("at") // 1000 * 1000 * 1000 + pl.col("item") * 7},
    }
    return frame.drop("value") if form == "clicks" else frame.with_columns(**forms[form])


@pytest.fixture
def read_in_pieces(
    small_machine: Callable[[int], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], None]:
    """Call it, and from then on there is a machine with little memory, pieces of 300 rows and blocks of 97."""

    def begin() -> None:
        small_machine(50)
        monkeypatch.setattr(streaming, "PIECE", 300)
        monkeypatch.setattr(streaming, "TEXT_PIECE", 10_000)
        monkeypatch.setattr(mapped, "LARGEST_HELD", 1000)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        for module in ("arrays", "dataset", "histories"):
            monkeypatch.setattr(f"matinee.{module}.BLOCK", 97)

    return begin


def require_same(streamed: Dataset, whole: Dataset) -> None:
    assert streamed.fingerprint == whole.fingerprint
    assert streamed.users.ids.dtype == whole.users.ids.dtype
    assert streamed.items.ids.tolist() == whole.items.ids.tolist()
    assert streamed.catalogue.titles == whole.catalogue.titles
    assert streamed.catalogue.counts.tolist() == whole.catalogue.counts.tolist()
    assert (streamed.kind, streamed.timed, streamed.read) == (whole.kind, whole.timed, whole.read)
    assert [note for note in streamed.notes if not note.startswith("read piece by piece: ")] == list(whole.notes)


@pytest.mark.parametrize(
    "form",
    ["numbers", "narrow", "far apart", "text", "numbers as text", "floats", "dates", "milliseconds", "clicks"],
)
@pytest.mark.parametrize("kind", ["parquet", "arrow", "csv", "tsv"])
def test_a_log_in_pieces_is_the_log(form: str, kind: str, tmp_path: Path, read_in_pieces: Callable[[], None]) -> None:
    path, log = tmp_path / f"log.{kind}", log_of(form)
    write = {
        "parquet": log.write_parquet,
        "arrow": log.write_ipc,
        "csv": log.write_csv,
        "tsv": lambda path: log.write_csv(path, separator="\t", include_header=form != "numbers"),
    }
    write[kind](path)
    whole = mt.load(path)
    read_in_pieces()
    streamed = mt.load(path)
    assert any(note.startswith("read piece by piece: as a whole that takes ") for note in streamed.notes)
    require_same(streamed, whole)
    assert list((tmp_path / "cache" / "matinee").iterdir()) == []


def test_several_files_in_pieces_are_one_log(tmp_path: Path, read_in_pieces: Callable[[], None]) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    for part in range(3):
        log_of("numbers", part).write_parquet(folder / f"part-{part}.parquet")
    whole = mt.load(folder)
    read_in_pieces()
    require_same(mt.load(folder), whole)


@pytest.mark.parametrize("name", ["ratings.csv", "ratings.dat", "u.data"])
def test_movielens_in_pieces_has_its_titles(name: str, tmp_path: Path, read_in_pieces: Callable[[], None]) -> None:
    folder = tmp_path / "ml"
    folder.mkdir()
    log = log_of("numbers").rename({"user": "userId", "item": "movieId", "value": "rating", "at": "timestamp"})
    log = log.with_columns(pl.col("rating").clip(0, 5))
    if name == "ratings.csv":
        log.write_csv(folder / name)
        (folder / "movies.csv").write_text("movieId,title,genres\n3,Alien (1979),Horror|Sci-Fi\n")
    else:
        separator = "::" if name == "ratings.dat" else "\t"
        (folder / name).write_text("\n".join(separator.join(map(str, row)) for row in log.rows()))
    whole = mt.load(folder)
    read_in_pieces()
    streamed = mt.load(folder)
    assert any(note.startswith("read piece by piece: ") for note in streamed.notes)
    require_same(streamed, whole)
    assert streamed.source == whole.source == "MovieLens"


def test_what_follows_is_the_same_too(tmp_path: Path, read_in_pieces: Callable[[], None]) -> None:
    log_of("numbers").write_parquet(tmp_path / "log.parquet")
    split = mt.split(mt.load(tmp_path / "log.parquet"))
    lists = mt.fit("popularity", split)
    read_in_pieces()
    again = mt.split(mt.load(tmp_path / "log.parquet"))
    assert np.array_equal(again.labels, split.labels)
    assert np.array_equal(mt.fit("popularity", again).model.popularity, lists.model.popularity)


def test_a_bad_cell_is_found_by_its_row(tmp_path: Path, read_in_pieces: Callable[[], None]) -> None:
    frame = log_of("numbers").with_row_index()
    path = tmp_path / "log.parquet"
    frame.select("user", "item", pl.when(pl.col("index") != 1234).then("value").alias("value"), "at").write_parquet(
        path
    )
    read_in_pieces()
    with pytest.raises(DataError, match=r"log.parquet, row 1235: no value \(blank\)"):
        mt.load(path)
    text = path.with_suffix(".csv")
    frame.select("user", "item", pl.when(pl.col("index") != 1234).then("value").otherwise(None), "at").write_csv(text)
    header, _, rest = text.read_text().partition("\n")
    text.write_text("\n".join([header, *[""] * 30_000, rest]))  # blank lines, longer than a piece
    with pytest.raises(DataError, match=r"log.csv, line 31236: no value \(blank\)"):
        mt.load(tmp_path / "log.csv")


@pytest.mark.parametrize("form", ["titles", "kinds of ids", "quotes", "comments", "packed"])
def test_what_is_found_out_from_whole_columns_is_read_as_a_whole(
    form: str, tmp_path: Path, read_in_pieces: Callable[[], None]
) -> None:
    frame = log_of("numbers")
    path = tmp_path / ("log.parquet" if form in ("titles", "kinds of ids") else "log.csv")
    text = frame.write_csv()
    if form == "titles":
        frame = frame.with_columns(title=pl.format("Film {}", "item"))
    elif form == "kinds of ids":
        first = pl.int_range(pl.len()) < 1000
        frame = frame.with_columns(user=pl.when(first).then(pl.col("user").cast(pl.String)).otherwise(pl.lit("ann")))
    changed = {"quotes": f'{text}"7",1,2,1000000000\n', "comments": f"# made by hand\n{text}", "packed": text}
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    elif form == "packed":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(changed[form])
    mt.load(path)
    read_in_pieces()
    with pytest.raises(MatineeError, match=r"not enough memory: reading .*log\.\w+, about [12],\d{3} events, needs"):
        mt.load(path)
