"""What a site calls its items and what people do with them, as its data say or as it is asked to."""

from dataclasses import dataclass

from matinee.nouns import MOVIE, Noun
from matinee.store.artefact import Artefact

VERBS = {
    "watch": ("watch", "watched", "movie", "film", "anime", "episode", "series", "show", "video"),
    "buy": ("buy", "bought", "purchase", "purchased", "order", "ordered", "transaction", "sale"),
    "play": ("play", "played", "game"),
    "listen": ("listen", "listened", "stream", "scrobble", "album", "artist", "podcast", "song", "track"),
    "read": ("read", "article", "book", "paper", "story"),
    "view": ("view", "viewed", "click", "clicked", "pageview", "impression"),
    "visit": ("visit", "visited", "checkin", "check-in", "hotel", "place", "restaurant"),
}
"""For each verb, the kinds of events and the nouns that it belongs to."""
OTHER_VERB = "try"
LONGEST_KIND = 20
"""Letters of a kind of events in the database."""
MARKS = {"watch": "watched", "play": "played", "listen": "played", "read": "read", "visit": "visited"}
"""The kind of event that a visitor's mark writes, by verb, where the data have ratings only; `tried` for all others."""


@dataclass(frozen=True, slots=True)
class Wording:
    """The words of a site.

    kind: of the events that a visitor's mark writes, such as `purchase`; has_ratings: whether visitors give stars;
    is_movielens: whether the data are MovieLens, to whose authors the site gives credit; kinds: of the data's events
    beside ratings.
    """

    noun: Noun = MOVIE
    kind: str = "watched"
    has_ratings: bool = True
    is_movielens: bool = True
    kinds: tuple[str, ...] = ()

    @property
    def is_movies(self) -> bool:
        """Whether items are movies, with genres, years and articles in their titles."""
        return self.noun.is_movie

    @property
    def verb(self) -> str:
        """What people do with an item, a name of VERBS: by the kind of events, else by the noun."""
        of_kind, of_noun = _verb_of(self.kind), _verb_of(self.noun.singular)
        if of_kind == "play" and of_noun == "listen":
            return "listen"
        return of_kind or of_noun or OTHER_VERB


MOVIES = Wording()
"""The words of a site of MovieLens's movies."""


def wording_of(artefact: Artefact, noun: str | None = None) -> Wording:
    """The words for the data of an artefact. noun: as `Noun.parse` reads it, in place of the data's own.

    Raises MatineeError for a noun that is none.
    """
    called = Noun.parse(noun) if noun else artefact.noun
    has_ratings = artefact.manifest.get("kind", "rating") == "rating"
    own = {name: kind.value or 0.0 for name, kind in artefact.event_kinds.items() if name != "rating"}
    mark = MARKS.get(_verb_of(called.singular), "tried" if has_ratings else "click")
    kind = max(own, key=own.__getitem__, default=mark)  # what weighs most; of equals the most frequent
    kinds = (*own, *(() if has_ratings or own else ("click",)))
    is_movielens = artefact.source == "MovieLens" and called.is_movie
    return Wording(called, kind[:LONGEST_KIND], has_ratings, is_movielens, tuple(name[:LONGEST_KIND] for name in kinds))


def _verb_of(word: str) -> str:
    """The verb that a kind of events or a noun belongs to, empty if none."""
    return next((verb for verb, words in VERBS.items() if word.lower() in words), "")
