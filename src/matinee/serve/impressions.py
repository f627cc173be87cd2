"""Impressions: the lists on a page or in an answer of the API, recorded so that later events can name their list."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from matinee.histories import Instant
from matinee.ranking.recommendation import Recommendation
from matinee.recommender import Engine
from matinee.serve.experiments import MadeList
from matinee.store.protocols import BOTH, ImpressionLog, ListImpression, LiveEvent


@dataclass(frozen=True, slots=True)
class ListPosition:
    """A position, from 1, of a list that was displayed. model, version: of the artefact that made the list."""

    list_id: str
    position: int
    model: str
    version: str

    def attach_to(self, event: LiveEvent) -> LiveEvent:
        """The event with the list that it comes from."""
        version = self.version or None
        return replace(event, list_id=self.list_id, position=self.position, model=self.model, version=version)


class ImpressionRecorder:
    """Collects the lists of one answer, and writes them in one insert before the answer is sent.

    user_id: None for a visitor without a session, of whom nothing is written; at: when the lists are displayed;
    on_list: called with the name and the model of each, with or without a session.
    """

    def __init__(
        self,
        log: ImpressionLog,
        engine: Engine,
        user_id: str | None,
        at: Instant,
        on_list: Callable[[str, str], None] = lambda name, model: None,
    ) -> None:
        self._log, self._engine = log, engine
        self._user_id, self._at, self._on_list = user_id, at, on_list
        self._lists: list[ListImpression] = []

    def add(self, name: str, model: str, items: Sequence[Recommendation]) -> str:
        """Record a model's list. name: of the part of the page that displays it. Returns the new list_id."""
        list_id = new_list_id()
        self._on_list(name, model)
        if self._user_id is not None and items:
            version, item_ids = self._engine.version(model), tuple(item.item_id for item in items)
            self._lists.append(ListImpression(list_id, self._user_id, name, model, version, self._at, item_ids))
        return list_id

    def add_made(self, name: str, made: MadeList) -> str:
        """Record a list that may be part of an experiment. As `add`."""
        list_id = self.add(name, made.model, made.items)
        if made.exposure is not None and self._user_id is not None and made.items:
            version = BOTH.join(map(self._engine.version, made.models))
            where = made.exposure
            self._lists[-1] = replace(self._lists[-1], version=version, experiment=where.experiment, arm=where.arm)
        return list_id

    def write(self) -> None:
        """Write the lists added since the last call."""
        lists, self._lists = self._lists, []
        self._log.write(lists)


def new_list_id() -> str:
    """A random id for one displayed list."""
    return secrets.token_urlsafe(9)
