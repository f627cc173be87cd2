"""Lists as people read them: titles, genres, scores and reasons."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from matinee.vocab import Id


@dataclass(frozen=True, slots=True)
class Movie:
    """One place of a list. because: (title, what it adds to the score), strongest first."""

    item_id: Id
    title: str
    genres: tuple[str, ...]
    score: float
    because: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class MovieList:
    """Movies, best first; a notebook shows it as a table.

    of: the movie that they are like, if one was asked for; skipped: movies of the given history that are unknown.
    """

    model: str
    movies: tuple[Movie, ...]
    of: str | None = None
    skipped: int = 0

    def __len__(self) -> int:
        return len(self.movies)

    def __iter__(self) -> Iterator[Movie]:
        return iter(self.movies)

    def to_json(self) -> dict[str, Any]:
        """In plain Python types."""
        return asdict(self)

    def rows(self) -> list[tuple[str, ...]]:
        """Rank, title, genres, score and reasons as text."""
        return [
            (
                str(place),
                movie.title,
                ", ".join(movie.genres),
                f"{movie.score:.4g}",
                "; ".join(f"{title} ({part:+.3g})" for title, part in movie.because),
            )
            for place, movie in enumerate(self.movies, start=1)
        ]

    def __str__(self) -> str:
        return "\n".join("  ".join(cell for cell in row if cell) for row in self.rows())

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in self.rows())
        head = "<tr><th></th><th>title</th><th>genres</th><th>score</th><th>because of</th></tr>"
        return f"<table><caption>{escape(self.model)}</caption>{head}{rows}</table>"
