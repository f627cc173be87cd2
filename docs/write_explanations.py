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

Read on 27 November 2026, in both languages:

- **Convincing, 17.** What is named is what one would say: the series (*Aliens*, *Terminator 2*, *Toy Story 2*, *The
  Godfather: Part II*), the director (*Vertigo* and *North by Northwest*, *Reservoir Dogs*), an actor (*Casablanca*, *My
  Best Friend's Wedding*), a genre that says enough (*Chinatown*: film noir; *Aladdin*, *Beauty and the Beast* and
  *Antz*: animation), or two where one is too broad (*Star Wars*: action and science fiction; *Die Hard*: action and
  thriller; *Sleepless in Seattle* and *Four Weddings and a Funeral*: comedy and romance).
- **True, if not what one would say first, 2.** *Fargo* is "Crime/Drama" beside *Pulp Fiction* and *GoodFellas*; one
  would say: black comedy. *Forrest Gump* is "Comedy/Romance" by its table, beside *Pretty Woman*, and much else.
- **Bare, 1.** *The Shawshank Redemption* shares no word with its reasons but "Drama", which 41% of all movies have: the
  sentence names the two movies alone.

Nothing that is disliked is cited, no movie is cited for itself, and no sentence is false by the table. People of more
movies would help most: the table has no row for *The Godfather*, and no cast of *Aliens* or *Four Weddings and a
Funeral*.
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
