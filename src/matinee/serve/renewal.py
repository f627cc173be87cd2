"""The parts of a site that depend on its catalogue, made at the start and again when items come, change or go."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastapi import FastAPI

from matinee.ranking.new_items import NewItems
from matinee.recommender import Engine
from matinee.serve.art.covers import Covers
from matinee.serve.live_items import table_of
from matinee.serve.meaning import has_texts
from matinee.serve.search import TitleSearch
from matinee.serve.site import Site
from matinee.serve.transfer.importer import Importer
from matinee.serve.wording import Wording
from matinee.store.artefact import Artefact
from matinee.store.database import SqlDatabase
from matinee.store.sql import EXTREMES, SqlEvents


def parts_of_site(
    artefacts: Sequence[Artefact],
    database: SqlDatabase,
    wording: Wording,
    default: str | None,
    now: NewItems | None = None,
) -> dict[str, Any]:
    """The fields of a Site that depend on the catalogue. now: as it is since training, if it changed."""
    first = artefacts[0]
    now = now or NewItems(first.items, first.catalogue)
    history_kinds = tuple(dict.fromkeys(("rating", "watched", *EXTREMES, wording.kind, *wording.kinds)))
    log = SqlEvents(database, now.items, first.users, history_kinds, first.model.value_map.of_stars)
    engine = Engine(artefacts, log, default, now)
    return {
        "engine": engine,
        "log": log,
        "search": TitleSearch(now.catalogue, engine.popularity, now.listed),
        "covers": Covers(now.catalogue, is_movies=wording.is_movies),
        "importer": Importer(now.items, now.catalogue, engine.popularity, wording=wording),
    }


def renew(app: FastAPI, now: NewItems, about: Mapping[int, Mapping[str, Any]]) -> None:
    """Put a site over the catalogue as it is now in the place of an application's site."""
    old: Site = app.state.site
    artefacts = list(old.engine.artefacts.values())
    site = replace(old, **parts_of_site(artefacts, old.database, old.wording, old.engine.default, now), about=about)
    site.importer.lock = old.importer.lock  # one import at a time
    app.state.site, app.state.resources = site, app.state.resources.of_site(site)
    if has_texts(artefacts[0].item_table):
        site.meaning.update(table_of(artefacts[0], now.items, about), site.engine.popularity, now.listed)
