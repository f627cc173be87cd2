"""The commands stream relay, consume and status: the event log of a site, on its way to a broker, files or tables."""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from matinee.cli.options import Json
from matinee.cli.output import print_json, say, table, warn
from matinee.cli.server_options import Database
from matinee.errors import MatineeError, UsageError

if TYPE_CHECKING:
    from matinee.store.database import SqlDatabase
    from matinee.store.streams.forward import Forwarding
    from matinee.store.streams.kafka import Broker
    from matinee.store.streams.protocols import EventSink, EventStream

app = typer.Typer(no_args_is_help=True, help="Send the event log of a site to a broker, to files or to DynamoDB.")

Kafka = typer.Option(None, "--kafka", metavar="HOST:PORT,...", help="A broker that speaks the protocol of Kafka.")
Topic = typer.Option("events", "--topic", metavar="NAME", help="The topic of the events.")
KafkaConfig = typer.Option(
    None, "--kafka-config", metavar="FILE", help="Properties of librdkafka, such as for TLS: NAME=VALUE in each line."
)
Consumer = typer.Option(None, "--consumer", metavar="NAME", help="Where to go on; by default a name for the target.")
Once = typer.Option(False, "--once", help="End when nothing is left, instead of waiting for more.")
TARGETS = "parquet:FOLDER, csv:FOLDER or dynamodb:TABLE"


@app.command()
def relay(  # noqa: PLR0913 - one for each option
    db: str = Database,
    kafka: str = Kafka,
    topic: str = Topic,
    kafka_config: Path = KafkaConfig,
    create_topic: int = typer.Option(None, "--create-topic", metavar="N", min=1, help="With N partitions, if missing."),
    consumer: str = Consumer,
    once: bool = Once,
    json: bool = Json,
) -> None:
    """Send the events of a site to a topic, each after the one before, until it is stopped."""
    from matinee.store.streams.forward import Forwarding
    from matinee.store.streams.kafka import KafkaSink
    from matinee.store.streams.sql import SqlStream

    broker = _broker(kafka, topic, kafka_config)
    with ExitStack() as stack:
        stream = stack.enter_context(closing(SqlStream(_database(db), _named(consumer, f"kafka:{topic}"))))
        sink = stack.enter_context(closing(KafkaSink(broker, create_topic)))
        _forward(stream, sink, Forwarding(until_empty=once), json)


@app.command()
def consume(  # noqa: PLR0913 - one for each option
    to: str = typer.Option(..., "--to", metavar="TARGET", help=f"{TARGETS}."),
    kafka: str = Kafka,
    topic: str = Topic,
    kafka_config: Path = KafkaConfig,
    db: str = typer.Option(None, "--db", metavar="URL", help="Read a site's database, instead of a topic."),
    consumer: str = Consumer,
    gather: float = typer.Option(10, "--gather", metavar="SECONDS", min=0, help="Longest wait for a fuller file."),
    once: bool = Once,
    skip_foreign: bool = typer.Option(False, "--skip-foreign", help="Leave out messages that are no events."),
    create_table: bool = typer.Option(False, "--create-table", help="Make the table of DynamoDB if it is missing."),
    json: bool = Json,
) -> None:
    """Write events to files or DynamoDB, each once, from a topic or a site's database, until it is stopped."""
    from matinee.store.streams.forward import Forwarding
    from matinee.store.streams.kafka import KafkaStream
    from matinee.store.streams.sql import SqlStream

    if (kafka is None) == (db is None):
        raise UsageError("give either --kafka HOST:PORT or --db URL, where the events come from")
    kind, _, place = to.partition(":")
    if kind not in ("parquet", "csv", "dynamodb") or not place:
        raise UsageError(f"--to {to!r} is no target; write {TARGETS}")
    name = _named(consumer, to)
    broker = None if kafka is None else _broker(kafka, topic, kafka_config)
    with ExitStack() as stack:
        stream: EventStream
        if broker is None:
            stream = SqlStream(_database(db), name)
        else:
            stream = KafkaStream(broker, name, skip_foreign=skip_foreign)
        stack.enter_context(closing(stream))
        sink = stack.enter_context(closing(_sink(kind, place, topic if broker else "log", create_table)))
        how = Forwarding(batch=10_000, gather_seconds=0 if kind == "dynamodb" else gather, until_empty=once)
        _forward(stream, sink, how, json)
    if isinstance(stream, KafkaStream) and stream.n_skipped:
        warn(f"{stream.n_skipped:,} messages were no events and are left out")


@app.command()
def status(
    db: str = Database,
    kafka: str = Kafka,
    topic: str = Topic,
    kafka_config: Path = KafkaConfig,
    consumer: str = Consumer,
    json: bool = Json,
) -> None:
    """Show how far the consumers of a site's log are; with --kafka, how far one of a topic is."""
    from matinee.store.streams.kafka import KafkaStream
    from matinee.store.streams.sql import consumer_states

    if kafka is None:
        with closing(_database(db)) as database:
            states = [asdict(state) for state in consumer_states(database)]
    elif not consumer:
        raise UsageError("with --kafka, --consumer NAME says whose lag to show")
    else:
        with closing(KafkaStream(_broker(kafka, topic, kafka_config), consumer)) as stream:
            offsets = stream.committed()
            states = [{"consumer": consumer, "offsets": dict(offsets), "lag": stream.lag(offsets)}]
    if json:
        print_json({"consumers": states})
    elif states:
        say(table(None, list(states[0]), [tuple(state.values()) for state in states]))
    else:
        say("no consumer has read this log yet")


def _broker(address: str | None, topic: str, config: Path | None) -> "Broker":
    from matinee.store.streams.kafka import Broker, require_kafka

    if address is None:
        raise UsageError("give the broker: --kafka HOST:PORT")
    require_kafka()
    return Broker(address, topic, _properties(config) if config else {})


def _properties(path: Path) -> dict[str, str]:
    """The properties in a file. Raises MatineeError for a line that is none."""
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        name, equals, value = (part.strip() for part in line.partition("="))
        if not name or name.startswith("#"):
            continue
        if not equals:
            raise MatineeError(f"{path}, line {number}: write NAME=VALUE")
        found[name] = value
    return found


def _named(consumer: str | None, default: str) -> str:
    name = default if consumer is None else consumer
    if not 0 < len(name) <= 100:
        raise UsageError("give a --consumer NAME of 1 to 100 characters, under which the command goes on")
    return name


def _database(db: str) -> "SqlDatabase":
    """The database of a site. Raises MatineeError if it is a file that is missing."""
    from matinee.store.backup import database_file
    from matinee.store.database import SqlDatabase

    if ("://" not in db or db.startswith("sqlite")) and not (path := database_file(db)).is_file():
        raise MatineeError(f"there is no database at {path}; --db names that of the site")
    return SqlDatabase(db)


def _sink(kind: str, place: str, stream: str, create_table: bool) -> "EventSink":
    from matinee.store.streams.dynamodb import DynamoDbSink
    from matinee.store.streams.files import EventFiles

    if kind == "dynamodb":
        return DynamoDbSink(place, create=create_table)
    return EventFiles(Path(place), stream, "parquet" if kind == "parquet" else "csv")


def _forward(stream: "EventStream", sink: "EventSink", how: "Forwarding", json: bool) -> None:
    from matinee.store.streams.forward import forward

    with _stopping() as stop:
        moved = forward(stream, sink, how, stop, lambda why, s: warn(f"{why}; trying again in {s:.1f} s"))
    if json:
        print_json(asdict(moved))
    else:
        say(f"{moved.n_read:,} events read, {moved.n_new:,} written; a restart goes on after them")


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Set by SIGTERM and Ctrl+C: what is under way is finished first. A second one ends the command at once."""
    stop = threading.Event()
    before: dict[signal.Signals, Any] = {}

    def on_signal(number: int, frame: object) -> None:
        stop.set()
        for each, handler in before.items():
            signal.signal(each, handler)

    if threading.current_thread() is threading.main_thread():
        before = {each: signal.signal(each, on_signal) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
