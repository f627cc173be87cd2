"""Title search finds titles as people type them."""

import time
from difflib import SequenceMatcher

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.catalogue import Catalogue
from matinee.dataset import Dataset
from matinee.item_table import ItemTable
from matinee.serve.people import People
from matinee.serve.search import TitleSearch, _distances, _letters
from matinee.vocab import Vocab

TITLES = [
    "Matrix, The (1999)", "Matrix Reloaded, The (2003)", "Alien (1979)", "Aliens (1986)", "Forrest Gump (1994)",
    "Spider-Man 2 (2004)", "Schindler's List (1993)", "Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)",
    "Seven (a.k.a. Se7en) (1995)", "2001: A Space Odyssey (1968)", "WALL·E (2008)", "Silence of the Lambs, The (1991)",
    "Good, the Bad and the Ugly, The (1966)", "살인의 추억 (2003)", "M (1931)", "Forest Warrior (1996)",
]  # fmt: skip


@pytest.fixture(scope="module")
def search() -> TitleSearch:
    return TitleSearch(Catalogue.of(TITLES), np.arange(len(TITLES), 0, -1))


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("the matrix", 0), ("Matrix, The", 0), ("matrix the", 0), ("mat", 0), ("MATRIX", 0), ("matrix 2003", 1),
        ("matrx", 0), ("mtarix", 0), ("alien", 2), ("aliens", 3), ("forest gump", 4), ("forrest gmup", 4),
        ("spiderman", 5), ("spider man", 5), ("spider-man", 5), ("schindlers list", 6), ("schindler’s", 6),
        ("amélie", 7), ("amelie", 7), ("fabuleux", 7), ("se7en", 8), ("seven", 8), ("2001", 9), ("walle", 10),
        ("silence lambs", 11), ("good bad ugly", 12), ("살인", 13), ("m", 14), ("schindelrs", 6),
        ("forrestgump", 4), ("schindlers lit", 6), ("silense of the lamb", 11),
    ],
)  # fmt: skip
def test_the_intended_title_comes_first(search: TitleSearch, query: str, first: int) -> None:
    if query == "m":
        assert first in search.find(query, 3)
    else:
        assert search.find(query, 3)[:1] == [first]


@pytest.mark.parametrize(
    "query", ["", "   ", "!!!", "zzzzqqqq", "'; DROP TABLE x; --" * 40, "<script>alert(1)</script>"]
)
def test_queries_without_words_find_nothing(search: TitleSearch, query: str) -> None:
    assert search.find(query, 3) == []


def test_an_empty_catalogue_finds_nothing() -> None:
    assert TitleSearch(Catalogue.of(["???"]), np.array([0])).find("alien", 3) == []


def edits(left: str, right: str) -> int:
    """Optimal string alignment, the plain table."""
    table = [[i + j if i * j == 0 else 0 for j in range(len(right) + 1)] for i in range(len(left) + 1)]
    for i in range(1, len(left) + 1):
        for j in range(1, len(right) + 1):
            cost = left[i - 1] != right[j - 1]
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + cost)
            if i > 1 and j > 1 and left[i - 1] == right[j - 2] and left[i - 2] == right[j - 1]:
                table[i][j] = min(table[i][j], table[i - 2][j - 2] + 1)
    return table[-1][-1]


@given(st.text("abc", min_size=1, max_size=7), st.lists(st.text("abc", min_size=1, max_size=9), min_size=1, max_size=6))
def test_distances_equal_those_of_the_plain_table(word: str, words: list[str]) -> None:
    array = np.array(words)
    whole, prefix = _distances(_letters(array), np.array([len(w) for w in words]), word)
    for place, other in enumerate(words):
        exact = edits(word, other)
        assert whole[place] == exact or (
            exact > 3 and whole[place] > 2
        )  # beyond the allowed edits a lower bound is enough
        near = min(edits(word, other[:end]) for end in range(len(other) + 1))
        assert prefix[place] == near or (near > 2 and prefix[place] > 2)


def test_search_is_fast_and_finds_titles_with_a_typo(bundled: Dataset) -> None:
    popularity = np.bincount(bundled.events.item_rows)
    search = TitleSearch(bundled.catalogue, popularity)
    rng = np.random.default_rng(5)
    best = np.argsort(-popularity)[:60]
    hits, seconds = 0, []
    for row in best:
        name = bundled.catalogue.titles[row].partition(" (")[0].partition(", The")[0].partition(":")[0]
        place = int(rng.integers(1, len(name) - 1)) if len(name) > 2 else 1
        slipped = name[:place] + name[place + 1 :] if len(name) >= 6 else name
        start = time.perf_counter()
        found = search.find(slipped, 7)
        seconds.append(time.perf_counter() - start)
        hits += row in found
        assert (
            not found
            or SequenceMatcher(None, slipped.lower(), bundled.catalogue.titles[found[0]].lower()).ratio() > 0.1
        )
    assert hits >= 58
    assert float(np.median(seconds)) < 0.02  # 5 ms on an idle core; four times that on a busy one


def test_of_two_movies_with_one_title_the_better_known_is_listed_first() -> None:
    titles = ["War of the Worlds (2005)", "Heat (1995)", "War of the Worlds (2005)"]
    search = TitleSearch(Catalogue.of(titles), np.array([1, 90, 25]))
    assert search.find("war of the worlds", 5) == [2, 0]


def test_an_index_that_reads_only_new_titles_is_one_that_reads_all() -> None:
    titles = ["Alien (1979)", "Matrix, The (1999)", "Toy Story (1995)", "Spider-Man (2002)"]
    popularity = np.array([5, 9, 2, 4])
    start = TitleSearch(Catalogue.of(titles), popularity)
    changed = [*titles, "Galley (2026)", "Alien (1979)"]
    changed[2] = "Toys of Another Name (1995)"
    more = Catalogue.of(changed), np.append(popularity, [0, 1])
    grown, whole = TitleSearch(*more, before=start), TitleSearch(*more)
    for query in ("alien", "toy", "toys", "galey", "spiderman", "matrx", "story", "another nam"):
        assert grown.find(query, 10) == whole.find(query, 10)
    assert set(grown.read) == set(changed)


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("star", "Star Wars: Episode IV - A New Hope (1977)"),
        ("terminator 2", "Terminator 2: Judgment Day (1991)"),
        ("t2", "Terminator 2: Judgment Day (1991)"),
        ("lotr", "Lord of the Rings: The Fellowship of the Ring, The (2001)"),
        ("lotr two towers", "Lord of the Rings: The Two Towers, The (2002)"),
        ("ESB", "Star Wars: Episode V - The Empire Strikes Back (1980)"),
        ("bttf", "Back to the Future (1985)"),
        ("tdk", "Dark Knight, The (2008)"),
        ("et", "E.T. the Extra-Terrestrial (1982)"),
        ("hp azkaban", "Harry Potter and the Prisoner of Azkaban (2004)"),
        ("eternal sunshine", "Eternal Sunshine of the Spotless Mind (2004)"),
        ("toy", "Toy Story (1995)"),
        ("god", "Godfather, The (1972)"),
        ("alien", "Alien (1979)"),
        ("up", "Up (2009)"),
        ("psycho", "Psycho (1960)"),
        ("대부", "Godfather, The (1972)"),
        ("터미네이터 2", "Terminator 2: Judgment Day (1991)"),
        ("반지의 제왕 왕의 귀환", "Lord of the Rings: The Return of the King, The (2003)"),
    ],
)
def test_the_famous_come_before_the_alphabet(
    bundled_search: TitleSearch, bundled: Dataset, query: str, first: str
) -> None:
    assert [bundled.catalogue.titles[row] for row in bundled_search.find(query, 1)] == [first]


@pytest.fixture(scope="module")
def bundled_search(bundled: Dataset) -> TitleSearch:
    return TitleSearch(bundled.catalogue, np.bincount(bundled.events.item_rows, minlength=len(bundled.items)))


@pytest.mark.parametrize(
    ("query", "near"),
    [
        ("forest matrix", "Matrix, The (1999)"),
        ("shawshenk redemtion movie", "Shawshank Redemption, The (1994)"),
        ("terminater judgement film", "Terminator 2: Judgment Day (1991)"),
        ("zzstargatezz", "Stargate (1994)"),
    ],
)
def test_where_nothing_is_found_the_nearest_is(
    bundled_search: TitleSearch, bundled: Dataset, query: str, near: str
) -> None:
    assert bundled_search.find(query, 1) == []
    assert near in [bundled.catalogue.titles[row] for row in bundled_search.nearest(query, 20)]


@pytest.mark.parametrize("query", ["", "!?", "qqqzzz"])
def test_nothing_is_near_to_nonsense(bundled_search: TitleSearch, query: str) -> None:
    assert bundled_search.nearest(query, 5) == []


def test_withdrawn_items_are_not_near() -> None:
    search = TitleSearch(Catalogue.of(["Alien (1979)", "Aliens (1986)"]), np.array([1, 2]), np.array([True, False]))
    assert search.nearest("alien spaceship", 5) == search.nearest("xalienx", 5) == [0]


def test_people_are_found_with_the_best_known_of_their_items_first() -> None:
    people = (("Ridley Scott",), ("Ridley Scott", "Harrison Ford"), ("Harrison Ford",), ())
    table = ItemTable(Vocab(np.arange(4)), tuple("abcd"), np.zeros(4, dtype=np.int32), lists={"starring": people})
    found = People(table, np.array([5, 9, 1, 7]))
    assert found.find("scott", 5) == ("Ridley Scott", [1, 0])
    assert found.find("harison ford", 5) == ("Harrison Ford", [1, 2])
    assert found.find("ford", 5, np.array([True, False, True, True])) == ("Harrison Ford", [2])
    assert found.find("nobody", 5) is None
    assert (
        People(ItemTable(Vocab(np.arange(1)), ("a",), np.zeros(1, dtype=np.int32)), np.array([1])).find("a", 1) is None
    )
