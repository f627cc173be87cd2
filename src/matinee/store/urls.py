"""Database URLs: which databases a site works with, and how one is named without its password."""

import re

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from matinee.errors import MatineeError

EXAMPLE = "for example --db sqlite:///matinee.sqlite3"
DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
"""The driver of each kind of database where its URL names none."""
EXTRAS = {"psycopg": "postgresql", "pymysql": "mysql"}
"""The extra of this package that installs a driver. Others are refused: their deadlines go by other names."""
_LOOKS_LIKE_URL = re.compile(rf"({'|'.join(DRIVERS)})(\+\w*)?:?/", re.IGNORECASE)
_SECRETS = re.compile(r"(?<=:)(?!//)[^/?#][^?#]*(?=@)|(?<=password=)[^&#]*|(?<=passwd=)[^&#]*", re.IGNORECASE)


def parse_url(url: str) -> URL:
    """A database URL or the path of a SQLite file, with a driver.

    Raises MatineeError, without the password, for what is neither, for another kind of database, and for a driver that
    a site cannot use.
    """
    try:
        parsed = make_url(url if "://" in url or _LOOKS_LIKE_URL.match(url) else f"sqlite:///{url}")
        if parsed.drivername in DRIVERS:
            parsed = parsed.set(drivername=DRIVERS[parsed.drivername])
        name, dialect = parsed.get_backend_name(), parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise MatineeError(f"{without_password(url)!r} is not a database URL; {EXAMPLE}") from None
    if name not in DRIVERS:
        raise MatineeError(f"a site works with SQLite, PostgreSQL, MariaDB and MySQL, not with {name}; {EXAMPLE}")
    if dialect.driver not in ("pysqlite", *EXTRAS):
        raise MatineeError(f"a site does not work with the driver {dialect.driver}; write --db {DRIVERS[name]}://...")
    return parsed if name == "sqlite" else _of_server(parsed)


def without_password(url: str | URL) -> str:
    """A URL with *** in place of its password, whether it can be read or not."""
    text = url if isinstance(url, str) else url.render_as_string(hide_password=True)
    return _SECRETS.sub("***", text)


def missing_driver(url: URL, error: ImportError) -> MatineeError:
    """The error for a driver that is not installed."""
    driver = url.get_driver_name()
    package = f"pip install 'matinee[{EXTRAS[driver]}]'"
    return MatineeError(f"the driver {driver} of {url.get_backend_name()} is missing ({error}); {package}")


def _of_server(url: URL) -> URL:
    """Raises MatineeError for a URL without a database, and for one with an encoding that cannot hold every title."""
    if not url.database:
        raise MatineeError(f"{without_password(url)!r} names no database; write --db {url.drivername}://HOST/DATABASE")
    if url.get_backend_name() == "postgresql":
        return url
    charset = url.query.get("charset", "utf8mb4")
    if charset != "utf8mb4":
        raise MatineeError(f"charset={charset} cannot hold every text; leave it out of --db, or write charset=utf8mb4")
    return url.update_query_dict({"charset": "utf8mb4"})
