"""The parts of a site that depend on its catalogue, made at the start and again when items or versions change."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from starlette.datastructures import State

from matinee.item_table import ItemTable
from matinee.ranking.indexes import Indexes
from matinee.ranking.new_items import NewItems
from matinee.recommender import Engine
from matinee.serve.art.covers import Covers
from matinee.serve.meaning import has_texts
from matinee.serve.pages.resources import PageResources
from matinee.serve.search import TitleSearch
from matinee.serve.site import Site
from matinee.serve.transfer.importer import Importer
from matinee.serve.wording import Wording
from matinee.store.artefact import Artefact
from matinee.store.database import SqlDatabase
from matinee.store.sql import EXTREMES, SqlEvents

WARM_UP_K = 10


def parts_of_site(
    artefacts: Sequence[Artefact],
    database: SqlDatabase,
    wording: Wording,
    default: str | None,
    now: NewItems | None = None,
    before: TitleSearch | None = None,
    indexes: Indexes | None = None,
) -> dict[str, Any]:
    """The fields of a Site that depend on the catalogue.

    now: as it is since training, if it changed; before: the search that there was until then; indexes: of models whose
    lists an approximate index makes, None for exact lists.
    """
    first = artefacts[0]
    now = now or NewItems(first.items, first.catalogue)
    history_kinds = tuple(dict.fromkeys(("rating", "watched", *EXTREMES, wording.kind, *wording.kinds)))
    log = SqlEvents(database, now.items, first.users, history_kinds, first.model.value_map.of_stars)
    engine = Engine(artefacts, log, default, now, indexes)
    return {
        "engine": engine,
        "log": log,
        "search": TitleSearch(now.catalogue, engine.popularity, now.listed, before),
        "covers": Covers(now.catalogue, is_movies=wording.is_movies),
        "importer": Importer(now.items, now.catalogue, engine.popularity, wording=wording),
    }


def renew(state: State, artefacts: Sequence[Artefact], now: NewItems, about: Mapping[int, Mapping[str, Any]]) -> None:
    """Put a site over these artefacts and the catalogue as it is now in the place of the one in a state.

    state: of the application, or of an arm; its `site` and `resources` are replaced.

    Requests take the site from the resources, once, so that an answer is of one version. Only LiveItems calls this, one
    change at a time.
    """
    old: Site = state.site
    is_version = artefacts[0] is not next(iter(old.engine.artefacts.values()))
    default = old.engine.default if any(each.name == old.engine.default for each in artefacts) else None
    parts = parts_of_site(artefacts, old.database, old.wording, default, now, old.search, old.engine.indexes)
    site = replace(old, **parts, about=about)
    site.importer.lock = old.importer.lock  # one import at a time
    table = artefacts[0].item_table
    changed = np.array(list(about), dtype=np.int64), ItemTable.described(list(about.values()), table)
    if is_version:
        found = old.meaning.of_version(artefacts[0], changed, site.engine.popularity, now.listed)
        site = replace(site, meaning=found)
        resources = replace(PageResources.of(site), import_limit=state.resources.import_limit)
        _warm_up(site)
    else:
        resources = state.resources.of_site(site)
    state.resources, state.site = resources, site
    if has_texts(table) and not is_version:
        site.meaning.update(changed, site.engine.popularity, now.listed)


def _warm_up(site: Site) -> None:
    """Make a list with reasons by each model, so that the first visitor of a version waits for nothing."""
    first = next(iter(site.engine.artefacts.values()))
    history = first.known.of_rows(np.unique(first.known.events.user_rows)[:1])
    for name in site.engine.artefacts if len(history) else ():
        site.engine.recommend_for(history, WARM_UP_K, name)
