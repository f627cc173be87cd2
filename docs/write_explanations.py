"""Write docs/explanations-examples.md: twenty explanations for five tastes, from MovieLens 1M and its people.

MATINEE_DATA=../shared/data python docs/write_explanations.py
"""

import os
from pathlib import Path

import polars as pl

import matinee as mt
from matinee.ranking.shared import Shared
from matinee.serve.pages.i18n import TEXTS
from matinee.serve.pages.sentences import sentence
from matinee.store.artefact import Artefact
from matinee.titles import titled

OUT = Path(__file__).with_name("explanations-examples.md")
TASTES = {
    "Fear in space": ["Alien (1979)", "Blade Runner (1982)", "Terminator, The (1984)"],
    "Hitchcock and his time": ["Psycho (1960)", "Rear Window (1954)", "Maltese Falcon, The (1941)"],
    "Animation for all ages": ["Toy Story (1995)", "Lion King, The (1994)", "Bug's Life, A (1998)"],
    "Crime and its families": ["Godfather, The (1972)", "GoodFellas (1990)", "Pulp Fiction (1994)"],
    "Love, and laughing about it": ["When Harry Met Sally... (1989)", "Notting Hill (1999)", "Pretty Woman (1990)"],
}
N_LISTED = 4
VERDICT = """
## Would a film-goer nod?

At 17 of 20, with more or less conviction. Read on 27 November 2026:

- **Convincing, 9.** What is named is what one would say: *Vertigo* and *North by Northwest* (Hitchcock), *Casablanca*
  (Bogart), *Reservoir Dogs* (Tarantino), *My Best Friend's Wedding* (Julia Roberts), *Chinatown* (film noir), *Toy
  Story 2*, *Aladdin* and *Antz* (animation).
- **True, but the plain thing is not said, 8.** *Terminator 2*, *Aliens* and *The Godfather: Part II* are sequels of
  what is cited, and the sentence says "Sci-Fi" and "Crime". The cited movies are right. The people are missing: the
  table has no row for *The Godfather*, of *The Terminator* no director and the cast of another film, of *Aliens* no
  cast, and no column says what continues what. *Star Wars*, *Beauty and the Beast*, *Fargo*, *Sleepless in Seattle*
  and *Four Weddings and a Funeral*: the genre, for want of anything closer. The last shares Hugh Grant with *Notting
  Hill*, but the table has no cast of it; *Sleepless in Seattle* shares Meg Ryan with *When Harry Met Sally...*, but
  EASE cites the two others.
- **Weak, 3.** *Die Hard* for *The Terminator*, "also Thriller": one would say action, which a few more movies have,
  so that the rarer word is taken. *The Shawshank Redemption* shares no word with its reasons but "Drama", which 41%
  of all movies have: the sentence names the two movies alone. *Forrest Gump* is "Romance" by its table, and few would
  call it that.

No sentence is false by the table. A column of series or sequels (`sequel_of` in a graph) and people of more movies
would fix the second group.
"""


def people() -> pl.DataFrame:
    """One row a movie, a list column a relation: directed_by, starring, written_by."""
    folder = Path(os.environ.get("MATINEE_DATA", "../shared/data"))
    triples = pl.read_csv(folder / "ml-1m-text" / "people.csv")
    return triples.group_by("head", "relation").agg(pl.col("tail")).pivot("relation", index="head", values="tail")


def explained(model: Artefact, liked: list[str]) -> list[str]:
    """Lines on the first movies of a list."""
    lines = []
    for movie in mt.recommend(model, liked=liked, k=N_LISTED, explain=True):
        titles = [titled(title) for title, _ in movie.because]
        shared = Shared(*movie.shared) if movie.shared else None
        english, korean = (sentence(TEXTS[one], titles, shared, liked=movie.liked) for one in ("en", "ko"))
        parts = ", ".join(f"{contribution:+.3f}" for _, contribution in movie.because)
        lines.append(f"| {titled(movie.title)} | {english} | {korean} | {parts} of {movie.score:.3f} |")
    return lines


def main() -> None:
    """Fit and write."""
    frame = people().rename({"head": "movieId"}).sort("movieId")
    table = mt.items(frame, item="movieId", lists=["directed_by", "starring", "written_by"])
    model = mt.fit("ease", mt.load("ml-1m").with_table(table))
    parts = [
        "# Twenty explanations\n\n"
        "EASE on MovieLens 1M, with the directors, cast and writers of 3,301 movies as the item table; three liked "
        "movies a taste.\nWritten by `python docs/write_explanations.py`; nothing is chosen by hand: these are the "
        f"first {N_LISTED} movies of each list. See [explanations](explanations.md).\n"
    ]
    for name, liked in TASTES.items():
        head = "| movie | in English | in Korean | adds |\n|---|---|---|---|\n"
        parts.append(
            f"\n## {name}\n\nLiked: {', '.join(map(titled, liked))}\n\n{head}" + "\n".join(explained(model, liked))
        )
    OUT.write_text("\n".join(parts) + "\n" + VERDICT, "utf-8")


if __name__ == "__main__":
    main()
