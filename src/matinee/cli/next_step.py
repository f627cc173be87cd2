"""The command that is printed as the next step: it works as printed, in any shell, on any data."""

import shlex
from typing import TYPE_CHECKING

from matinee.cli.output import CONTROLS
from matinee.errors import MatineeError

if TYPE_CHECKING:
    from matinee.store.artefact import Artefact

TRIED = 50
"""Movies tried, the best known first."""


def next_step(fitted: "Artefact") -> str:
    """`matinee recommend ARTEFACT` for who liked the best known movie that can be typed, else for a known user."""
    import numpy as np

    path = str(fitted.path)
    path = f"./{path}" if path.startswith("-") else path
    given = ["--user", str(fitted.users.id(0))] if len(fitted.users) else []
    for row in np.argsort(-fitted.popularity, kind="stable")[:TRIED].tolist():
        if (named := _named(fitted, row)) is not None:
            given = named
            break
    return shlex.join(["matinee", "recommend", path, *given, "--explain"])


def _named(fitted: "Artefact", row: int) -> list[str] | None:
    """The option that names a movie, by its title where it has one; None where neither title nor id can be typed."""
    title, item = fitted.catalogue.titles[row], str(fitted.items.id(row))
    try:
        if title != item and _can_be_typed(title) and fitted.catalogue.row_of_title(title) == row:
            return ["--liked", title]
    except MatineeError:
        pass
    return ["--history", item] if _can_be_typed(item) and "," not in item else None


def _can_be_typed(text: str) -> bool:
    return text == text.strip() != "" and not text.startswith("-") and text.isprintable() and not CONTROLS.search(text)
