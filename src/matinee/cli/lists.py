"""recommend, similar: lists from an artefact."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from matinee.cli.options import Json
from matinee.cli.output import print_json, say, warn
from matinee.config import Rerank, configure, parse_rerank

if TYPE_CHECKING:
    from matinee.workflow import MovieList

ArtefactPath = typer.Argument(..., metavar="ARTEFACT", help="The folder that `matinee train` wrote.")
Length = typer.Option(10, "-k", min=1, help="How many movies.")


def recommend(  # noqa: PLR0913 - one for each option
    artefact: Path = ArtefactPath,
    user: str | None = typer.Option(None, "--user", help="Someone the model was fitted on.", metavar="ID"),
    history: str | None = typer.Option(None, "--history", help="What was watched, oldest first.", metavar="ID,ID,..."),
    liked: list[str] | None = typer.Option(None, "--liked", help="A title; may be repeated.", metavar="TITLE"),
    k: int = Length,
    explain: bool = typer.Option(False, "--explain", help="Say for each movie which of the history speak for it."),
    rerank: str | None = typer.Option(
        None,
        "--rerank",
        help="Such as novelty=0.5,diversity=0.3,genres=Comedy|Drama,from_year=1980.",
        metavar="KEY=X,...",
    ),
    json: bool = Json,
) -> None:
    """Recommend movies to a known user, or to whoever liked some movies."""
    from matinee import workflow
    from matinee.store.artefact import load

    ids = [part.strip() for part in history.split(",") if part.strip()] if history else None
    asked = configure(Rerank, parse_rerank(rerank), "--rerank") if rerank else None
    found = workflow.recommend(load(artefact), user=user, history=ids, liked=liked, k=k, explain=explain, rerank=asked)
    _print(found, json)


def similar(
    artefact: Path = ArtefactPath,
    item: str | None = typer.Option(None, "--item", help="A movie by its id.", metavar="ID"),
    title: str | None = typer.Option(None, "--title", help="A movie by its title.", metavar="TITLE"),
    k: int = Length,
    explain: bool = typer.Option(False, "--explain", help="Say for each movie how many people have both."),
    json: bool = Json,
) -> None:
    """Movies like one movie."""
    from matinee import workflow
    from matinee.store.artefact import load

    _print(workflow.similar(load(artefact), item=item, title=title, k=k, explain=explain), json)


def map_(
    artefact: Path = ArtefactPath,
    out: Path = typer.Option(Path("map.html"), "--out", help="A .html page to move about in, or .png, .svg, .pdf."),
    movies: int = typer.Option(1500, "--movies", min=3, help="How many of the best known movies."),
) -> None:
    """A map of the movies: those alike to the model lie close, coloured by genre."""
    from matinee.report.map import draw_map, movie_map
    from matinee.store.artefact import load

    draw_map(movie_map(load(artefact), movies), out)
    say(f"drawn in {out}")


def _print(movies: "MovieList", json: bool) -> None:
    if movies.skipped:
        known = "movie of the history is" if movies.skipped == 1 else "movies of the history are"
        warn(f"{movies.skipped} {known} unknown to {movies.model}: skipped")
    if json:
        print_json(movies.to_json())
    else:
        from matinee.report.tables import movie_table

        say(movie_table(movies))
