"""What is particular to PostgreSQL, MariaDB and MySQL: deadlines, connections that come back, and one writer at a time.

Every writing transaction begins by locking the one row of Alembic's table. So there is one writer at a time over all
processes, as in SQLite: what a transaction has looked up is still so when it writes, transactions never wait for each
other in a circle, and a `seq` is committed after every smaller one, so that who reads the log from an offset misses
nothing. A process that dies lets go of the row with its connection.
"""

from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.engine import URL

from matinee.store.sqlite import SYNCED, WAITS

TURN_SECONDS = 4
"""How long a writer waits for the transaction of another one, a reader for a free connection."""
CONNECT_SECONDS = 3
SILENCE_SECONDS = 5
"""How long a server may send nothing while it is waited for, longer than a turn: it may be paused, or out of reach."""
ANSWER_SECONDS = 30
"""How long a statement may take, and a transaction may do nothing, before the server ends it."""
POOL = {"pool_size": 5, "max_overflow": 15, "pool_timeout": TURN_SECONDS, "pool_recycle": 1800, "pool_pre_ping": True}
"""Connections are tried before each use: a restarted server costs nobody an error."""


def connect(url: URL) -> Engine:
    """An engine with deadlines, whose connections are replaced when the server comes back."""
    if url.get_backend_name() == "postgresql":
        engine = _create(url, {"tcp_user_timeout": 1000 * SILENCE_SECONDS}, **POOL)
        event.listen(engine, "do_connect", _connect_postgresql)
        event.listen(engine, "connect", _limit_postgresql)
    else:
        engine = _create(url, {"read_timeout": SILENCE_SECONDS, "write_timeout": SILENCE_SECONDS}, **POOL)
        event.listen(engine, "connect", _limit_mysql)
    return engine


def connect_patiently(url: URL) -> Engine:
    """An engine for migrations, which take as long as they take."""
    return _create(url, {}, poolclass=NullPool)


def take_turn(connection: Connection) -> None:
    """Wait until no other process writes, unless the transaction is one that does not wait. Its end ends the turn.

    On PostgreSQL, one that is not synced commits without the disk; MariaDB cannot say so for one transaction.
    """
    options = connection.get_execution_options()
    waits = "" if options.get(WAITS, True) else " NOWAIT"
    connection.execute(text(f"SELECT version_num FROM alembic_version FOR UPDATE{waits}")).scalar_one()
    if connection.dialect.name == "postgresql" and not options.get(SYNCED, True):
        connection.execute(text("SET LOCAL synchronous_commit = off"))


def _create(url: URL, arguments: dict[str, int], **options: Any) -> Engine:  # noqa: ANN401 - SQLAlchemy's own options
    """READ COMMITTED: once it has the turn, a transaction sees what the writers before it have written."""
    arguments = {"connect_timeout": CONNECT_SECONDS, **arguments}
    return create_engine(url, hide_parameters=True, isolation_level="READ COMMITTED", connect_args=arguments, **options)


def _connect_postgresql(dialect: object, record: object, arguments: list[Any], options: dict[str, Any]) -> object:
    from matinee.store.postgresql import connect  # its driver is an extra

    return connect(SILENCE_SECONDS, *arguments, **options)


def _limit_postgresql(connection: Any, record: object) -> None:  # noqa: ANN401 - the driver's own connection
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{TURN_SECONDS}s'")
        cursor.execute(f"SET statement_timeout = '{ANSWER_SECONDS}s'")
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{ANSWER_SECONDS}s'")
    connection.commit()


def _limit_mysql(connection: Any, record: object) -> None:  # noqa: ANN401 - the driver's own connection
    strict = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO"  # what does not fit is refused
    with connection.cursor() as cursor:
        cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {TURN_SECONDS}, sql_mode = '{strict}'")
        if "mariadb" in connection.get_server_info().lower():
            cursor.execute(
                f"SET SESSION max_statement_time = {ANSWER_SECONDS}, idle_transaction_timeout = {ANSWER_SECONDS}"
            )
