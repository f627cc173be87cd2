"""Load, split, fit, evaluate, recommend: the five steps from a log to a list, for notebooks and commands."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from html import escape
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, Unpack

import numpy as np
import polars as pl

from matinee.config import (
    ColumnsConfig,
    EvaluationConfig,
    Experiment,
    FilterConfig,
    Rerank,
    SplitConfig,
    SplitParts,
    ValuesConfig,
    configure,
)
from matinee.data.filters import apply_filters
from matinee.data.item_tables import add_items, items_of
from matinee.data.loading import events_from_frame
from matinee.data.loading import load as load_data
from matinee.data.split_settings import check_settings
from matinee.data.splits import TRAIN, Split
from matinee.data.splits import split as cut
from matinee.data.splits import split_files as cut_files
from matinee.dataset import Dataset
from matinee.errors import MatineeError, UsageError
from matinee.evaluation.comparison import Comparison
from matinee.evaluation.comparison import compare as compare_reports
from matinee.evaluation.evaluate import evaluate as measure
from matinee.evaluation.evaluate import peak_memory_mb, validation
from matinee.evaluation.history_lengths import by_length_of_history
from matinee.evaluation.report import Report
from matinee.histories import Histories
from matinee.item_table import ItemTable
from matinee.lists import everyone
from matinee.lists.everyone import ListOptions, OnPart
from matinee.lists.given_ids import GivenIds, allow_given
from matinee.memory import require_memory
from matinee.models import create
from matinee.models.base import Recommender
from matinee.models.content.config import ContentConfig
from matinee.models.content.content_map import predict_new_items
from matinee.recommender import Engine, Recommendation
from matinee.store.artefact import Artefact
from matinee.training.configs import EpochsConfig
from matinee.training.run import OnEpoch, Run
from matinee.values import resolve
from matinee.vocab import UNKNOWN, Id, Vocab

OnStep = Callable[[str], None]
"""Called with the name of each step when it starts."""


@dataclass(frozen=True, slots=True)
class Movie:
    """One item of a list. because: (title, contribution to the score), strongest first."""

    item_id: Id
    title: str
    genres: tuple[str, ...]
    score: float
    because: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class MovieList:
    """Movies, best first; a notebook shows them as a table.

    of: the movie they are similar to, if any; skipped: number of unknown movies in the given history; notes: titles
    that several movies share, with the one that was taken, and unknown ids of `among` and `without`.
    """

    model: str
    movies: tuple[Movie, ...]
    of: str | None = None
    skipped: int = 0
    notes: tuple[str, ...] = ()

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
                str(rank),
                movie.title,
                ", ".join(movie.genres),
                f"{movie.score:.4g}",
                "; ".join(f"{title} ({contribution:+.3g})" for title, contribution in movie.because),
            )
            for rank, movie in enumerate(self.movies, start=1)
        ]

    def __str__(self) -> str:
        return "\n".join("  ".join(cell for cell in row if cell) for row in self.rows())

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in self.rows())
        head = "<tr><th></th><th>title</th><th>genres</th><th>score</th><th>because</th></tr>"
        return f"<table><caption>{escape(self.model)}</caption>{head}{rows}</table>"


def load(data: str | Path = "bundled", **columns: str) -> Dataset:
    """A data set: `bundled`, a name, or the path of a folder, zip or table.

    columns: user, item, value and at, if the table names its columns differently.
    Raises DataError, one line that says what is wrong, where, and how to fix it.
    """
    return load_data(data, configure(ColumnsConfig, columns, "columns"))


def events(frame: Any, *, name: str = "events", **columns: str) -> Dataset:  # noqa: ANN401 - any data frame
    """A data set from a polars, pandas or Arrow frame, or a dict of columns; columns as in `load`."""
    return events_from_frame(frame, configure(ColumnsConfig, columns, "columns"), name=name)


def keep(data: Dataset, *, seed: int = 42, **filters: object) -> Dataset:
    """The events that pass the filters: min_user_events, min_item_events, filter_order, min_value, since, until..."""
    return apply_filters(data, configure(FilterConfig, filters, "filters"), rng=np.random.default_rng(seed))


def split(data: Dataset | str | Path, method: str = "random", **settings: object) -> Split:
    """Split a data set into train, valid and test: random, time, new-users, new-items, k-fold, session, ...

    settings: the fields of SplitConfig, such as ratios=(0.70, 0.15, 0.15) and seed=42. Method "files" takes the path of
    a folder or zip with tables of train, test and optionally valid instead of a data set, and as settings also the
    columns of `load` and the filters of `keep`.
    Raises MatineeError for a setting that the method does not use.
    """
    if isinstance(data, Dataset):
        return cut(data, configure(SplitConfig, {"split": method} | settings, "split"))
    if method != "files":
        raise MatineeError(f"split {method} takes a data set, not {data}; write mt.split(mt.load({str(data)!r}), ...)")
    columns = {name: settings.pop(name) for name in ColumnsConfig.model_fields if name in settings}
    filters = {name: settings.pop(name) for name in FilterConfig.model_fields if name in settings}
    return cut_files(
        configure(SplitConfig, {"split": method, "path": str(data)} | settings, "split"),
        configure(ColumnsConfig, columns, "columns"),
        configure(FilterConfig, filters, "filters"),
    )


def fit(  # noqa: PLR0913 - one for each choice of an experiment
    model: str,
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    **settings: object,
) -> Artefact:
    """Fit a model on the training part of a split, or on a whole data set.

    model: a name from the registry; checkpoint: the file that a long fit saves its state to, and with `resume`
    continues from; values: how events weigh by their value (`default`, `unary`, `log`, `linear:1=-0.5,3=0.5,5=1`, or
    the fields of ValuesConfig); items: what is known of the items (`mt.items`, or `catalogue`: the genres, years and
    tags of the data), from which items without an event are predicted, as `content` says; settings: the model's
    hyper-parameters. Early stopping monitors the valid part of the split; with refit="train+valid" or a whole data set
    there is none to monitor. Items that only `items` has are added to a data set; a split keeps its own.
    Raises MatineeError for an unknown model, setting or value.
    """
    unfitted = create(model, **settings)
    if isinstance(on, Dataset) and isinstance(items, ItemTable):
        on = add_items(on, items)
    data = on.data if isinstance(on, Split) else on
    train = (on if isinstance(on, Split) else whole(on)).training(refit)
    if not len(train.histories.items):
        raise MatineeError(
            "there is nothing to train on: the training part is empty; loosen the filters or change the split"
        )
    wanted = values if isinstance(values, ValuesConfig) else configure(Experiment, {"values": values}, "fit").values
    unfitted.value_map = resolve(wanted, train.histories.values, data.kind)
    train = replace(train, histories=unfitted.weigh(train.histories))
    monitored = _monitored(unfitted, on, refit) if isinstance(on, Split) else None
    run = replace(Run.seeded(seed, on_epoch), validation=monitored, checkpoint=checkpoint, resume=resume)
    require_memory(
        unfitted.least_memory(train),
        f"{unfitted.name} on {train.n_items:,} items",
        "filter items (--min-item-events), or take a smaller setting or another model",
    )
    started = perf_counter()
    fitted = unfitted.fit(train, run)
    seconds = perf_counter() - started
    about: dict[str, Any] = {"seed": seed, "fit_seconds": seconds, "peak_memory_mb": peak_memory_mb(), "split": None}
    if isinstance(on, Split):
        about["split"] = on.config.model_dump(mode="json") | {"refit": refit} | on.sizes()
    notes = _fit_notes(unfitted, monitored is not None)
    if unfitted.value_map.note:
        notes.append(f"values: {unfitted.value_map.note}")
    if items is not None:
        fitted, about["content"] = predict_new_items(fitted, _table_of(items, data), train.popularity, content)
        notes += about["content"].pop("notes")
    if notes:
        about["notes"] = notes
    return Artefact.of(fitted, data, train, about)


def items(frame: Any, **columns: object) -> ItemTable:  # noqa: ANN401 - any data frame
    """A table of items from a polars, pandas or Arrow frame, or a dict of columns: one row an item.

    columns: item, title, year, genres, text, lists, numbers, link and picture, names of columns; text, lists and
    numbers may be several. All but lists and numbers are recognised by name.
    Raises DataError for an unknown column, or an id that is missing or stands twice.
    """
    return items_of(frame, **columns)


def _table_of(items: ItemTable | Literal["catalogue"], data: Dataset) -> ItemTable:
    """The features of the items of a data set: those of a table, then those of the catalogue."""
    own = ItemTable.of_catalogue(data.items, data.catalogue)
    return own if isinstance(items, str) else items.of_items(data.items).filled_from(own)


def _fit_notes(model: Recommender[Any], monitored: bool) -> list[str]:
    """A sentence if early stopping is asked for and there is no valid part to monitor."""
    config = model.config
    if monitored or not isinstance(config, EpochsConfig) or not config.patience:
        return []
    return [
        f"patience = {config.patience} does nothing: there is no valid part to monitor, so all {config.epochs} epochs "
        "are trained"
    ]


def _monitored(model: Recommender[Any], over: Split, refit: SplitParts) -> Callable[[Recommender[Any]], float] | None:
    """The score that early stopping monitors; None if it is off, or if valid is empty or trained on."""
    config = model.config
    if not isinstance(config, EpochsConfig) or not config.patience or refit != "train":
        return None
    return validation(over, config.monitor) if len(over.targets("valid")) else None


def values_of(experiment: Experiment) -> ValuesConfig:
    """The value map of an experiment, on the scale of its columns if it names none itself."""
    if experiment.values.scale is None and experiment.columns.scale is not None:
        return experiment.values.model_copy(update={"scale": experiment.columns.scale})
    return experiment.values


def whole(data: Dataset) -> Split:
    """A split with all of a data set in train."""
    return Split(data, SplitConfig(ratios=(1.0, 0.0, 0.0)), np.full(len(data.events), TRAIN, dtype=np.int8))


def evaluate(
    model: Artefact,
    over: Split,
    k: Iterable[int] = (5, 10, 20),
    *,
    seed: int = 42,
    **settings: object,
) -> Report:
    """Rank all items for every user with targets, and measure the lists.

    settings: fields of EvaluationConfig, such as on="valid". Raises MatineeError if the model was fitted on other items
    than those of the split.
    """
    config = configure(EvaluationConfig, {"k": tuple(k)} | settings, "evaluation")
    if not np.array_equal(model.items.ids, over.data.items.ids):
        fitted = model.manifest["data"]
        raise MatineeError(
            f"{model.name} was fitted on {fitted['items']:,} items of {fitted['name']}, the split has "
            f"{len(over.data.items):,} of {over.data.name}; use the same data and filters"
        )
    seconds = model.manifest.get("fit_seconds")
    return measure(model.model, over, config, rng=np.random.default_rng(seed), fit_seconds=seconds)


def quality(report: Report) -> dict[str, Any]:
    """The part of a report that an artefact saves: metrics, and the split and users they were measured on."""
    found = report.to_json()
    return {
        "metrics": found["metrics"],
        "measured": {"on": found["evaluation"]["on"], "users": report.users, "split": found["split"]},
    }


def predicted_values(model: Artefact, on: Split | Dataset, *, seed: int = 42) -> dict[str, Any]:
    """From how many ratings on a model's predicted values beat averages, as an artefact saves it.

    Measured on the valid part of a split that the model was fitted on; for a whole data set on a tenth of each user's
    events, with a second fit of the same settings on the rest. Empty for a model that predicts no values, for sessions,
    and where too few users have enough ratings.
    """
    if not model.model.predicts_values:
        return {}
    fitted, over = model.model, on if isinstance(on, Split) else cut(on, SplitConfig(ratios=(0.9, 0.1, 0.0), seed=seed))
    if not len(over.targets("valid")) or over.sessions is not None:
        return {}
    if not isinstance(on, Split):
        fitted = create(model.name, **fitted.config.model_dump(exclude_unset=True)).fit(
            over.training(), Run.seeded(seed)
        )
    lengths = by_length_of_history(fitted, over, np.random.default_rng(seed))
    return {"predicted_values": [asdict(each) for each in lengths]} if lengths else {}


def compare(
    models: Sequence[Artefact],
    over: Split,
    metric: str = "ndcg@10",
    k: Iterable[int] = (5, 10, 20),
    *,
    seed: int = 42,
    **settings: object,
) -> Comparison:
    """Evaluate several models on one split, and compare each with the best, paired by user."""
    reports = [evaluate(model, over, k, seed=seed, **settings) for model in models]
    return compare_reports(reports, metric, rng=np.random.default_rng(seed))


def recommend(  # noqa: PLR0913 - who it is for, and one for each option
    model: Artefact,
    *,
    user: Id | None = None,
    history: Sequence[Id] | None = None,
    ratings: Sequence[float] | None = None,
    liked: Sequence[str] | None = None,
    k: int = 10,
    explain: bool = False,
    rerank: Rerank | None = None,
    among: GivenIds | None = None,
    without: GivenIds | None = None,
) -> MovieList:
    """The k best movies for a known user, a history of item ids, or a list of liked titles.

    ratings: a value for each id of the history, NaN for none; a liked title counts like the highest value.
    rerank: genres, years, novelty and diversity; among: only these items may be listed; without: these may not (ids, or
    a file of ids). Unknown ids are skipped and counted in the list.
    Raises MatineeError unless exactly one of user, history and liked is given, for an unknown user or title, for a
    history without a known id, for ratings that do not fit the history, and if `among` and `without` leave nothing to
    list.
    """
    if sum(given is not None for given in (user, history, liked)) != 1:
        raise MatineeError("give one of user, history or liked")
    values = _values_of(history, ratings, liked)
    skipped = 0
    if user is not None:
        if model.users.row(user) == UNKNOWN:
            ids = model.users
            raise MatineeError(f"no user {user!r} among the {len(ids):,} known to {model.name} ({_some(ids)})")
        past = model.known.histories([user])
    else:
        rows = [model.items.row(item) for item in history or ()]
        if history and all(row == UNKNOWN for row in rows):
            _item_row(model, history[0])  # raises: it is unknown
        rows += [model.catalogue.row_of_title(title) for title in liked or ()]
        past = Histories.of([rows], [values])
        skipped = rows.count(UNKNOWN)
    allowed = allow_given(model.items, among, without)
    engine = Engine([model], model.known)
    found = engine.recommend_for(past, k, rerank=rerank, allowed=allowed.mask)
    notes = (*_namesakes(model, liked or ()), *allowed.notes)
    if ratings is not None and not model.model.predicts_values:
        notes = (*notes, *model.model.value_map.notes_on(past.values))
    if engine.dislikes_all(past):
        notes = (*notes, "nothing in the history is liked: popular movies instead, those of the disliked genres last")
    if not found:
        notes = (*notes, _why_nothing(model, past, filtered=allowed.mask is not None or rerank is not None))
    return replace(_movies(model, found, explain=explain), skipped=skipped, notes=notes)


def _values_of(
    history: Sequence[Id] | None, ratings: Sequence[float] | None, liked: Sequence[str] | None
) -> list[float]:
    """The value of each event: a rating, NaN without one, infinity (the end of a map) for a liked title."""
    if ratings is None:
        return [np.nan] * len(history or ()) + [np.inf] * len(liked or ())
    if history is None:
        raise MatineeError("ratings are those of a history; give history too")
    if len(ratings) != len(history):
        raise MatineeError(f"{len(ratings)} ratings for a history of {len(history)}; give one for each, NaN for none")
    if np.isinf(values := np.array(ratings, dtype=np.float64)).any():
        raise MatineeError("ratings are finite numbers, or NaN for none")
    found: list[float] = values.tolist()
    return found


def similar(
    model: Artefact, *, item: Id | None = None, title: str | None = None, k: int = 10, explain: bool = False
) -> MovieList:
    """The k movies most similar to one, given by id or title.

    explain: also how many users have each movie, and how many have both. Raises MatineeError for an unknown movie.
    """
    if (item is None) == (title is None):
        raise MatineeError("give one of item (its id) or title")
    row = _item_row(model, item) if item is not None else model.catalogue.row_of_title(title or "")
    found = _movies(model, Engine([model], model.known).similar(row, k), of=model.catalogue.titles[row])
    notes = () if found.movies else (f"{model.name} knows no movie that is similar to {found.of}",)
    found = replace(found, notes=(*_namesakes(model, [title] if title else ()), *notes))
    return _with_shared_users(model, row, found) if explain else found


def recommend_all(
    model: Artefact,
    users: GivenIds = "all",
    k: int = 10,
    *,
    on_part: OnPart = lambda done, total: None,
    **options: Unpack[ListOptions],
) -> pl.DataFrame:
    """The k best items of each known user, or of these: one row an item, with columns user, rank, item and score.

    options: among, without and rerank as in `recommend`; titles=True adds the column title. The lists are those of
    `recommend`. Unknown users have no list; users without a history get popular items. Raises MatineeError if no user
    is known, and if `among` and `without` leave nothing to list.
    """
    return everyone.collect(everyone.for_users(model, users, k, **options), on_part)


def similar_all(
    model: Artefact,
    items: GivenIds = "all",
    k: int = 10,
    *,
    titles: bool = False,
    on_part: OnPart = lambda done, total: None,
) -> pl.DataFrame:
    """The k items most similar to each item, or to these: one row each, with columns item, rank, similar and score.

    titles: also the similar item's title. The lists are those of `similar`. Raises MatineeError if no item is known, or
    if the model has no similar items.
    """
    return everyone.collect(everyone.for_items(model, items, k, titles=titles), on_part)


def _why_nothing(model: Artefact, past: Histories, *, filtered: bool) -> str:
    """Why a list is empty, for a note. past: B = 1; filtered: whether more items than the history's are left out."""
    seen, n_items = len(np.unique(past.items[past.items != UNKNOWN])), len(model.items)
    if seen == n_items:
        return f"nothing is left to recommend: the history has all {n_items:,} items that {model.name} knows"
    if filtered:
        return f"nothing is left to recommend: none of the {n_items - seen:,} items outside the history may be listed"
    return f"nothing is left to recommend: {model.name} has no scores for this history"


def _with_shared_users(model: Artefact, item_row: int, movies: MovieList) -> MovieList:
    """The list with two reasons for each movie: its number of users, and of users who also have `item_row`."""
    events = model.known.events
    both = np.isin(events.user_rows, events.user_rows[events.item_rows == item_row])
    shared = np.bincount(events.item_rows[both], minlength=len(model.items))
    rows = [model.items.row(movie.item_id) for movie in movies]
    reasons = [(("people have it", float(model.popularity[row])), ("have both", float(shared[row]))) for row in rows]
    explained = (replace(movie, because=reason) for movie, reason in zip(movies, reasons, strict=True))
    return replace(movies, movies=tuple(explained))


def read(experiment: Experiment, on_step: OnStep = lambda step: None) -> Dataset:
    """The data of an experiment, loaded and filtered."""
    on_step(f"reading {experiment.data}")
    data = load_data(experiment.data, experiment.columns)
    return apply_filters(data, experiment.filters, rng=np.random.default_rng(experiment.split.seed))


def prepare(experiment: Experiment, on_step: OnStep = lambda step: None) -> Split:
    """The data of an experiment, loaded, filtered and split. Raises MatineeError for an option that has no effect."""
    check_settings(experiment.split, experiment.evaluation)
    if experiment.split.split == "files":
        if "data" in experiment.model_fields_set:
            raise UsageError(
                f"data = {experiment.data} has no effect on split files:{experiment.split.path}, which has its own "
                "events; leave it out"
            )
        on_step(f"reading {experiment.split.path}")
        return cut_files(experiment.split, experiment.columns, experiment.filters)
    data = read(experiment, on_step)
    on_step("splitting")
    return cut(data, experiment.split)


def run(
    experiment: Experiment, prepared: Split, on_step: OnStep = lambda step: None, on_epoch: OnEpoch | None = None
) -> tuple[Artefact, Report]:
    """Fit and evaluate the model of an experiment on its prepared data."""
    if experiment.model is None:
        raise MatineeError("no model given; for example `matinee evaluate ease`")
    evaluation, seed = experiment.evaluation, experiment.split.seed
    on_step(f"fitting {experiment.model}")
    fitted = fit(
        experiment.model,
        prepared,
        seed=seed,
        refit=evaluation.refit,
        values=values_of(experiment),
        on_epoch=on_epoch,
        **experiment.settings,
    )
    on_step(f"evaluating {experiment.model}")
    seconds = fitted.manifest["fit_seconds"]
    report = measure(fitted.model, prepared, evaluation, rng=np.random.default_rng(seed), fit_seconds=seconds)
    return fitted, replace(report, read_notes=(*report.read_notes, *fitted.manifest.get("notes", ())))


def _movies(
    model: Artefact, found: Sequence[Recommendation], *, explain: bool = False, of: str | None = None
) -> MovieList:
    """Recommendations with titles in place of rows, and with reasons if `explain`."""
    titles, genres = model.catalogue.titles, model.catalogue.genres
    movies = (
        Movie(
            each.item_id,
            titles[each.item_row],
            genres[each.item_row],
            each.score,
            tuple((titles[reason.item_row], reason.contribution) for reason in each.reasons) if explain else (),
        )
        for each in found
    )
    return MovieList(found[0].model if found else model.name, tuple(movies), of)


def _namesakes(model: Artefact, titles: Sequence[str]) -> tuple[str, ...]:
    """A sentence for each title that several movies share: which was taken, and which were not."""
    notes = []
    for title in titles:
        taken, *others = model.catalogue.rows_of_title(title)
        if others:
            names = ", ".join(_identified(model, row) for row in others[:3])
            more = f" and {len(others) - 3:,} more" if len(others) > 3 else ""
            notes.append(
                f"several movies are titled {title!r}: taken is {_identified(model, taken)}, not {names}{more}"
            )
    return tuple(notes)


def _identified(model: Artefact, row: int) -> str:
    events = int(model.popularity[row])
    return f"{model.catalogue.titles[row]} [id {model.items.id(row)}, {events:,} event{'s' * (events != 1)}]"


def _item_row(model: Artefact, item: Id) -> int:
    row = model.items.row(item)
    if row == UNKNOWN:
        raise MatineeError(
            f"no movie with id {item!r} among the {len(model.items):,} known to {model.name} ({_some(model.items)})"
        )
    return row


def _some(ids: Vocab) -> str:
    """Example ids, for a message."""
    if len(ids) == 0:
        return "it has none"
    return f"ids such as {ids.id(0)} and {ids.id(len(ids) - 1)}"
