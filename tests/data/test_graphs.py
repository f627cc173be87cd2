"""Knowledge graphs: triples from files and frames, what is left out of them, and their audit."""

import json
from itertools import pairwise
from pathlib import Path
from time import process_time

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.cli.running import run
from matinee.data import graphs
from matinee.data.graph_audit import audit_graph
from matinee.data.graphs import build_graph, grown_graph
from matinee.data.triples import load_triples
from matinee.dataset import Dataset
from matinee.errors import DataError
from matinee.item_table import ItemTable
from matinee.knowledge_graph import KnowledgeGraph
from matinee.report.graph_plot import draw_graph
from matinee.vocab import Vocab
from matinee.workflow import graph_of

MOVIES = Vocab.of([2, 3, 5, 8])


def bare(items: Vocab = MOVIES) -> ItemTable:
    return ItemTable(items, ("",) * len(items), np.zeros(len(items), dtype=np.int32))


def graph(rows: list[tuple], items: Vocab = MOVIES, columns: tuple[str, ...] = ("head", "relation", "tail")):
    frame = pl.DataFrame(rows, schema=list(columns), orient="row")
    return build_graph(items, bare(items), mt.graph(frame))


def triples_in(found: KnowledgeGraph) -> set[tuple[str, str, str]]:
    """Triples in words: an item by `#row`, an entity by `type:name`."""
    names = [f"#{row}" for row in range(found.n_items)]
    names += [f"{found.types[t]}:{n}" for t, n in zip(found.entity_types.tolist(), found.names, strict=True)]
    columns = zip(found.heads.tolist(), found.kinds.tolist(), found.tails.tolist(), strict=True)
    return {(names[head], found.relations[kind], names[tail]) for head, kind, tail in columns}


def test_relations_of_people_share_their_nodes_and_a_genre_of_the_same_name_is_another_node() -> None:
    found = graph([(2, "directed_by", "Ann"), (3, "starring", "Ann"), (3, "genre", "Ann"), (5, "colour", "Ann")])
    assert triples_in(found) == {
        ("#0", "directed_by", "person:Ann"),
        ("#1", "starring", "person:Ann"),
        ("#1", "genre", "genre:Ann"),
        ("#2", "colour", "entity:Ann"),
    }
    assert found.types == ("item", "entity", "genre", "person")


def test_a_graph_grows_by_the_table_of_newer_items_and_keeps_what_a_file_of_triples_said() -> None:
    old_items, items = Vocab.of([3, 5]), Vocab.of([2, 3, 5, 8])
    rows = [
        (3, "directed_by", "nm1", "Steve McQueen"), (5, "starring", "nm2", "Steve McQueen"), (3, "genre", "g", "Drama"),
        (5, "sequel_of", "3", "3"), ("nm1", "born_in", "p1", "London"), (5, "genre", "Drama", "Drama"),
    ]  # fmt: skip
    triples = mt.graph(
        {name: [str(row[n]) for row in rows] for n, name in enumerate(("head", "relation", "tail", "name"))}
    )
    table = ItemTable(old_items, ("A", "B"), np.array([1999, 0]), lists={"genres": (("War",), ("Drama", "War"))})
    known = build_graph(old_items, table, triples)
    newer = ItemTable(
        items, ("C", "A", "B", "D"), np.array([2001, 1999, 0, 1994]),
        lists={"genres": (("War", "Drama"), ("War",), ("Drama", "War"), ())},
    )  # fmt: skip
    found = grown_graph(newer, known, items.rows(old_items.ids))
    rows_of_old = {"#0": "#1", "#1": "#2"}
    moved = {tuple(rows_of_old.get(word, word) for word in triple) for triple in triples_in(known)}
    new = {
        ("#0", "genre", "genre:War"), ("#0", "genre", "genre:Drama"), ("#0", "decade", "decade:2000s"),
        ("#3", "decade", "decade:1990s"),
    }  # fmt: skip
    assert triples_in(found) == moved | new
    assert len(found) == len(known) + len(new)
    assert sorted(found.names) == sorted((*known.names, "2000s"))  # two of one name stay two
    assert found.notes == ()
    again = grown_graph(newer, found, np.arange(4))
    assert (triples_in(again), len(again), again.n_nodes) == (triples_in(found), len(found), found.n_nodes)
    assert len(grown_graph(bare(), KnowledgeGraph.empty(0), np.zeros(0, dtype=np.int32))) == 0


def test_people_who_share_a_name_stay_apart_by_their_ids() -> None:
    rows = [(2, "directed_by", "nm1", "Steve McQueen"), (3, "starring", "nm2", "Steve McQueen")]
    found = graph(rows, columns=("movieId", "relation", "tail", "name"))
    assert found.names == ("Steve McQueen", "Steve McQueen")
    assert len(set(found.tails.tolist())) == 2
    merged = graph([(2, "directed_by", "Steve McQueen"), (3, "starring", "Steve McQueen")])
    assert len(set(merged.tails.tolist())) == 1


def test_triples_of_unknown_movies_are_skipped_and_counted() -> None:
    found = graph([(2, "genre", "War"), (99, "genre", "War"), (98, "prize", "Oscar"), (3, "sequel_of", 97)])
    assert triples_in(found) == {("#0", "genre", "genre:War")}
    assert "skipped 3 of 4 triples, of items that the data lacks (99, 98, 97)" in found.notes[0]


def test_repeats_and_self_loops_are_dropped_and_counted_and_cycles_stay() -> None:
    cycle = [(a, "sequel_of", b) for a, b in pairwise((2, 3, 5, 2))]
    found = graph([*cycle, (2, "sequel_of", 3), (8, "similar_to", 8)])
    assert triples_in(found) == {("#0", "sequel_of", "#1"), ("#1", "sequel_of", "#2"), ("#2", "sequel_of", "#0")}
    assert any("dropped 1 triples that repeat" in note for note in found.notes)
    assert any("dropped 1 triples from a node to itself" in note for note in found.notes)


def test_a_number_that_is_also_an_id_is_an_item_only_where_its_relation_joins_items() -> None:
    found = graph([(2, "year", 3), (2, "length", 5), (2, "remake_of", 8)])
    assert triples_in(found) == {("#0", "year", "year:3"), ("#0", "length", "entity:5"), ("#0", "remake_of", "#3")}


def test_entities_may_lead_on_to_entities() -> None:
    found = graph(
        [(2, "starring", "Ann"), ("Ann", "married_to", "Bob"), ("Cy", "married_to", "Di"), (3, "starring", "Bob")]
    )
    assert ("person:Ann", "married_to", "person:Bob") in triples_in(found)
    assert len(found) == 3  # nothing leads to Cy


def test_a_relation_with_a_million_tails_is_capped_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {"head": np.full(1_000_000, 2), "relation": ["seen_by"] * 1_000_000, "tail": np.arange(1_000_000)}
    found = build_graph(MOVIES, bare(), mt.graph(pl.DataFrame(rows)))
    assert len(found) == graphs.MAX_TAILS
    assert found.names[:2] == ("0", "1")
    assert any("dropped 999,000 triples of heads with more than 1,000 tails" in note for note in found.notes)


def test_a_million_words_by_one_relation_take_seconds() -> None:
    words = pl.DataFrame({"tail": np.arange(1_000_000)}).with_columns(pl.format("word {}", "tail").alias("tail"))
    heads = pl.Series("head", np.tile(MOVIES.ids, 250_000))
    triples = mt.graph(words.with_columns(heads, pl.lit("seen_with").alias("relation")))
    started = process_time()
    found = build_graph(MOVIES, bare(), triples)
    assert process_time() - started < 20, "3 s here; 34 while each word was looked up in a dict"
    assert len(found) == 4 * graphs.MAX_TAILS


def test_spellings_of_relations_and_words_are_one_and_those_of_people_stay_apart() -> None:
    found = graph(
        [
            (2, "directed_by", "Ann"),
            (3, "Directed By", "ann"),
            (5, "directed-by", "Bo"),
            (8, "directed_by", "Bo"),
            (2, "genre", "animation"),
            (3, "Genre", "Animation"),
            (5, "genre", " animation"),
            (5, "colour", "Red"),
            (8, "colour", "red"),
        ]
    )
    assert found.relations == ("colour", "directed_by", "genre")
    words = {name for _, _, name in triples_in(found)}
    assert words == {"person:Ann", "person:ann", "person:Bo", "genre:animation", "entity:Red", "entity:red"}
    said = "\n".join(found.notes)
    assert "relations that differ in spelling alone are one: directed_by and Directed By and directed-by" in said
    assert "words that differ in capitals and spaces alone are one: Animation and animation" in said
    assert "names that differ in capitals and spaces alone stay apart: Red and red, Ann and ann" in said


def test_names_that_differ_in_spaces_and_ids_with_several_names_are_noted() -> None:
    rows = [(2, "starring", "p1", "Al Bo"), (3, "starring", "p2", "Al  Bo"), (5, "starring", "p1", "Allan Bo")]
    found = graph(rows, columns=("head", "relation", "tail", "name"))
    said = "\n".join(found.notes)
    assert "names that differ in capitals and spaces alone stay apart: Al  Bo and Al Bo" in said
    assert "an id with several names keeps the first: p1 (Al Bo and Allan Bo)" in said
    assert set(found.names) == {"Al Bo", "Al  Bo"}


def test_a_skipped_triple_names_the_item_that_is_not_there() -> None:
    found = graph([(2, "sequel_of", "xyz"), (999, "genre", "Drama"), (2, "genre", "Drama")])
    assert any("skipped 2 of 3 triples, of items that the data lacks (xyz, 999)" in note for note in found.notes)


def test_a_word_of_a_triple_is_the_node_of_the_table_and_ids_that_differ_in_capitals_are_not() -> None:
    table = ItemTable(MOVIES, ("",) * 4, np.zeros(4, np.int32), {"genres": (("Drama",), ("Drama",), (), ())})
    found = build_graph(MOVIES, table, mt.graph({"head": [5], "relation": ["genres"], "tail": ["drama"]}))
    assert found.names == ("Drama",)
    ids = graph([(2, "tag", "Q1a", "x"), (3, "tag", "Q1A", "y")], columns=("head", "relation", "tail", "name"))
    assert set(ids.names) == {"x", "y"}


def test_recbole_files_are_read_with_their_link(tmp_path: Path) -> None:
    (tmp_path / "ml.kg").write_text(
        "head_id:token\trelation_id:token\ttail_id:token\nm.1\tfilm.genre\tm.9\nm.2\tnext\tm.1\n"
    )
    (tmp_path / "ml.link").write_text("item_id:token\tentity_id:token\n2\tm.1\n3\tm.2\n")
    found = build_graph(MOVIES, bare(), load_triples(tmp_path / "ml.kg"))
    assert triples_in(found) == {("#0", "film.genre", "entity:m.9"), ("#1", "next", "#0")}
    assert triples_in(build_graph(MOVIES, bare(), load_triples(tmp_path))) == triples_in(found)


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("head,relation,tail\n2,genre,War\n", False),
        ("2,genre,War\n", False),
        ("2\tgenre\tWar\n", False),
        ("tail;relation;head\nWar;genre;2\n", False),
        ("movieId,property,object\n2,genre,War\n", False),
        ("a,relation,tail\n2,genre,War\n", True),
    ],
)
def test_tables_of_triples_in_several_forms(text: str, refused: bool, tmp_path: Path) -> None:
    path = tmp_path / "triples.csv"
    path.write_text(text)
    if refused:
        with pytest.raises(DataError, match="no column for the head of a triple among 'a', 'relation', 'tail'"):
            load_triples(path)
        return
    assert triples_in(build_graph(MOVIES, bare(), load_triples(path))) == {("#0", "genre", "genre:War")}


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"\xef\xbb\xbfhead,relation,tail\n2,directed_by,Lee\n", {("directed_by", "Lee")}),
        ("\ufeffhead,relation,tail\n2,directed_by,Lee\n".encode("utf-16-le"), {("directed_by", "Lee")}),
        (b"head,relation,tail\r\n2,directed_by,Lee\r\n", {("directed_by", "Lee")}),
        (b'head,relation,tail\n2,directed_by,"Lee, ""Ang"""\n', {("directed_by", 'Lee, "Ang"')}),
        (b'head\trelation\ttail\n2\tdirected_by\t"Ang\tLee"\n', {("directed_by", "Ang\tLee")}),
        (b'head,relation,tail\n2,directed_by,"Ang\nLee"\n', {("directed_by", "Ang\nLee")}),
        ("head,relation,tail\n2,감독,봉준호\n3,감독,봉준호\n".encode(), {("감독", "봉준호")}),
        (b"head,relation,tail\n2,directed_by,Lee\n2,directed_by, Lee\n", {("directed_by", "Lee")}),
        (b'[{"head": 2, "relation": "directed_by", "tail": "Lee"}]', {("directed_by", "Lee")}),
        (b"head,relation,tail\n2,liked,Lee\n", {("liked", "Lee")}),
    ],
)
def test_odd_files_keep_their_names(content: bytes, wanted: set[tuple[str, str]], tmp_path: Path) -> None:
    path = tmp_path / ("triples.tsv" if b"\t" in content else "triples.json" if content[:1] == b"[" else "triples.csv")
    path.write_bytes(content)
    found = triples_in(build_graph(MOVIES, bare(), load_triples(path)))
    assert {(relation, tail.split(":", 1)[1]) for _, relation, tail in found} == wanted


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("head,relation,tail\n2,directed_by,Fran\xe7ois\n".encode("latin-1"), "line 2: byte 0xe7 is not UTF-8"),
        (b"head,relation,tail\n2,directed_by,A\x00B\n", "zero byte on line 2"),
        (b"head,tail\n2,Lee\n", "no column for the relation of a triple among 'head', 'tail'"),
        (b"head,relation,tail\n2,directed_by,\n", "line 2: no tail; fill it in or leave the line out of the graph"),
        (b"head,relation,tail\n2,,A\n3, ,B\n", "line 2: no relation, and none on 1 more lines; fill it in"),
        ("영화,관계,대상\n2,감독,봉준호\n".encode(), "name the columns head, relation and tail"),
        (b"head,relation,tail\n2,genre,A,B\n", "line 2: 4 fields, but the first line has 3"),
        (b"2,genre,A\n3,genre\n", "line 2: no tail"),
        (b"2,genre\n3,genre\n", "has 2 columns; a triple has three: head, relation, tail"),
        (b"2\n3\n", "write head, relation, tail with one of them between"),
        (b"head,relation,tail,tail\n2,genre,A,B\n", "two columns are called 'tail'; rename one of them"),
        (b"head,relation,head\n2,genre,A\n", "two columns are called 'head'"),
        (b"[]", "a graph has an object for each triple: head, relation, tail"),
        (b"\n\n \n", "is empty; a graph has a line for each triple: head, relation, tail"),
    ],
)
def test_odd_files_are_refused_by_what_is_wrong(content: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "triples.csv").write_bytes(content)
    with pytest.raises(DataError) as caught:
        load_triples(tmp_path / "triples.csv")
    assert problem in str(caught.value)


def test_a_column_that_is_not_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "two.csv").write_text("head,relation,tail,object\n2,genre,A,B\n")
    assert any(
        "the tail is read from 'tail', not from 'object'" in note for note in load_triples(tmp_path / "two.csv").notes
    )


def test_a_parquet_of_integers_and_a_column_of_lists(tmp_path: Path) -> None:
    frame = pl.DataFrame({"head": [2, 3], "relation": [0, 0], "tail": [100, 101]})
    frame.write_parquet(tmp_path / "numbers.parquet")
    found = triples_in(build_graph(MOVIES, bare(), load_triples(tmp_path / "numbers.parquet")))
    assert found == {("#0", "0", "entity:100"), ("#1", "0", "entity:101")}
    frame.with_columns(pl.Series("tail", [["A", "C"], ["B"]])).write_parquet(tmp_path / "lists.parquet")
    with pytest.raises(DataError, match="the column 'tail' holds lists; give one tail a row"):
        load_triples(tmp_path / "lists.parquet")


def test_lines_of_three_numbers_are_triples(tmp_path: Path) -> None:
    (tmp_path / "kg.txt").write_text("2 0 100\n3 1 101\n5 0 100\n")
    found = build_graph(MOVIES, bare(), load_triples(tmp_path / "kg.txt"))
    assert triples_in(found) == {("#0", "0", "entity:100"), ("#1", "1", "entity:101"), ("#2", "0", "entity:100")}


@pytest.mark.parametrize("text", ["", "head,relation,tail\n"])
def test_an_empty_file_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text(text)
    with pytest.raises(DataError, match=r"empty|no triples|no rows"):
        load_triples(tmp_path / "empty.csv")


@pytest.mark.parametrize(
    ("row", "problem"),
    [((2, "genre", None), "tail"), ((2, None, "War"), "relation"), ((None, "genre", "War"), "head")],
)
def test_a_blank_cell_is_refused_by_its_place(row: tuple, problem: str) -> None:
    with pytest.raises(DataError, match=rf"row 2.*{problem}|{problem}.*row 2"):
        graph([(2, "genre", "War"), row])


def test_the_graph_of_the_bundled_data_has_its_genres_and_decades(bundled: Dataset) -> None:
    found = graph_of(bundled)
    catalogue = bundled.catalogue
    words = {(f"#{row}", "genre", f"genre:{genre}") for row, of in enumerate(catalogue.genres) for genre in of}
    words |= {(f"#{row}", "decade", f"decade:{year // 10}0s") for row, year in enumerate(catalogue.years) if year}
    assert {triple for triple in triples_in(found) if triple[1] in ("genre", "decade")} == words
    assert found.fingerprint == graph_of(bundled).fingerprint != found.without("genre").fingerprint


def test_audit_by_hand(bundled: Dataset, tmp_path: Path) -> None:
    rows = [(int(bundled.items.id(0)), "starring", "A"), (int(bundled.items.id(1)), "starring", "A")]
    rows += [(int(bundled.items.id(1)), "starring", "B")]
    table = bare(bundled.items)
    found = audit_graph(
        bundled,
        build_graph(
            bundled.items, table, mt.graph(pl.DataFrame(rows, orient="row", schema=["head", "relation", "tail"]))
        ),
    )
    rated, liked, starring = found.relations
    assert (rated.name, rated.triples) == ("rated", len(bundled.events))
    assert 0 < liked.triples < rated.triples
    assert (starring.triples, starring.heads, starring.tails, starring.single) == (3, 2, 2, 1)
    assert starring.hubs == (("A", 2), ("B", 1))
    assert found.isolated == len(bundled.items) - 2
    assert found.nodes == {"user": len(bundled.users), "item": len(bundled.items), "person": 2}
    json.dumps(found.to_json())
    draw_graph(found, tmp_path / "graph.svg")
    assert (tmp_path / "graph.svg").stat().st_size > 5000


def test_a_graph_without_any_attribute_is_said_and_drawn(bundled: Dataset, tmp_path: Path) -> None:
    found = audit_graph(bundled, KnowledgeGraph.empty(len(bundled.items)))
    assert found.triples == 0
    assert "no triples" in found.notes[-1]
    draw_graph(found, tmp_path / "graph.png")


def test_the_command_audits_a_graph(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "people.csv").write_text("head,relation,tail\n1,directed_by,John Lasseter\n999999,starring,Nobody\n")
    assert run(["data", "audit", "--graph", str(tmp_path / "people.csv"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {each["name"] for each in found["relations"]} >= {"rated", "genre", "decade", "directed_by"}
    assert run(["data", "audit", "--graph", str(tmp_path / "none.csv")]) != 0
    assert "no file or folder" in capsys.readouterr().err
    assert run(["data", "audit", "--graph", "catalogue", "--ratios", "0.8,0.1,0.1"]) == 2
    assert "has no effect" in capsys.readouterr().err
