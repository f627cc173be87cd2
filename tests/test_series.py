"""Series of films by their titles: what continues what, and what only looks like it."""

import numpy as np
import pytest

from matinee.dataset import Dataset
from matinee.item_table import ItemTable
from matinee.ranking.series import MAX_MEMBERS, series_of
from matinee.ranking.shared import Shared, SharedWords
from matinee.titles import split_year
from matinee.vocab import Vocab


def names(*titles: str, genres: tuple[tuple[str, ...], ...] | None = None) -> tuple[str, ...]:
    """The series of titles that end in their year, all of the same genres if none are given."""
    years = [split_year(title)[1] for title in titles]
    return series_of(titles, years, genres or [("Action",)] * len(titles))


@pytest.mark.parametrize(
    ("titles", "series"),
    [
        (("Toy Story (1995)", "Toy Story 2 (1999)"), "Toy Story"),
        (("Terminator, The (1984)", "Terminator 2: Judgment Day (1991)"), "Terminator"),
        (("Godfather, The (1972)", "Godfather: Part II, The (1974)"), "Godfather"),
        (("Godfather, The (1972)", "Godfather, Part 3, The (1990)"), "Godfather"),
        (("Star Wars: Episode IV - A New Hope (1977)", "Star Wars: Episode I - The Menace (1999)"), "Star Wars"),
        (("Star Trek: The Motion Picture (1979)", "Star Trek: Nemesis (1989)"), "Star Trek"),
        (("Alien (1979)", "Aliens (1986)", "Alien³ (1992)", "Alien: Resurrection (1997)"), "Alien"),
        (("Kill Bill: Vol. 1 (2003)", "Kill Bill: Vol. 2 (2004)"), "Kill Bill"),
        (("Naked Gun, The (1988)", "Naked Gun 2 1/2: The Smell of Fear, The (1991)"), "Naked Gun"),
        (("Jaws (1975)", "Jaws 3-D (1983)"), "Jaws"),
        (("Rocky III (1982)", "Rocky V (1990)"), "Rocky"),
        (("Pokémon: The First Movie (1998)", "Pokémon 3: The Movie (2001)"), "Pokémon"),
        (("Mission: Impossible II (2000)", "Mission: Impossible - Rogue Nation (2015)",
          "Mission: Impossible III (2006)"),
         "Mission: Impossible"),
        (("Harry Potter and the A (2001)", "Harry Potter and the B (2002)", "Harry Potter and the C (2003)"),
         "Harry Potter"),
        (("Charlie's Angels (2000)", "Charlie's Angels: Full Throttle (2003)"), "Charlie's Angels"),
        (("괴물 (2006)", "괴물 2 (2012)"), "괴물"),
    ],
)  # fmt: skip
def test_what_continues_what(titles: tuple[str, ...], series: str) -> None:
    assert names(*titles) == names(*titles[::-1]) == (series,) * len(titles)


@pytest.mark.parametrize(
    "titles",
    [
        ("Boy (2010)", "Boys (2014)"),
        ("Psycho (1960)", "Psycho (1998)"),
        ("Mission, The (1986)", "Mission: Impossible (1996)"),
        ("Malcolm (1986)", "Malcolm X (1992)"),
        ("Henry (1988)", "Henry V (1989)"),
        ("Super (2010)", "Super 8 (2011)"),
        ("District 9 (2009)", "District 13 (2004)"),
        ("Messenger: The Story of Joan of Arc, The (1999)", "Messenger, The (2009)"),
        ("Robin Hood (1973)", "Robin Hood: Prince of Thieves (1991)"),
        ("Beauty and the Beast (1991)", "Beauty and the Geek (1992)"),
        ("Seven (1995)", "Seven Samurai (1954)"),
        ("2001: A Space Odyssey (1968)", "2010 (1984)"),
        ("Catch-22 (1970)", "Catch (1971)"),
        ("Blood: The Last Vampire (2000)", "Blood: The Last Vampire (2009)"),
        ("", ""),
        ("2 (1999)", "II (2000)"),
    ],
)
def test_what_only_looks_like_a_series(titles: tuple[str, ...]) -> None:
    assert names(*titles) == ("",) * len(titles)


def test_a_parody_has_other_genres_and_a_remake_is_not_continued_by_what_is_older() -> None:
    dracula = ("Dracula (1992)", "Dracula: Dead and Loving It (1995)")
    assert names(*dracula, genres=(("Horror", "Romance", "Thriller"), ("Comedy", "Horror"))) == ("", "")
    assert names("Fright Night (1985)", "Fright Night Part II (1988)", "Fright Night (2011)") == (
        "Fright Night", "Fright Night", "",
    )  # fmt: skip
    assert names("Neighbors (1981)", "Neighbors (2014)", "Neighbors 2 (2016)") == ("", "Neighbors", "Neighbors")


def test_a_scheme_of_names_is_no_series() -> None:
    assert set(names(*(f"Film {n} (1999)" for n in range(1, MAX_MEMBERS + 2)))) == {""}


def test_the_bundled_films_have_their_series(bundled: Dataset) -> None:
    catalogue = bundled.catalogue
    found = dict(zip(catalogue.titles, series_of(catalogue.titles, catalogue.years, catalogue.genres), strict=True))
    for title, series in {
        "Lord of the Rings: The Two Towers, The (2002)": "Lord of the Rings", "Aliens (1986)": "Alien",
        "Harry Potter and the Goblet of Fire (2005)": "Harry Potter", "Toy Story 3 (2010)": "Toy Story",
        "Star Trek: Nemesis (2002)": "Star Trek", "Malcolm X (1992)": "", "Brothers (2009)": "", "Super 8 (2011)": "",
        "Fantasia 2000 (1999)": "", "Casablanca (1942)": "",
    }.items():  # fmt: skip
        assert found[title] == series, title


def table(n: int, titles: tuple[str, ...] = (), **lists: tuple[tuple[str, ...], ...]) -> ItemTable:
    filled = {name: (*column, *((),) * (n - len(column))) for name, column in lists.items()}
    return ItemTable(
        Vocab.of(list(range(n))), (*titles, *("",) * (n - len(titles))), np.zeros(n, dtype=np.int32), filled
    )


def test_a_series_says_more_than_a_director_and_stands_alone() -> None:
    titles = ("Aliens (1986)", "Alien 3 (1992)", "Alien (1979)", "Blade Runner (1982)")
    shared = SharedWords(table(300, titles, directed_by=(("Cameron",), ("Fincher",), ("Scott",), ("Scott",))))
    assert shared.find(1, [2]) == Shared("series", "Alien")
    assert shared.find_for(1, [2, 3]) == (1, Shared("series", "Alien"))
    assert shared.find_for(3, [2]) == (1, Shared("directed_by", "Scott"))
    own = SharedWords(table(300, titles, franchise=(("Xenomorphs",), ("Xenomorphs",))))
    assert own.find(0, [1]) == Shared("franchise", "Xenomorphs")
    assert own.find(1, [2]) is None, "a table's own column says what the series are"


def test_a_broad_genre_takes_a_second_one_in_the_order_of_the_film() -> None:
    genres = (("Comedy", "Romance"), ("Comedy", "Romance", "War"), ("Romance",), ("Western", "Comedy"))
    broad = (("Comedy",),) * 20 + (("Romance",),) * 5 + (("Western", "Comedy"),)
    shared = SharedWords(table(100, genres=(*genres, *broad)))
    assert shared.find(0, [1]) == Shared("genres", "Comedy/Romance"), "Comedy alone says nothing, too many have it"
    assert shared.find(0, [1, 2]) == Shared("genres", "Romance")
    assert shared.find(3, [29]) == Shared("genres", "Western"), "rare enough to say it alone"
    assert shared.find(0, [5]) is None


def test_formats_are_no_genres() -> None:
    shared = SharedWords(table(100, genres=(("Action", "IMAX"), ("Drama", "IMAX"), ("(no genres listed)",) * 2)))
    assert shared.find(0, [1]) is None
    assert shared.find(2, [2]) is None
