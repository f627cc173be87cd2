"""Broker, relay and consumer killed at random while a site's log is written: nothing is lost, nothing doubled.

    python benchmarks/faults_stream.py --kills 30 --seed 22 [--db postgresql] [--out benchmarks/faults_stream.json]
    python benchmarks/faults_stream.py --broker-alone --kills 25

Two writers append events to the log (SQLite, or --db postgresql|mariadb). `matinee stream relay` sends them to a topic,
one `matinee stream consume` writes them to Parquet files and one to a table of DynamoDB (moto). In each round one of
the processes is killed with SIGKILL and started again: the broker (Tansu, whose topics are in an S3, moto's, that is
not killed), the relay, or one of the consumers. At the end everything that was acknowledged is to be in both of them.

lost: acknowledged events that are missing; doubled: events that are there more than once; those of the topic itself are
counted too, which tells a broker that loses what it confirmed from a relay or a consumer that does. resent: messages in
the topic beyond one an event, which the consumers left out. slowest_append_ms: a writer never waits for the broker.
caught_up_s: seconds after the writers' end until the relay had sent all, and the files and the table held it.

--broker-alone: the broker is killed, and confluent-kafka alone writes to it, with and without idempotence: how many of
the messages that it confirmed it does not have. --out: a JSON file to add the run to.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl

from matinee.store.database import SqlDatabase
from matinee.store.protocols import LiveEvent
from matinee.store.sql import SqlEvents
from matinee.store.streams.kafka import Broker
from matinee.store.streams.messages import decode, encode
from matinee.store.streams.protocols import StreamEvent
from matinee.store.streams.sql import SqlStream, consumer_states
from matinee.vocab import Vocab

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from database_servers import SERVERS
from stream_servers import Moto, TestBroker

PATIENCE = 400
"""Seconds after the last kill within which everything must have arrived."""


class Writer(threading.Thread):
    """Appends events to the log until it is stopped."""

    def __init__(self, url: str, number: int) -> None:
        super().__init__(daemon=True)
        self.database = SqlDatabase(url)
        self.log = SqlEvents(self.database, Vocab.of(["10"]))
        self.number, self.n_events, self.slowest = number, 0, 0.0
        self.stopped = threading.Event()

    def run(self) -> None:
        """Append."""
        while not self.stopped.wait(0.02):
            n = self.n_events
            ids = [f"{self.number} {n + k}" for k in range(3)]
            batch = [LiveEvent(f"user {self.number} {n % 20}", "10", "watched", 1, n, each) for each in ids]
            begin = time.monotonic()
            assert self.log.append(batch) == len(batch)
            self.slowest = max(self.slowest, time.monotonic() - begin)
            self.n_events += len(batch)
        self.database.close()


class Command:
    """`matinee stream ...`, which can be killed and started again."""

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        self.command = [sys.executable, "-m", "matinee", "stream", *arguments]
        self.environment = {**os.environ, **environment}
        self.process: subprocess.Popen[bytes] | None = None
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - gone with this process

    def start(self) -> None:
        """Start it. Raises RuntimeError if it ended by itself before."""
        if self.process is not None and self.process.poll() is not None and self.process.returncode != -signal.SIGKILL:
            self.errors.seek(0)
            raise RuntimeError(self.errors.read().decode()[-2000:])
        self.process = subprocess.Popen(
            self.command, env=self.environment, stdout=subprocess.DEVNULL, stderr=self.errors
        )

    def kill(self) -> None:
        """End it at once."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it by SIGTERM. Returns its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def try_streams(url: str, folder: Path, n_kills: int, rng: random.Random) -> dict[str, Any]:
    """Kill n_kills times under load, then count."""
    begin = time.monotonic()
    moto = Moto().start()
    broker = TestBroker(folder / "broker.log", moto).start().wait()
    Broker(broker.address, "events").create_topic(3)
    topic = ["--kafka", broker.address, "--topic", "events"]
    relay = Command({}, "relay", "--db", url, *topic)
    files = Command({}, "consume", *topic, "--to", f"parquet:{folder}/out", "--gather", "0.5")
    table = Command(moto.environment, "consume", *topic, "--to", "dynamodb:events", "--create-table")
    commands = {"relay": relay, "files": files, "table": table}
    writers = [Writer(url, number) for number in range(2)]
    try:
        for writer in writers:
            writer.start()
        for command in commands.values():
            command.start()
        kills: Counter[str] = Counter()
        for _ in range(n_kills):
            time.sleep(rng.uniform(0.2, 1.5))
            name = rng.choice(["broker", *commands])
            victim = broker if name == "broker" else commands[name]
            victim.kill()
            time.sleep(rng.uniform(0, 1))
            victim.start()
            kills[name] += 1
        for writer in writers:
            writer.stopped.set()
            writer.join()
        caught_up = _wait_until_there(url, folder, moto)
        codes = {name: command.stop() for name, command in commands.items()}
        written = {
            (f"user {w.number} {n // 3 * 3 % 20}", f"{w.number} {n}") for w in writers for n in range(w.n_events)
        }
        messages = _in_topic(broker)
        return {
            "kills": dict(sorted(kills.items())),
            "acknowledged": len(written),
            "topic": {"lost": len(written - set(messages))},
            "parquet": _compare(written, _in_files(folder)),
            "dynamodb": _compare(written, _in_table(moto)),
            "resent": len(messages) - len(set(messages)),
            "slowest_append_ms": round(1000 * max(writer.slowest for writer in writers)),
            "caught_up_s": caught_up,
            "exit_codes_after_sigterm": codes,
            "seconds": round(time.monotonic() - begin, 1),
        }
    finally:
        for command in commands.values():
            if command.process is not None and command.process.poll() is None:
                command.kill()
        broker.kill()
        moto.stop()


def _wait_until_there(url: str, folder: Path, moto: Moto) -> dict[str, float]:
    """Wait until the relay has sent all of the log, and the files and the table hold it, or for PATIENCE.

    Seconds after the writers' end until each had; without those that never did.
    """
    begin, database = time.monotonic(), SqlDatabase(url)
    n_events = SqlStream(database, "count").lag({})
    is_done: dict[str, Callable[[], bool]] = {
        "relay": lambda: all(state.lag == 0 for state in consumer_states(database)),
        "files": lambda: len(_in_files(folder)) >= n_events,
        "table": lambda: len(_in_table(moto)) >= n_events,
    }
    seconds: dict[str, float] = {}
    while len(seconds) < len(is_done) and time.monotonic() - begin < PATIENCE:
        for name in is_done.keys() - seconds:
            if is_done[name]():
                seconds[name] = round(time.monotonic() - begin, 1)
        time.sleep(0.5)
    database.close()
    return seconds


Key = tuple[str, str]


def _in_files(folder: Path) -> list[Key]:
    frames = [pl.read_parquet(path) for path in (folder / "out").glob("*.parquet")]
    return [(user, event) for frame in frames for user, event in frame.select("user_id", "event_id").iter_rows()]


def _in_table(moto: Moto) -> list[Key]:
    import boto3

    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    client = boto3.client("dynamodb", endpoint_url=moto.url, **keys)
    if "events" not in client.list_tables()["TableNames"]:  # the consumer was killed before it made it
        client.close()
        return []
    pages = client.get_paginator("scan").paginate(TableName="events", ProjectionExpression="user_id, event_id")
    found = [(item["user_id"]["S"], item["event_id"]["S"]) for page in pages for item in page["Items"]]
    client.close()
    return found


def _in_topic(broker: TestBroker) -> list[Key]:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "count", "log_level": 0})
    consumer.assign([TopicPartition("events", partition, 0) for partition in range(3)])
    found, quiet = [], 0
    while quiet < 6:
        messages = consumer.consume(5000, 0.5)
        events = [decode(message.value(), 0, 0).event for message in messages]
        found += [(str(event.user_id), str(event.event_id)) for event in events]
        quiet = 0 if messages else quiet + 1
    consumer.close()
    return found


def _compare(written: set[Key], found: list[Key]) -> dict[str, int]:
    return {
        "lost": len(written - set(found)),
        "doubled": len(found) - len(set(found)),
        "foreign": len(set(found) - written),
    }


def try_broker(folder: Path, n_kills: int, rng: random.Random, *, idempotent: bool) -> dict[str, Any]:
    """Kill the broker n_kills times while a producer of confluent-kafka writes, without any code of Matinee's."""
    from confluent_kafka import Producer

    moto = Moto().start()
    broker = TestBroker(folder / "broker.log", moto).start().wait()
    Broker(broker.address, "events").create_topic(3)
    settings = {"enable.idempotence": True, "enable.gapless.guarantee": True} if idempotent else {"max.in.flight": 1}
    producer = Producer({"bootstrap.servers": broker.address, "log_level": 0, "acks": "all", "linger.ms": 5} | settings)
    offsets: dict[int, int | None] = {}
    stopped = threading.Event()

    def write() -> None:
        for n in count():
            if n % 3 == 0 and stopped.is_set():
                break
            event = LiveEvent(f"user {n // 3 % 20}", "10", "watched", 1, n, str(n))
            done = partial(_note_offset, offsets, n)
            producer.produce("events", encode(StreamEvent(n, event)), str(event.user_id).encode(), on_delivery=done)
            producer.poll(0.007)
        producer.flush(PATIENCE)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(n_kills):
            time.sleep(rng.uniform(0.3, 1.5))
            broker.kill()
            time.sleep(rng.uniform(0, 0.5))
            broker.start()
        stopped.set()
        writer.join()
        there = {int(event_id) for _, event_id in _in_topic(broker)}
    finally:
        stopped.set()
        broker.kill()
        moto.stop()
    no_offset = sum(offset is None for offset in offsets.values())
    return {
        "kills": n_kills,
        "confirmed": len(offsets),
        "without_offset": no_offset,
        "lost": len(offsets.keys() - there),
    }


def _note_offset(offsets: dict[int, int | None], n: int, error: Any, message: Any) -> None:
    if error is None:
        offsets[n] = message.offset()


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--db", default="sqlite", choices=["sqlite", *SERVERS])
    parser.add_argument("--broker-alone", action="store_true")
    parser.add_argument("--out", type=Path, help="a JSON file to add to")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if options.broker_alone:
            kinds = {"idempotent": True, "not idempotent": False}
            found = {
                f"broker alone, {kind}": try_broker(
                    Path(name), options.kills, random.Random(options.seed), idempotent=is_idempotent
                )
                for kind, is_idempotent in kinds.items()
            }
        else:
            found = {f"{options.db}, seed {options.seed}": _with_database(options, Path(name))}
    today = {"date": datetime.now(UTC).date().isoformat()}
    if options.out:
        stored = json.loads(options.out.read_text()) if options.out.exists() else {}
        stored |= {run: today | figures for run, figures in found.items()}
        options.out.write_text(json.dumps(stored, indent=2) + "\n")
    print(json.dumps(found, indent=2))


def _with_database(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    server = SERVERS[options.db]().start() if options.db in SERVERS else None
    try:
        url = server.create("site") if server else f"sqlite:///{folder}/log.db"
        return try_streams(url, folder, options.kills, random.Random(options.seed))
    finally:
        if server:
            server.stop()


if __name__ == "__main__":
    main()
