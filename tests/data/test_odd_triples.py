"""Odd triples of a knowledge graph, in Python and on the command line: one clear line, and nothing left out unsaid."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.cli.running import run
from matinee.data.graphs import build_graph
from matinee.data.triples import load_triples
from matinee.errors import DataError
from matinee.item_table import ItemTable
from matinee.knowledge_graph import KnowledgeGraph
from matinee.vocab import Vocab

MOVIES = Vocab.of([2, 3, 5, 8])
KG = "head_id:token\trelation_id:token\ttail_id:token\n"
LINK = "item_id:token\tentity_id:token\n"


def graph(triples: Any) -> KnowledgeGraph:
    return build_graph(MOVIES, ItemTable(MOVIES, ("",) * 4, np.zeros(4, dtype=np.int32)), triples)


def words(found: KnowledgeGraph) -> set[tuple[int, str, str]]:
    """Triples from an item's row to an entity's name."""
    columns = zip(found.heads.tolist(), found.kinds.tolist(), found.tails.tolist(), strict=True)
    return {(head, found.relations[kind], found.names[tail - found.n_items]) for head, kind, tail in columns}


def written(folder: Path, **contents: str) -> Path:
    """Files `x.NAME`; the path of the first."""
    for name, content in contents.items():
        (folder / f"x.{name}").write_text(content, "utf-8")
    return folder / f"x.{next(iter(contents))}"


@pytest.mark.parametrize(
    ("contents", "problem"),
    [
        ({"csv": "head,relation,tail\n99,genre,War\n98,genre,War\n"},
         "none of its triples is of an item of the data, whose ids are 2, 3, 5, ... and not 99, 98; "
         "write the ids of this data as heads"),
        ({"csv": "War,genre,2\nDrama,genre,3\n"}, "its tails are; name the columns head, relation and tail"),
        ({"kg": KG + "m.1\tgenre\tm.9\n"}, "and not m.1; put a .link of the same name beside it"),
        ({"kg": KG + "m.1\tgenre\tm.9\n", "link": LINK + "99\tm.1\n"}, "give the .link that says which entities are"),
        ({"kg": KG + "m.1\tgenre\tm.9\n", "link": ""}, "x.link is empty; a .link has a line for each item: item_id"),
        ({"kg": KG + "m.1\tgenre\tm.9\n", "link": LINK + "2\t\n"}, "x.link, line 2: no entity; fill it in"),
        ({"kg": KG + "m.1\tgenre\tm.9\n", "link": "a:token\tb:token\n2\tm.1\n"}, "x.link: a .link has the columns"),
        ({"csv": "user,item,rating\n1,2,3\n"}, "no column for the relation of a triple among 'user', 'item', 'rating'"),
        ({"csv": "head,relation,tail\n2,directed_by,NaN\n3,directed_by,Lee\n"}, "line 2: no tail"),
        ({"csv": "head,relation,tail\nNaN,genre,War\n"}, "line 2: no head"),
        ({"json": '[{"head":2,"relation":"genre","tail":"War"},{"head":3,"relation":"genre"}]'}, "row 2: no tail"),
        ({"json": '[{"head":2,"relation":"genre","tail":["War"]}]'}, "the column 'tail' holds lists"),
        ({"json": '[{"head":2,'}, "damaged JSON"),
    ],
)  # fmt: skip
def test_what_is_refused_is_refused_in_one_line(
    contents: dict[str, str], problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, **contents)
    with pytest.raises(DataError) as caught:
        graph(load_triples(path))
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)
    (tmp_path / "log.csv").write_text("user,movie,rating\n1,2,5\n1,3,4\n2,5,3\n2,8,4\n")
    assert run(["data", "audit", "--data", str(tmp_path / "log.csv"), "--graph", str(path)]) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1, said
    assert problem in said[0]


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"head": [2, None], "relation": ["genre"] * 2, "tail": ["War"] * 2}, "row 2: no head"),
        ({"head": [2.0, np.nan], "relation": ["genre"] * 2, "tail": ["War"] * 2}, "row 2: no head"),
        ({"head": [2, 3], "relation": ["genre"] * 2, "tail": [{"a": 1}, {"a": 2}]}, "column 'tail' holds objects"),
        ({"head": [2, 3], "relation": ["score"] * 2, "tail": [7.5, np.nan]}, "row 2: no tail"),
        ({"head": [], "relation": [], "tail": []}, "has no triples"),
    ],
)
def test_tables_with_nulls_are_refused_from_a_file_as_from_a_frame(
    columns: dict[str, list], problem: str, tmp_path: Path
) -> None:
    frame = pl.DataFrame(columns, strict=False)
    frame.write_parquet(tmp_path / "x.parquet")
    for make in (lambda: mt.graph(frame), lambda: load_triples(tmp_path / "x.parquet")):
        with pytest.raises(DataError, match=problem):
            make()


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({}, "the table has no columns"),
        ({"head": [2, 3], "relation": ["genre"], "tail": ["War"]}, "give columns of equal length"),
        ([(2, "genre", "War")], "list is not a table; give polars, pandas, Arrow or a dict of columns"),
        (None, "NoneType is not a table"),
        ("nowhere.csv", "no file or folder nowhere.csv"),
    ],
)
def test_what_is_no_table_is_refused(table: object, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        mt.graph(table)


def test_ids_that_became_floats_are_the_items_they_were(tmp_path: Path) -> None:
    wanted = {(0, "genre", "War"), (1, "genre", "War")}
    path = written(tmp_path, csv="head,relation,tail\n2.0,genre,War\n3.0,genre,War\n")
    assert words(graph(load_triples(path))) == wanted
    assert words(graph(mt.graph({"head": [2.0, 3.0], "relation": ["genre"] * 2, "tail": ["War"] * 2}))) == wanted
    years = graph(mt.graph({"head": [2, 3], "relation": ["year"] * 2, "tail": [1995.0, 1995.0]}))
    assert words(years) == {(0, "year", "1995"), (1, "year", "1995")}


def test_a_relation_named_like_one_of_the_log_is_kept_and_said() -> None:
    found = graph(mt.graph({"head": [2, 3, 5], "relation": ["liked", "Rated ", "genre"], "tail": ["A", "B", "War"]}))
    assert words(found) == {(0, "liked", "A"), (1, "Rated", "B"), (2, "genre", "War")}
    assert "its rated and liked is not that of the log, from users to items" in " ".join(found.notes)


def test_an_entity_that_a_link_gives_two_items_keeps_the_first_and_a_note_counts_the_others(tmp_path: Path) -> None:
    path = written(
        tmp_path, kg=KG + "m.1\tgenre\tm.9\nm.2\tgenre\tm.8\n", link=LINK + "2\tm.1\n3\tm.1\n5\tm.2\n2\tm.1\n"
    )
    found = graph(load_triples(path))
    assert words(found) == {(0, "genre", "m.9"), (2, "genre", "m.8")}
    assert "dropped 1 links of entities that stand for an item already, such as m.1" in found.notes[0]


def test_tails_without_a_name_are_counted_and_called_by_their_id() -> None:
    rows = {"head": [2, 3, 5], "relation": ["starring"] * 3, "tail": ["n1", "n2", "n3"], "name": ["Al", None, " "]}
    found = graph(mt.graph(rows))
    assert words(found) == {(0, "starring", "Al"), (1, "starring", "n2"), (2, "starring", "n3")}
    assert "2 tails without a name are called by their id" in found.notes[0]


def test_notes_are_one_line_each_whatever_names_hold() -> None:
    names = ["A\nB", "a b", "x" * 100_000, "X" * 100_000, "\x1b[31mred", "\x1b[31mRED"]
    heads = [2, 3, 5, 8, 2, 3]
    found = graph(mt.graph({"head": [*heads, "y\n" * 99], "relation": ["starring"] * 7, "tail": [*names, "C"]}))
    assert len(found.notes) == 3
    for note in found.notes:
        assert note.isprintable(), note
        assert len(note) < 600
    assert {name for *_, name in words(found)} == set(names), "names themselves stay as they are"
