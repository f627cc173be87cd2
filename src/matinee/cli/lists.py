"""The commands recommend, similar and map: lists and a map from an artefact."""

import math
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import typer

from matinee.cli.options import Json, On, Workers, chosen_workers, wrong_usage
from matinee.cli.output import print_json, progress, say, warn
from matinee.config import Rerank, configure
from matinee.errors import UsageError
from matinee.experiment import Experiment

if TYPE_CHECKING:
    from matinee.lists.everyone import SimilarLists, UserLists
    from matinee.scale.runner import Runner
    from matinee.store.artefact import Artefact
    from matinee.workflow import MovieList
    from matinee.workflow.movie_lists import Movie

ArtefactPath = typer.Argument(..., metavar="ARTEFACT", help="The folder that `matinee train` wrote.")
Length = typer.Option(10, "-k", min=1, help="Number of movies.")
Out = typer.Option(None, "--out", help="The file for the lists of many: .parquet, .csv or .jsonl.", metavar="FILE")
Titles = typer.Option(False, "--titles", help="Also write the title of each listed item to --out.")


def recommend(  # noqa: PLR0913 - one for each option
    artefact: Path = ArtefactPath,
    user: str | None = typer.Option(None, "--user", help="A user that the model was fitted on.", metavar="ID"),
    history: str | None = typer.Option(None, "--history", help="Watched movies, oldest first.", metavar="ID,ID,..."),
    ratings: str | None = typer.Option(
        None, "--ratings", help="A rating for each movie of --history; empty for none.", metavar="X,X,..."
    ),
    liked: list[str] | None = typer.Option(None, "--liked", help="A liked title; repeatable.", metavar="TITLE"),
    k: int = Length,
    explain: bool = typer.Option(False, "--explain", help="Show the movies of the history behind each recommendation."),
    language: str = typer.Option("en", "--language", help="Of the reasons of --explain: en or ko.", metavar="CODE"),
    rerank: str | None = typer.Option(
        None,
        "--rerank",
        help="For example novelty=0.5,diversity=0.3,genres=Comedy|Drama,from_year=1980.",
        metavar="KEY=X,...",
    ),
    among: str | None = typer.Option(None, "--among", help="List only these items.", metavar="FILE|ID,ID,..."),
    without: str | None = typer.Option(None, "--without", help="Never list these items.", metavar="FILE|ID,ID,..."),
    users: str | None = typer.Option(
        None, "--users", help="A list for every known user, or for those of a file; with --out.", metavar="all|FILE"
    ),
    out: Path | None = Out,
    titles: bool = Titles,
    ann: bool = typer.Option(
        False, "--ann", help="Lists of --users from an approximate index, where there are 100,000 items or more."
    ),
    workers: int | None = Workers,
    on: str | None = On,
    json: bool = Json,
) -> None:
    """Recommend movies to a known user, from a history or liked titles, or to all users (--users all --out FILE)."""
    from matinee import workflow
    from matinee.lists.everyone import ListOptions, for_users
    from matinee.scale.choice import runner_of
    from matinee.store.artefact import load

    several = chosen_workers(workers, on)
    one = user is not None or history is not None or bool(liked)
    if _is_batch("--users", users is not None, out, one or explain, titles or ann or several is not None):
        wanted = _reranked(rerank)
        options: ListOptions = {"among": among, "without": without, "titles": titles, "ann": ann}
        lists = for_users(load(artefact), str(users), k, wanted, **options)
        _write(lists, out, json, runner_of(several))
        return
    if sum((user is not None, history is not None, bool(liked))) != 1:
        raise UsageError("give one of --user, --history and --liked, or --users with --out for lists of many")
    ids = [part.strip() for part in history.split(",") if part.strip()] if history is not None else None
    if ids == []:
        raise UsageError("--history has no id; give ids such as --history 1,2,3, or --users for lists of many")
    wanted = _reranked(rerank)
    _check_language(language, explain)
    fitted = load(artefact)
    found = workflow.recommend(
        fitted,
        user=user,
        history=ids,
        ratings=_numbers(ratings),
        liked=liked,
        k=k,
        explain=explain,
        rerank=wanted,
        among=among,
        without=without,
    )
    _print(_with_sentences(found, fitted, language) if explain else found, json)


def similar(  # noqa: PLR0913 - one for each option
    artefact: Path = ArtefactPath,
    item: str | None = typer.Option(None, "--item", help="A movie by its id.", metavar="ID"),
    title: str | None = typer.Option(None, "--title", help="A movie by its title.", metavar="TITLE"),
    k: int = Length,
    explain: bool = typer.Option(False, "--explain", help="Show the number of users of each movie and of both."),
    everything: bool = typer.Option(False, "--all", help="The similar movies of every movie; with --out."),
    out: Path | None = Out,
    titles: bool = Titles,
    workers: int | None = Workers,
    on: str | None = On,
    json: bool = Json,
) -> None:
    """List the movies most similar to one, or to each of all (--all --out FILE)."""
    from matinee import workflow
    from matinee.lists.everyone import for_items
    from matinee.scale.choice import runner_of
    from matinee.store.artefact import load

    several = chosen_workers(workers, on)
    one = item is not None or title is not None
    if _is_batch("--all", everything, out, one or explain, titles or several is not None):
        _write(for_items(load(artefact), "all", k, titles=titles), out, json, runner_of(several))
        return
    if (item is None) == (title is None):
        raise UsageError("give one of --item and --title, or --all with --out for every movie")
    _print(workflow.similar(load(artefact), item=item, title=title, k=k, explain=explain), json)


def map_(
    artefact: Path = ArtefactPath,
    out: Path = typer.Option(Path("map.html"), "--out", help="An interactive .html page, or a .png, .svg or .pdf."),
    movies: int = typer.Option(1500, "--movies", min=3, help="Number of movies, the most popular first."),
    json: bool = Json,
) -> None:
    """Draw a map of the movies: similar ones are close, coloured by genre."""
    from matinee.report.files import require_figure
    from matinee.report.item_map import item_map
    from matinee.report.map_plot import draw_map
    from matinee.store.artefact import load

    require_figure(out, "--out", page=True)
    found = item_map(load(artefact), movies)
    draw_map(found, out)
    if json:
        print_json({"figure": str(out), "model": found.model, "movies": len(found.titles)})
    else:
        say(f"figure saved to {out}")


def _numbers(text: str | None) -> list[float] | None:
    """The option --ratings: numbers, NaN for an empty one. Raises UsageError."""
    if text is None:
        return None
    try:
        return [float(part) if part.strip() else math.nan for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--ratings {text}: ratings are numbers, one for each movie of --history") from None


def _reranked(text: str | None) -> Rerank | None:
    """The option --rerank. Raises UsageError."""
    if text is None:
        return None
    with wrong_usage():
        typed = {"evaluation.rerank": f"--rerank {text}"}
        return configure(Experiment, {"evaluation": {"rerank": text}}, "options", typed).evaluation.rerank


def _is_batch(flag: str, given: bool, out: Path | None, of_one: bool, of_many: bool) -> bool:
    """Whether lists of many are asked for. Raises UsageError for options that do not go together."""
    if given and out is None:
        raise UsageError(f"{flag} writes a file; add --out lists.parquet, .csv or .jsonl")
    if given and of_one:
        raise UsageError(f"{flag} and options for a single list were both given; give one of them")
    if not given and (out is not None or of_many):
        options = f"--out, --titles, {'--ann, ' * (flag == '--users')}--workers and --on are"
        raise UsageError(f"{options} for the lists of many; add {flag}" + " all" * (flag == "--users"))
    return given


def _write(lists: "UserLists | SimilarLists", out: Path | None, json: bool, runner: "Runner") -> None:
    """Write lists of many to a file, with a bar of parts and the time left."""
    from matinee.lists.file import write

    for note in lists.notes:
        warn(note)
    started = perf_counter()
    with runner, progress(len(lists)) as (on_step, _):
        on_step("lists")
        written = write(lists, Path(str(out)), lambda done, total: on_step("lists"), runner)
    seconds = perf_counter() - started
    if written.continued:
        warn(f"continued after {written.continued} of {written.parts} parts that an earlier run had finished")
    if json:
        counts = {"lists": lists.n_lists, "parts": written.parts, "continued": written.continued}
        print_json({"out": str(written.path), **counts, "seconds": seconds, "notes": list(lists.notes)})
    else:
        count = f"{lists.n_lists:,} list" + "s" * (lists.n_lists != 1)
        say(f"{count} saved to {written.path} in {seconds:.1f} s")


def _check_language(language: str, explain: bool) -> None:
    """Raises UsageError for a language that the sentences are not written in, or where there are none."""
    from matinee.serve.pages.i18n import LANGUAGES

    if language not in LANGUAGES:
        raise UsageError(f"--language {language} is none of {', '.join(LANGUAGES)}")
    if language != "en" and not explain:
        raise UsageError("--language is that of the reasons; add --explain")


def _with_sentences(found: "MovieList", fitted: "Artefact", language: str) -> "MovieList":
    """The list with the reasons of each movie as a sentence."""
    from matinee.ranking.shared import Shared
    from matinee.serve.pages.i18n import texts_of
    from matinee.serve.pages.sentences import sentence
    from matinee.serve.wording import wording_of
    from matinee.titles import titled

    texts = texts_of(wording_of(fitted))[language]

    def worded(movie: "Movie") -> "Movie":
        titles = [titled(title) for title, _ in movie.because]
        shared = Shared(*movie.shared) if movie.shared else None
        return replace(movie, sentence=sentence(texts, titles, shared, liked=movie.liked))

    return replace(found, movies=tuple(map(worded, found.movies)))


def _print(movies: "MovieList", json: bool) -> None:
    if movies.skipped:
        subject = "movie of the history is" if movies.skipped == 1 else "movies of the history are"
        warn(f"{movies.skipped} {subject} unknown to {movies.model} and skipped")
    for note in movies.notes:
        warn(note)
    if json:
        print_json(movies.to_json())
    elif movies.movies:
        from matinee.report.tables import movie_table

        say(movie_table(movies))
