"""What objects show of themselves: short, whole and escaped."""

import re

import polars as pl
import pytest

import matinee as mt
from matinee.data.splits import Split
from matinee.data.synthetic import two_groups
from matinee.shown import MOST_TEXT, Overview
from matinee.store.artefact import Artefact


@pytest.fixture(scope="module")
def split() -> Split:
    return mt.split(two_groups(60, 30), "random", seed=3)


@pytest.fixture(scope="module")
def ease(split: Split) -> Artefact:
    return mt.fit("ease", split, l2=7)


def test_every_object_says_what_it_is_and_how_large(split, ease):
    report = mt.evaluate(ease, split, k=5, samples=100)
    comparison = mt.compare([ease, "popularity"], split, "ndcg@5", k=5, samples=100)
    shown = [
        (split.data, r"two-groups \(clicks, with times\): 60 users, 30 items, [\d,]+ events\nnext: split = mt\.split"),
        (split, r"two-groups, split random, seed 3: train \d+, valid \d+, test \d+ events"),
        (ease, r"ease fitted on two-groups, in [\d.]+ s: 60 users, 30 items, [\d,]+ events\n  l2 = 7\.0\nnext: mt\."),
        (report, r"ease on two-groups, test of split random: \d+ users.*\n  metric +@5\n  ndcg +0\.\d{4} \("),
        (comparison, r"2 models on two-groups, .*\n  model +ndcg@5 +difference +p \(Holm\) +verdict\n  ease .* best\n"),
        (mt.audit(split), r"audit of two-groups\n  what +value\n  data +two-groups"),
        (
            mt.items({"item": range(900), "title": ["A"] * 899 + [""], "brand": ["b|c"] * 900}, lists="brand"),
            r"table of 900 items\n  column +what +items with it\n  title +title +899\n  year +year +0\n"
            r"  brand +list +900\nnext: mt\.load",
        ),
        (
            mt.graph({"head": range(9), "relation": ["genre"] * 8 + ["actor"], "tail": "a" * 9}),
            r"knowledge graph of .*: 9 triples, 2 kinds of relations\n  relation  triples\n  genre +8\n  actor +1\n",
        ),
        (mt.recommend(ease, history=[0, 2]), r"recommended by ease\n +title +genres +score\n  1 +Movie"),
    ]
    for each, pattern in shown:
        assert re.match(pattern, repr(each)), repr(each)
        assert len(repr(each)) <= MOST_TEXT
        assert each._repr_html_().startswith("<p><strong>")


def test_what_is_long_is_cut_and_counted():
    rows = [("name", "value"), *((f"row {n}", "x" * 500) for n in range(100))]
    text = Overview("h" * 5000, rows, ["n" * 5000] * 9, "call()" * 900, "numbers").text()
    assert len(text) == MOST_TEXT
    assert "  and 90 more numbers" in text
    assert "and 5 more notes" in text
    page = Overview("h", rows, rest="numbers").html()
    assert page.count("<tr>") == 1 + 60
    assert "<p>and 40 more numbers</p>" in page
    assert Overview("all of it", rows[:3], ["one"], "call()").text().splitlines()[-2:] == ["  one", "next: call()"]


def test_pages_are_escaped():
    page = Overview("<b>", [("<i>", "&")], ["<script>"], "<a>").html()
    assert not re.search(r"<(b|i|script|a)>", page)
    assert "&lt;script&gt;" in page


def test_a_table_of_items_and_a_graph_are_frames():
    columns = {
        "item": ["a", "b"],
        "title": ["A", ""],
        "year": [1990, None],
        "genres": ["x|y", ""],
        "price": [None, 2.5],
    }
    rows = mt.items(columns, numbers="price").to_frame().rows()
    assert rows == [("a", "A", 1990, ["x", "y"], None), ("b", None, None, [], 2.5)]
    triples = mt.graph({"head": ["1"], "relation": ["genre"], "tail": ["a"]})
    assert triples.to_frame().rows() == [("1", "genre", "a", "a")]


def test_a_search_shows_its_trials_best_first(split):
    found = mt.tune("ease", split, trials=4, seed=2, metric="ndcg@5")
    lines = repr(found).splitlines()
    assert lines[0] == str(found)
    assert lines[1].split() == ["trial", *found.fields, "ndcg@5"]
    values = [float(line.split()[-1]) for line in lines[2:-1]]
    assert values == sorted(values, reverse=True)
    assert any(line.strip().startswith("the defaults") for line in lines)
    frame = found.to_frame()
    assert frame["trial"].to_list() == [each.number for each in found.trials]
    assert frame["value"].to_list() == [each.value for each in found.trials]
    assert len(repr(found)) <= MOST_TEXT


def test_events_take_a_table_of_items_as_files_do():
    table = mt.items({"item": ["a", "b", "c"], "title": ["A", "B", "C"]})
    data = mt.events({"user": [1, 1], "item": ["a", "b"]}, items=table)
    assert data.catalogue.titles == ("A", "B", "C")
    with pytest.raises(mt.MatineeError, match=r"make a table of a frame with mt\.items"):
        mt.events({"user": [1], "item": ["a"]}, items={"item": ["a"]})


def test_every_table_is_a_frame(split, ease):
    log = split.to_frame()
    assert log.columns == ["user", "item", "value", "time", "part"]
    assert {part: n for part, n in log["part"].value_counts().iter_rows()} == split.sizes()
    one = log.row(17, named=True)
    events = split.data.events
    assert (one["user"], one["item"]) == (
        split.data.users.id(events.user_rows[17]),
        split.data.items.id(events.item_rows[17]),
    )
    assert one["time"].timestamp() == events.times[17]
    report = mt.evaluate(ease, split, k=(5, 10), samples=100)
    frame = report.to_frame()
    ndcg = frame.row(by_predicate=(pl.col("metric") == "ndcg") & (pl.col("k") == 5), named=True)
    assert (ndcg["mean"], ndcg["high"]) == (report.metrics["ndcg@5"].mean, report.metrics["ndcg@5"].high)
    assert report.per_user_to_frame()["ndcg@5"].mean() == pytest.approx(ndcg["mean"])
    assert report.segments_to_frame()["size"].to_list() == [each.size for each in report.segments]
    table = mt.compare([ease, "popularity"], split, "ndcg@5", k=5, samples=100).to_frame()
    assert table["verdict"].to_list() == ["best", "worse"]
    listed = mt.recommend(ease, history=[0, 2], k=3, explain=True)
    assert listed.to_frame()["item"].to_list() == [movie.item_id for movie in listed]
    assert listed.to_frame()["because"].to_list()[0]
    assert dict(mt.audit(split).to_frame().iter_rows())["users"] == "60"
    trained = mt.fit("bpr", split, epochs=2)
    assert len(trained.curves_to_frame()) == 2
