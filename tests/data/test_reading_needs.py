"""What reading a log needs of memory, said before it is read."""

import gzip
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import matinee as mt
from matinee.errors import DataError, MatineeError
from matinee.reading.archives import Folder, open_source
from matinee.reading.needs import ReadingNeed, reading_need

N_EVENTS = 60_000


@pytest.fixture
def events() -> pl.DataFrame:
    rows = range(N_EVENTS)
    return pl.DataFrame(
        {
            "user": [1000 + row // 30 for row in rows],
            "item": [row * 7919 % 5000 for row in rows],
            "value": [float(row % 5 + 1) for row in rows],
            "at": [1_000_000_000 + row for row in rows],
        }
    )


@pytest.fixture
def full_machine(small_machine: Callable[[int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 2 MB free, on which no reading may begin."""
    small_machine(2000)

    def refuse(folder: Folder, name: str) -> bytes:
        raise AssertionError(f"{name} was read")

    monkeypatch.setattr(Folder, "read", refuse)


def need_of(path: Path) -> ReadingNeed | None:
    archive, name = open_source(path)
    assert name is not None
    return reading_need(archive, name)


def as_gzip(frame: pl.DataFrame, path: Path) -> None:
    path.write_bytes(gzip.compress(frame.write_csv().encode()))


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("log.csv", pl.DataFrame.write_csv),
        ("log.csv.gz", as_gzip),
        ("log.parquet", pl.DataFrame.write_parquet),
        ("log.arrow", pl.DataFrame.write_ipc),
    ],
)
def test_events_are_counted_in_any_format(
    name: str, write: Callable[[pl.DataFrame, Path], object], events: pl.DataFrame, tmp_path: Path
) -> None:
    write(events, tmp_path / name)
    need = need_of(tmp_path / name)
    assert need is not None
    assert need.events == pytest.approx(N_EVENTS, rel=0.05)
    assert 40 * N_EVENTS < need.n_bytes < 250 * N_EVENTS
    assert need.is_text == ("csv" in name)


def test_text_needs_more_than_numbers_and_long_text_more_than_short(events: pl.DataFrame, tmp_path: Path) -> None:
    sizes = []
    for form in ("{}", "u{}", "https://example.com/users/{}"):
        path = tmp_path / "log.parquet"
        ids = pl.col("user") if form == "{}" else pl.format(form, "user")
        events.with_columns(user=ids).write_parquet(path)
        need = need_of(path)
        assert need is not None
        sizes.append(need.n_bytes)
    assert sizes == sorted(set(sizes))


@pytest.mark.usefixtures("full_machine")
@pytest.mark.parametrize("name", ["log.csv.gz", "ratings.csv"])
def test_a_log_that_does_not_fit_is_refused_before_it_is_read(name: str, events: pl.DataFrame, tmp_path: Path) -> None:
    folder = tmp_path / "big"
    folder.mkdir()
    if name == "log.csv.gz":
        as_gzip(events, folder / name)
    else:
        events.write_csv(folder / name, quote_style="always")  # quotes are read as a whole
    with pytest.raises(
        MatineeError, match=r"not enough memory: reading .*, about [56]\d,\d{3} events, needs"
    ) as caught:
        mt.load(folder / name)
    assert "and 2 MB are free; " in str(caught.value)
    assert ("write it as Parquet" in str(caught.value)) == (name == "log.csv.gz")


@pytest.mark.usefixtures("full_machine")
def test_pieces_of_a_table_are_counted_together(events: pl.DataFrame, tmp_path: Path) -> None:
    folder = tmp_path / "big"
    folder.mkdir()
    for part in range(3):
        as_gzip(events, folder / f"part-{part}.csv.gz")
    with pytest.raises(MatineeError, match=r"about 1[78]\d,\d{3} events, needs"):
        mt.load(folder)


def test_files_without_rows_that_can_be_counted_are_read_as_ever(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text('[{"user": 1, "item": 2}]')
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    assert need_of(tmp_path / "log.json") is None
    assert need_of(tmp_path / "empty.csv") is None
    need = need_of(tmp_path / "cut.parquet")
    assert need is None or need.events <= 1


def test_a_damaged_arrow_file_is_refused_in_one_line(tmp_path: Path) -> None:
    """Wherever the damage lies. What is only a value reads as another value, for the format has no checksum."""
    path = tmp_path / "log.arrow"
    pl.DataFrame({"user": [1, 2], "item": ["a", "b"], "rating": [3.0, 4.0]}).write_ipc(path)
    whole = path.read_bytes()
    refused = []
    for at in range(8, len(whole) - 8, 40):
        damaged = bytearray(whole)
        damaged[at : at + 40] = b"\xfc" * len(damaged[at : at + 40])
        path.write_bytes(damaged)
        try:
            mt.load(path)
        except DataError as error:
            refused.append(str(error))
    assert any("damaged Arrow" in message for message in refused)
    assert not [message for message in refused if "\n" in message]
