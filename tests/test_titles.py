"""Titles: their parts, and lookup however people write them."""

import numpy as np
import pytest

from matinee.catalogue import Catalogue
from matinee.errors import MatineeError
from matinee.titles import article_first, split_year, title_key, word_key

CATALOGUE = Catalogue.of(
    [
        "Wolf Man, The (1941)",
        "Wolfman, The (2010)",
        "Spider-Man (2002)",
        "Dolce Vita, La (1960)",
        "Amélie (2001)",
        "Sabrina (1954)",
        "Sabrina (1995)",
        "Pride and Prejudice (1995)",
        "Doctor Who (2005-2013)",
        "The (2000)",
    ]
)


def test_the_year_is_split_from_the_name() -> None:
    assert split_year("Alien (1979)") == ("Alien", 1979)
    assert split_year("Doctor Who (2005–2013) ") == ("Doctor Who", 2005)
    assert split_year("Alien") == ("Alien", 0)
    assert split_year("(1979)") == ("(1979)", 1979)


def test_articles_move_to_the_front() -> None:
    assert article_first("Matrix, The") == "The Matrix"
    assert article_first("Avventura, L'") == "L'Avventura"
    assert article_first("Yes, Madam") == "Yes, Madam"


def test_keys_ignore_what_people_write_differently() -> None:
    assert title_key("Fast & Furious, The") == title_key("the fast and furious") == "fastfurious"
    assert title_key("Ocean's Eleven") == title_key("Oceans Eleven")
    assert word_key("The Wolf Man") == "wolf man"
    assert title_key("The") == word_key("The") == "the"


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("the wolf man", 0),
        ("Wolfman", 1),
        ("Wolf Man (2010)", 1),
        ("Wolfman (1941)", 0),
        ("spiderman", 2),
        ("La Dolce Vita", 3),
        ("amelie", 4),
        ("Sabrina", 6),
        ("Sabrina (1954)", 5),
        ("Pride & Prejudice", 7),
        ("doctor who", 8),
        ("THE", 9),
    ],
)
def test_a_title_is_found_however_it_is_written(text: str, row: int) -> None:
    assert CATALOGUE.row_of_title(text) == row


def test_an_unknown_title_raises_with_close_ones() -> None:
    with pytest.raises(MatineeError, match=r"no movie titled 'Sabrna' .* did you mean 'Sabrina \(1995\)'"):
        CATALOGUE.row_of_title("Sabrna")


def test_of_movies_with_one_title_the_newest_and_then_the_best_known_comes_first() -> None:
    titles = ["War of the Worlds (2005)", "War of the Worlds (1953)", "War of the Worlds (2005)", "Intro", "Intro"]
    known = Catalogue.of(titles).with_counts(np.array([25, 90, 1, 3, 4]))
    assert known.rows_of_title("war of the worlds (2005)") == (0, 2)
    assert known.rows_of_title("War of the Worlds") == (0, 2, 1)
    assert known.rows_of_title("The War of the Worlds (1953)") == (1,)
    assert known.row_of_title("intro") == 4
    swapped = known.take(np.array([2, 0]))
    assert swapped.row_of_title("War of the Worlds (2005)") == 1
