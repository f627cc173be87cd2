"""Logs in several files, as Spark, BigQuery and Hive write them: one table, said in a note, or one clear line."""

from pathlib import Path

import polars as pl
import pytest

import matinee as mt
from matinee.data.pieces import is_one_table
from matinee.errors import DataError

EVENTS = pl.DataFrame(
    {
        "user": ["a", "a", "b", "b", "c", "c"],
        "item": [1, 2, 2, 3, 3, 1],
        "rating": [5.0, 3.0, 4.0, 2.0, 1.0, 5.0],
        "timestamp": [10**9 + number for number in range(6)],
    }
)


def write(folder: Path, names: tuple[str, ...], events: pl.DataFrame = EVENTS) -> None:
    """Two events to a file."""
    for number, name in enumerate(names):
        piece, path = events[2 * number : 2 * number + 2], folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        piece.write_parquet(path) if name.endswith("parquet") else piece.write_csv(path)


@pytest.mark.parametrize(
    "names",
    [
        ("part-00000.parquet", "part-00001.parquet", "part-00002.parquet"),
        tuple(f"part-{n:05}-1f0c7b9e-52c8-4e4a-9d3b-{n:012x}-c000.snappy.parquet" for n in range(3)),
        ("export000000000000.csv", "export000000000001.csv", "export000000000002.csv"),
        ("2022/data_0.parquet", "2023/data_0.parquet", "2024/data_0.parquet"),
        ("ratings_2022.csv", "ratings_2023.csv", "ratings_2024.csv"),
    ],
)
def test_pieces_are_read_as_one_table(tmp_path: Path, names: tuple[str, ...]) -> None:
    write(tmp_path, names)
    (tmp_path / "_SUCCESS").touch()
    data = mt.load(tmp_path)
    expected = mt.events(EVENTS)
    assert data.to_frame().equals(expected.to_frame())
    assert any("read 3 files as the pieces of one table" in note for note in data.notes)


def test_a_folder_that_stands_for_a_column_becomes_one(tmp_path: Path) -> None:
    log = EVENTS.rename({"item": "film"}).drop("user")
    write(tmp_path, ("user=a/part-0.parquet", "user=b/part-0.parquet", "user=c/part-0.parquet"), log)
    data = mt.load(tmp_path, item="film")
    assert data.users.ids.tolist() == ["a", "b", "c"]
    assert data.to_frame()["item"].to_list() == EVENTS["item"].to_list()


def test_empty_pieces_are_counted(tmp_path: Path) -> None:
    write(tmp_path, ("part-0.csv", "part-1.csv", "part-2.csv"))
    (tmp_path / "part-3.csv").touch()
    data = mt.load(tmp_path)
    assert len(data.events) == 6
    assert any("4 files" in note and "1 of them empty" in note for note in data.notes)


def test_ids_that_are_numbers_in_one_piece_and_text_in_another_are_one_kind(tmp_path: Path) -> None:
    write(tmp_path, ("part-0.parquet", "part-1.parquet"))
    EVENTS[4:].with_columns(pl.col("item").cast(pl.String)).write_parquet(tmp_path / "part-2.parquet")
    assert mt.load(tmp_path).items.ids.tolist() == [1, 2, 3]


def test_the_order_of_columns_may_differ(tmp_path: Path) -> None:
    write(tmp_path, ("part-0.csv", "part-1.csv", "part-2.csv"))
    EVENTS[4:].select("timestamp", "rating", "item", "user").write_csv(tmp_path / "part-2.csv")
    assert mt.load(tmp_path).to_frame().equals(mt.events(EVENTS).to_frame())


def test_a_bad_cell_is_named_with_its_file(tmp_path: Path) -> None:
    write(tmp_path, ("part-0.csv", "part-1.csv", "part-2.csv"))
    (tmp_path / "part-1.csv").write_text("user,item,rating,timestamp\nb,2,four,1000000002\n", "utf-8")
    with pytest.raises(DataError, match=r"part-1\.csv, line 2"):
        mt.load(tmp_path)


@pytest.mark.parametrize(
    ("piece", "message"),
    [
        (EVENTS[4:].rename({"rating": "stars"}), "part-2.parquet has other columns than .*part-0.parquet"),
        (EVENTS[4:].with_columns(item=pl.Series([[1], [2]])), "columns of different types"),
    ],
)
def test_pieces_that_do_not_fit_together_are_refused(tmp_path: Path, piece: pl.DataFrame, message: str) -> None:
    write(tmp_path, ("part-0.parquet", "part-1.parquet"))
    piece.write_parquet(tmp_path / "part-2.parquet")
    with pytest.raises(DataError, match=message):
        mt.load(tmp_path)


def test_pieces_that_are_all_empty_are_refused(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"part-{number}.csv").touch()
    with pytest.raises(DataError, match="all are empty"):
        mt.load(tmp_path)


def test_a_column_of_the_table_and_of_its_folder_is_refused(tmp_path: Path) -> None:
    write(tmp_path, ("user=a/part-0.parquet", "user=b/part-0.parquet"))
    with pytest.raises(DataError, match="has a column user and lies in a folder of that name"):
        mt.load(tmp_path)


def test_tables_whose_names_differ_in_more_than_numbers_are_no_pieces() -> None:
    assert not is_one_table(["clicks-1.csv", "orders-2.csv"])
    assert not is_one_table(["part-0.csv", "part-1.parquet"])
    assert not is_one_table(["part-0.csv"])
    assert is_one_table(["day=mon/part-0.csv", "day=tue/part-0.csv"])
