"""A database belongs to one catalogue, which may grow; over every kind of database."""

from dataclasses import replace

import numpy as np
import pytest

import matinee as mt
from matinee.errors import MatineeError
from matinee.store.artefact import Artefact
from matinee.store.database import SqlDatabase
from matinee.store.identity import settle
from matinee.store.protocols import LiveEvent
from matinee.store.sql import SqlEvents
from matinee.vocab import Vocab


def artefact_of(items: range | list[str], title: str = "film", values: bool = True) -> Artefact:
    """Popularity on a log of these items, each with a title."""
    names = list(items)
    log = {"user": np.arange(len(names)) % 7, "item": names, "time": np.arange(len(names))}
    data = mt.events(log | ({"value": np.arange(len(names)) % 5 + 1.0} if values else {}))
    catalogue = replace(data.catalogue, titles=tuple(f"{title} {data.items.id(row)}" for row in range(len(data.items))))
    return mt.fit("popularity", replace(data, catalogue=catalogue))


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (artefact_of(range(1000, 1100)), "it has 0 of the 100 items"),
        (artefact_of(range(60, 160)), "it has 40 of the 100 items"),
        (artefact_of(range(100), "book"), "100 of 100 items that have the same id have another title"),
        (artefact_of([f"p{n}" for n in range(100)]), "numbers for ids"),
        (artefact_of(range(100), values=False), "of the kind click, not rating"),
    ],
    ids=["other items", "few of them", "other titles", "other ids", "other events"],
)
def test_a_database_of_another_catalogue_is_refused(database: SqlDatabase, other: Artefact, why: str) -> None:
    mine = artefact_of(range(100))
    settle(database, mine)
    with pytest.raises(MatineeError, match="another catalogue") as refused:
        settle(database, other)
    assert why in str(refused.value)
    assert "--db" in str(refused.value)
    settle(database, mine)  # nothing was changed


def test_a_catalogue_may_grow_and_shrink_from_start_to_start(database: SqlDatabase) -> None:
    for last in range(100, 400, 40):
        settle(database, artefact_of(range(last - 100, last)))


def test_the_events_of_another_catalogue_are_noticed_without_a_note(database: SqlDatabase) -> None:
    events = SqlEvents(database, Vocab.of([1]))
    events.append([LiveEvent("u", 5000 + n, "rating", 4, n) for n in range(19)])
    settle(database, artefact_of(range(100)))  # too few to say
    with database.write() as connection:
        connection.exec_driver_sql("DELETE FROM site_identity")
    events.append([LiveEvent("u", 6000, "rating", 4, 30)])
    with pytest.raises(MatineeError, match="none of its 20 newest events is of a known item"):
        settle(database, artefact_of(range(100)))
    events.append([LiveEvent("u", 7, "rating", 4, 31)])
    settle(database, artefact_of(range(100)))
