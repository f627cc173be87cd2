"""Queries of one parameter that every request asks: written as SQL once, and given to the driver as they are."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from sqlalchemy import CompoundSelect, Select
from sqlalchemy.engine import Dialect

PARAMETER = "asked"
"""The name of the parameter, `bindparam(PARAMETER)`: a text."""
_PLACE = "\1"

Parameters = tuple[Any, ...] | dict[str, Any]


class PreparedQuery:
    """A SELECT with one parameter. SQLAlchemy takes longer to run such a query than SQLite does.

    Its rows are those of the driver: columns whose type SQLAlchemy converts, such as JSON, are not for it.
    """

    def __init__(self, query: Select[*tuple[Any, ...]] | CompoundSelect[*tuple[Any, ...]]) -> None:
        self._query = query
        self._written = lru_cache(maxsize=4)(self._write)

    def of(self, dialect: Dialect, asked: str) -> tuple[str, Parameters]:
        """The query as text, and its parameters, for a driver."""
        text, parameters, process = self._written(dialect)
        asked = process(asked) if process else asked
        if isinstance(parameters, dict):
            return text, {name: asked if value == _PLACE else value for name, value in parameters.items()}
        return text, tuple(asked if value == _PLACE else value for value in parameters)

    def _write(self, dialect: Dialect) -> tuple[str, Parameters, Callable[[str], str] | None]:
        """The text, its parameters, and what the type of the one that is asked makes of a value."""
        compiled = self._query.compile(dialect=dialect)
        process = compiled.binds[PARAMETER].type.dialect_impl(dialect).bind_processor(dialect)
        written = compiled.construct_expanded_state({PARAMETER: _PLACE})
        given = written.positional_parameters if compiled.positional else dict(written.parameters)
        return written.statement, given, process
