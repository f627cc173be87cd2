"""The rarest word that an item shares with its reasons."""

from dataclasses import replace

import numpy as np

from matinee.item_table import ItemTable
from matinee.models.base import Path, PathNode
from matinee.ranking.shared import Shared, SharedWords, word_of_path
from matinee.vocab import Vocab

GENRES = (("Horror", "Sci-Fi"), ("Sci-Fi",), ("Sci-Fi", "Action"), ("Drama",), ("Drama",)) + ((),) * 10
DIRECTORS = (("Scott",), ("Scott",), ("Scott", "Cameron"), ("Lee",), ()) + ((),) * 10
CAST = (("Weaver", "Holm"), ("Hauer",), ("Weaver",), ("Weaver",), ()) + ((),) * 10


def words(**lists: tuple[tuple[str, ...], ...]) -> SharedWords:
    n = len(GENRES)
    return SharedWords(ItemTable(Vocab.of(list(range(n))), ("",) * n, np.zeros(n, dtype=np.int32), lists))


def test_a_rare_word_tells_more_and_a_director_more_than_an_actor() -> None:
    found = words(genres=GENRES, directed_by=DIRECTORS, starring=CAST)
    assert found.find(0, [1]) == Shared("directed_by", "Scott"), "as rare as Sci-Fi, but of the user's own table"
    assert found.find(0, [2]) == Shared("directed_by", "Scott"), "as rare as Weaver, whose part in it is smaller"
    assert found.find(3, [4]) == Shared("genres", "Drama")
    assert words(genres=GENRES, tags=(("slow",), (), ("slow",)) + ((),) * 12).find(0, [2]) == Shared("tags", "slow")


def test_a_word_is_shared_with_every_reason() -> None:
    found = words(genres=GENRES, directed_by=DIRECTORS, starring=CAST)
    assert found.find(0, [1, 2]) == Shared("directed_by", "Scott")
    assert found.find(0, [1, 3]) is None
    assert found.find(0, []) is None
    assert found.find(14, [13]) is None


def test_a_word_that_many_items_have_says_nothing() -> None:
    everywhere = (("Drama",),) * 4 + ((),) * 11
    assert words(genres=everywhere).find(0, [1]) is None
    assert words(genres=(("Drama",),) * 3 + ((),) * 12).find(0, [1]) == Shared("genres", "Drama")


def test_words_are_shared_within_a_column() -> None:
    assert (
        words(directed_by=(("Eastwood",),) + ((),) * 14, starring=((), ("Eastwood",)) + ((),) * 13).find(0, [1]) is None
    )


def test_the_strongest_reason_stands_alone_if_it_shares_what_both_do_not() -> None:
    nobody = ((),) * 297
    directors = (("Tarantino",), ("Tarantino",), ("Scorsese",), *nobody)
    genres = (("Crime",),) * 33 + ((),) * 267
    n = len(directors)
    table = ItemTable(
        Vocab.of(list(range(n))), ("",) * n, np.zeros(n, dtype=np.int32), {"genres": genres, "director": directors}
    )
    found = SharedWords(table)
    assert found.find_for(0, [1, 2]) == (1, Shared("director", "Tarantino"))
    assert found.find_for(0, [2, 1]) == (2, Shared("genres", "Crime")), "the stronger reason shares only the genre"
    assert found.find_for(0, [1]) == (1, Shared("director", "Tarantino"))
    assert found.find_for(0, [2, 3]) == (2, Shared("genres", "Crime"))
    assert found.find_for(2, [3, 40]) == (1, Shared("genres", "Crime")), "both share nothing with it"
    assert found.find_for(2, [40, 3]) == (2, None), "a weaker reason does not stand alone"
    assert found.find_for(0, []) == (0, None)


def test_a_director_of_more_films_comes_before_an_actor_of_fewer_as_both_are_rare() -> None:
    n = 1000
    directors = (("Tarantino",),) * 4 + ((),) * (n - 4)
    cast = (("Roth",), ("Roth",)) + ((),) * (n - 2)
    writers = (("Avary",), ("Avary",), ("Avary",)) + ((),) * (n - 3)
    for names in (("directed_by", "starring", "written_by"), ("Director", "actors", "screenplay")):
        lists = dict(zip(names, (directors, cast, writers), strict=True))
        found = SharedWords(ItemTable(Vocab.of(list(range(n))), ("",) * n, np.zeros(n, dtype=np.int32), lists))
        assert found.find(0, [1]) == Shared(names[0], "Tarantino")
        del lists[names[0]]
        found = SharedWords(ItemTable(Vocab.of(list(range(n))), ("",) * n, np.zeros(n, dtype=np.int32), lists))
        assert found.find(0, [1]) == Shared(names[2], "Avary")


def test_a_path_names_its_entity() -> None:
    alien, scott, blade_runner = PathNode("item", item_row=1), PathNode("person", "Ridley Scott"), PathNode("item")
    direct = Path((alien, scott, blade_runner), ("directed_by", "directed_by"), (True, False), 1.0, 0.5)
    assert word_of_path(direct) == Shared("directed_by", "Ridley Scott")
    by_user = Path((alien, PathNode("user"), blade_runner), ("liked", "liked"), (False, True), 1.0, 0.5)
    assert word_of_path(by_user) == Shared("liked", "")
    mixed = Path((alien, PathNode("user"), blade_runner), ("rated", "liked"), (False, True), 1.0, 0.5)
    assert word_of_path(mixed) == word_of_path(replace(mixed, relations=("liked", "rated"))) == Shared("rated", "")
    assert word_of_path(replace(mixed, nodes=(alien, alien, blade_runner))) is None
    longer = Path((alien, scott, alien, scott, blade_runner), ("directed_by",) * 4, (True,) * 4, 1.0, 0.5)
    assert word_of_path(longer) is None
