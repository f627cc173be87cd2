"""What items are called: by the name of their column, and as somebody writes it."""

import pytest

from matinee.errors import MatineeError
from matinee.nouns import ITEM, MOVIE, Noun, noun_of_column


@pytest.mark.parametrize(
    ("column", "plural"),
    [
        ("movieId", "movies"),
        ("film_id", "movies"),
        ("imdbID", "movies"),
        ("product_id", "products"),
        ("ProductIDs", "products"),
        ("parent_asin", "products"),
        ("SKU", "products"),
        ("book-code", "books"),
        ("ISBN", "books"),
        ("track_name", "tracks"),
        ("anime_id:token", "anime"),
        ("business_id", "businesses"),
        ("item_id", "items"),
        ("id", "items"),
        ("7", "items"),
        ("", "items"),
        ("moviegoer", "items"),
    ],
)
def test_the_column_of_items_says_what_they_are(column: str, plural: str) -> None:
    assert noun_of_column(column).plural == plural


@pytest.mark.parametrize(
    ("text", "noun"),
    [
        ("product", Noun("product", "products")),
        ("box", Noun("box", "boxes")),
        ("story", Noun("story", "stories")),
        ("toy", Noun("toy", "toys")),
        ("person,people", Noun("person", "people")),
        ("product,products,상품", Noun("product", "products", "상품")),
        ("상품", Noun("item", "items", "상품")),
        ("board game", Noun("board game", "board games")),
    ],
)
def test_a_noun_is_read_as_it_is_written(text: str, noun: Noun) -> None:
    assert Noun.parse(text) == noun


@pytest.mark.parametrize("text", ["", ",", "a,b,c,d", "<b>x</b>", "x" * 41, "product,", "a\nb"])
def test_what_is_no_noun_is_one_line(text: str) -> None:
    with pytest.raises(MatineeError, match="is not a noun; write one like product") as error:
        Noun.parse(text)
    assert "<script" not in str(error.value)


def test_movies_and_items_are_told_apart() -> None:
    assert MOVIE.is_movie
    assert not ITEM.is_movie
    assert MOVIE.to_json() == {"singular": "movie", "plural": "movies"}
    assert Noun("product", "products", "상품").to_json()["korean"] == "상품"
