"""What the items of a data set are called: movies, products, books."""

import re
from dataclasses import dataclass
from typing import Self

from matinee.errors import MatineeError

_LONGEST = 40
_HANGUL = re.compile("[가-힣]")
_WORD = re.compile(r"[^\W_]+(?:[ '’-][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class Noun:
    """What an item is called. korean: the word on Korean pages, empty if it is looked up by the singular."""

    singular: str = "movie"
    plural: str = "movies"
    korean: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """`product`, `product,products`, or `product,products,상품`. Raises MatineeError for anything else."""
        parts = [part.strip() for part in text.split(",")]
        if len(parts) > 3 or not all(_WORD.fullmatch(part) and len(part) <= _LONGEST for part in parts):
            raise MatineeError(
                f"--noun {text[:_LONGEST]!r} is not a noun; write one like product, or with its plural and its "
                "Korean word: product,products,상품"
            )
        if _HANGUL.search(parts[0]):
            return cls("item", "items", parts[0])
        return cls(parts[0], parts[1] if len(parts) > 1 else plural_of(parts[0]), parts[2] if len(parts) > 2 else "")

    @property
    def is_movie(self) -> bool:
        """Whether items are movies."""
        return self.singular.lower() in ("movie", "film")

    def to_json(self) -> dict[str, str]:
        """The words by name, as a manifest has them."""
        words = {"singular": self.singular, "plural": self.plural}
        return words | ({"korean": self.korean} if self.korean else {})


ITEM, MOVIE = Noun("item", "items"), Noun()
_NOUNS = {
    "movie": "movie film imdb tmdb const tconst pelicula 영화 映画 电影",
    "product": "product parentasin asin sku",
    "book": "book isbn",
    "song": "song",
    "track": "track",
    "artist": "artist",
    "show": "show",
    "video": "video",
    "anime": "anime",
    "game": "game app",
    "article": "article",
    "business": "business",
    "recipe": "recipe",
    "joke": "joke",
    "beer": "beer",
}
"""Nouns by the names of columns of items, in lower case without punctuation and endings such as `id`."""
_OF_COLUMN = {name: noun for noun, names in _NOUNS.items() for name in names.split()}


def noun_of_column(name: str) -> Noun:
    """The noun that the name of a column of items gives away, such as `product_id`; otherwise ITEM."""
    plain = re.sub(r"[\W_]", "", name.split(":")[0]).casefold()
    word = _OF_COLUMN.get(plain) or _OF_COLUMN.get(re.sub(r"(ids?|idx|code|title|name)$", "", plain))
    return Noun(word, plural_of(word)) if word else ITEM


def plural_of(noun: str) -> str:
    """The regular English plural: product, products; box, boxes; story, stories. `anime` is its own."""
    if noun.lower().endswith("anime"):
        return noun
    if re.search(r"(s|x|z|ch|sh)$", noun):
        return f"{noun}es"
    return f"{noun[:-1]}ies" if re.search(r"[^aeiou]y$", noun) else f"{noun}s"
