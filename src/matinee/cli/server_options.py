"""Options of commands that concern a site: its database, and how its server answers."""

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from matinee.cli.options import wrong_usage
from matinee.errors import MatineeError, UsageError

Port = typer.Option(8000, "--port", min=1, max=65535, help="The port to listen on.")
Database = typer.Option("sqlite:///matinee.sqlite3", "--db", metavar="URL", help="Database of the site.")
SecurityLog = typer.Option(
    None, "--security-log", metavar="FILE", help="A line of JSON for each log-in, failure, change, deletion and key."
)
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
PANEL = "Server"
PROXIES = "127.0.0.1,::1"
"""Whose headers count, unless the option or the environment's FORWARDED_ALLOW_IPS says otherwise."""


def _option(default: Any, flag: str, help: str, **more: Any) -> Any:  # noqa: ANN401 - typer's own
    return typer.Option(default, flag, help=help, rich_help_panel=PANEL, **more)


OPTIONS: dict[str, tuple[Any, Any]] = {
    "host": (str, typer.Option("127.0.0.1", "--host", help="The address to listen on.")),
    "port": (int, Port),
    "noun": (
        str | None,
        typer.Option(
            None, "--noun", help="What an item is called, such as product; with plural and Korean word: box,boxes,상자."
        ),
    ),
    "pictures": (
        Path | None,
        typer.Option(
            None, "--pictures", metavar="FOLDER", help="Where the files are that a column of pictures names."
        ),
    ),
    "allowed_host": (
        list[str],
        _option(
            [], "--allowed-host", "A name by which people reach the site; several times for several. * for any.",
            metavar="NAME",
        ),
    ),
    "cors_origin": (
        list[str],
        _option(
            [], "--cors-origin",
            "An origin whose pages may call the API; several times for several. * for any, without cookies.",
            metavar="ORIGIN",
        ),
    ),
    "root_path": (str, _option("", "--root-path", "The site's path on its host, such as /films.", metavar="PATH")),
    "forwarded_allow_ips": (
        str | None,
        _option(
            None, "--forwarded-allow-ips", "Proxies whose X-Forwarded-For and -Proto count; addresses and networks.",
            metavar="A,B,...",
        ),
    ),
    "max_connections": (int, _option(2000, "--max-connections", "Connections at a time.", min=1)),
    "max_per_address": (
        int,
        _option(200, "--max-per-address", "Connections of one address at a time; proxies aside.", min=1),
    ),
    "workers": (int, _option(1, "--workers", "Processes that answer.", min=1, max=64)),
    "address_rate": (
        int,
        _option(3000, "--address-rate", "Requests a minute from an address; 0 for no limit.", min=0),
    ),
    "visitor_rate": (int, _option(600, "--visitor-rate", "Requests a minute of a visitor; 0 for no limit.", min=0)),
    "key_rate": (int, _option(60_000, "--key-rate", "Requests a minute with an API key; 0 for no limit.", min=0)),
    "guest_days": (
        int,
        _option(0, "--guest-days", "Delete guests after so many days without an event; 0: never.", min=0, max=36_500),
    ),
    "durability": (
        str,
        _option("full", "--durability", "full: an answer means synced to disk; normal: a power cut may lose the last."),
    ),
    "metrics_from": (
        str,
        _option(
            "", "--metrics-from", "Who sees /metrics without an API key of scope admin; addresses and networks.",
            metavar="A,B,...",
        ),
    ),
    "split": (
        str,
        _option(
            "", "--split", "Which share of visitors gets which model's lists, or which version: v12=0.5,v13=0.5.",
            metavar="A=0.5,B=0.5",
        ),
    ),
    "interleave": (str, _option("", "--interleave", "Two models whose picks take turns in a list.", metavar="A,B")),
    "experiment": (
        str,
        _option(
            "", "--experiment", "Name of what --split or --interleave begins; with a new one visitors are drawn again.",
            metavar="NAME",
        ),
    ),
    "lab_fits": (
        bool,
        _option(
            False, "--lab-fits", "Let visitors of the lab fit models with other settings, one at a time; of one worker."
        ),
    ),
    "ann": (
        bool,
        _option(
            False, "--ann", "Lists from an approximate index, where there are 100,000 items or more (extra ann)."
        ),
    ),
    "access_log": (Path | None, _option(None, "--access-log", "A line of JSON for each request.", metavar="FILE")),
    "security_log": (Path | None, SecurityLog),
}  # fmt: skip
"""The options of `server_options`: type and default."""


def server_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a server to a command, which receives `settings: ServerSettings, options: SiteOptions`.

    Wrong ones end it before anything is read; the logs are open then.
    """
    given_by_command = [p for p in inspect.signature(command).parameters.values() if p.name not in _RECEIVED]

    def wrapped(**given: Any) -> None:  # noqa: ANN401 - typer's own values
        values = {name: given.pop(name) for name in OPTIONS}
        settings, options = _read(values)
        command(settings=settings, options=options, **given)

    wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    added = [inspect.Parameter(name, kind, default=o, annotation=t) for name, (t, o) in OPTIONS.items()]
    parameters = [*given_by_command, *added]
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return wrapped


_RECEIVED = ("settings", "options")


def _read(values: dict[str, Any]) -> tuple[Any, Any]:
    """The settings and options, with the logs open. Raises UsageError for wrong ones."""
    from matinee.experiments.plan import read_plan
    from matinee.serve.http.server import ServerSettings
    from matinee.serve.logs import open_log
    from matinee.serve.options import SiteOptions
    from matinee.serve.own_fits.fits import OwnFitOptions

    proxies = values["forwarded_allow_ips"]
    with wrong_usage():
        settings = ServerSettings(
            host=values["host"],
            port=values["port"],
            forwarded_allow_ips=os.environ.get("FORWARDED_ALLOW_IPS", PROXIES) if proxies is None else proxies,
            max_connections=values["max_connections"],
            max_per_address=values["max_per_address"],
            workers=values["workers"],
        )
        options = SiteOptions(
            allowed_hosts=tuple(values["allowed_host"]),
            cors_origins=tuple(values["cors_origin"]),
            root_path=values["root_path"],
            rates={name: values[f"{name}_rate"] for name in ("address", "visitor", "key")},
            guest_days=values["guest_days"],
            noun=values["noun"],
            pictures=values["pictures"],
            durability=values["durability"],
            metrics_from=values["metrics_from"],
            experiment=read_plan(values["split"], values["interleave"], values["experiment"]),
            own_fits=OwnFitOptions() if values["lab_fits"] else None,
            ann=values["ann"],
        )
    if values["lab_fits"] and settings.workers > 1:
        raise UsageError("--lab-fits needs --workers 1: a fit belongs to the process that began it")
    open_log("access", values["access_log"])
    open_log("security", values["security_log"])
    return settings, options


def seconds_of(text: str, option: str) -> int:
    """`30m` -> 1800. Raises UsageError for anything else."""
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdecimal() and int(number) and unit in UNITS):
        raise UsageError(f"{option} {text!r} is no time; for example 30m, 1h or 1d")
    return int(number) * UNITS[unit]


def require_database(db: str) -> None:
    """Raises MatineeError if a database in a file is missing: who reads from it must not make it."""
    from matinee.store.backup import database_file

    if ("://" not in db or db.startswith("sqlite")) and not (path := database_file(db)).is_file():
        raise MatineeError(f"there is no database at {path}; --db names that of the site")
