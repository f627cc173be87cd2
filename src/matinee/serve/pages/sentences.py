"""The sentence that gives the reasons of a recommendation, in the language of its texts."""

from collections.abc import Sequence

from markupsafe import Markup

from matinee.ranking.shared import JOINT, Shared, kind_of_column
from matinee.serve.korean_titles import korean_title
from matinee.serve.pages.i18n import Texts


def kind_of(shared: Shared) -> str:
    """The kind of a shared word, whose text is `shared.KIND`; of a path over users it has no value."""
    if not shared.value:
        return "fans" if shared.attribute == "liked" else "audience"
    return kind_of_column(shared.attribute)


def word_of(texts: Texts, shared: Shared) -> str:
    """The shared word in the language of the texts: genres are translated, and series as far as their films are."""
    kind = kind_of(shared)
    if kind == "series" and texts.language == "ko":
        return korean_title(shared.value) or shared.value
    return JOINT.join(map(texts.genre, shared.value.split(JOINT))) if kind == "genre" else shared.value


def with_shared(texts: Texts, movies: str, n: int, shared: Shared | None) -> str:
    """The names of n cited items with what they share with the recommended one; markup stays markup."""
    if shared is None:
        return movies
    write = texts.html if isinstance(movies, Markup) else texts
    word, attribute = word_of(texts, shared), shared.attribute.replace("_", " ")
    return write(f"shared.{kind_of(shared)}", n=n, movies=movies, value=word, attribute=attribute)


def sentence(texts: Texts, titles: Sequence[str], shared: Shared | None, *, liked: bool) -> str:
    """`Because you liked Alien (1979) and Blade Runner (1982), both directed by Ridley Scott`; empty without titles."""
    if not titles:
        return ""
    movies = with_shared(texts, texts("reason.and").join(titles), len(titles), shared)
    return texts("reason.liked" if liked else "reason.watched", movies=movies)
