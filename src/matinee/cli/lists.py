"""The commands recommend, similar and map: lists and a map from an artefact."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from matinee.cli.options import Json
from matinee.cli.output import print_json, say, warn
from matinee.config import Rerank, configure, parse_rerank

if TYPE_CHECKING:
    from matinee.workflow import MovieList

ArtefactPath = typer.Argument(..., metavar="ARTEFACT", help="The folder that `matinee train` wrote.")
Length = typer.Option(10, "-k", min=1, help="Number of movies.")


def recommend(  # noqa: PLR0913 - one for each option
    artefact: Path = ArtefactPath,
    user: str | None = typer.Option(None, "--user", help="A user that the model was fitted on.", metavar="ID"),
    history: str | None = typer.Option(None, "--history", help="Watched movies, oldest first.", metavar="ID,ID,..."),
    liked: list[str] | None = typer.Option(None, "--liked", help="A liked title; repeatable.", metavar="TITLE"),
    k: int = Length,
    explain: bool = typer.Option(False, "--explain", help="Show the movies of the history behind each recommendation."),
    rerank: str | None = typer.Option(
        None,
        "--rerank",
        help="For example novelty=0.5,diversity=0.3,genres=Comedy|Drama,from_year=1980.",
        metavar="KEY=X,...",
    ),
    json: bool = Json,
) -> None:
    """Recommend movies to a known user, or from a history or liked titles."""
    from matinee import workflow
    from matinee.store.artefact import load

    ids = [part.strip() for part in history.split(",") if part.strip()] if history else None
    wanted = configure(Rerank, parse_rerank(rerank), "--rerank") if rerank else None
    found = workflow.recommend(load(artefact), user=user, history=ids, liked=liked, k=k, explain=explain, rerank=wanted)
    _print(found, json)


def similar(
    artefact: Path = ArtefactPath,
    item: str | None = typer.Option(None, "--item", help="A movie by its id.", metavar="ID"),
    title: str | None = typer.Option(None, "--title", help="A movie by its title.", metavar="TITLE"),
    k: int = Length,
    explain: bool = typer.Option(False, "--explain", help="Show the number of users of each movie and of both."),
    json: bool = Json,
) -> None:
    """List the movies most similar to one."""
    from matinee import workflow
    from matinee.store.artefact import load

    _print(workflow.similar(load(artefact), item=item, title=title, k=k, explain=explain), json)


def map_(
    artefact: Path = ArtefactPath,
    out: Path = typer.Option(Path("map.html"), "--out", help="An interactive .html page, or a .png, .svg or .pdf."),
    movies: int = typer.Option(1500, "--movies", min=3, help="Number of movies, the most popular first."),
) -> None:
    """Draw a map of the movies: similar ones are close, coloured by genre."""
    from matinee.report.files import require_figure
    from matinee.report.map import draw_map, movie_map
    from matinee.store.artefact import load

    require_figure(out, "--out", page=True)
    draw_map(movie_map(load(artefact), movies), out)
    say(f"figure saved to {out}")


def _print(movies: "MovieList", json: bool) -> None:
    if movies.skipped:
        subject = "movie of the history is" if movies.skipped == 1 else "movies of the history are"
        warn(f"{movies.skipped} {subject} unknown to {movies.model} and skipped")
    for note in movies.notes:
        warn(note)
    if json:
        print_json(movies.to_json())
    else:
        from matinee.report.tables import movie_table

        say(movie_table(movies))
