"""The log through a broker to DynamoDB and files, with what a broker and a table may refuse."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from matinee.cli.running import run
from matinee.store.protocols import LiveEvent
from matinee.store.sql import SqlEvents
from matinee.store.streams.files import EventFiles
from matinee.store.streams.forward import Forwarding, forward
from matinee.store.streams.kafka import Broker, KafkaStream
from matinee.vocab import Vocab
from stream_servers import Moto, TestBroker

pytestmark = pytest.mark.service
N = 50


@pytest.fixture
def log(tmp_path: Path) -> Iterator[tuple[str, SqlEvents]]:
    url = f"sqlite:///{tmp_path}/log.db"
    events = SqlEvents(url, Vocab.of([10]))
    events.append([LiveEvent(f"user {n % 7}", "10", "rating", 3.5, 100 + n % 3, f"e{n}") for n in range(N)])
    yield url, events
    events.close()


def moved(capsys: pytest.CaptureFixture[str], *command: str) -> dict[str, Any]:
    code = run(["stream", *command, "--json"])
    out, err = capsys.readouterr()
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def test_events_go_from_the_log_through_a_topic_to_a_table_and_to_files_each_once(
    log: tuple[str, SqlEvents], test_broker: TestBroker, dynamodb: Moto, new_name: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    import boto3

    url, events = log
    topic = ["--kafka", test_broker.address, "--topic", new_name]
    relay = ["relay", "--db", url, *topic, "--create-topic", "3", "--once"]
    assert moved(capsys, *relay)["n_read"] == N
    assert moved(capsys, *relay, "--consumer", "a second relay")["n_read"] == N  # everything is in the topic twice
    events.append([LiveEvent("new", "10", "click", 1, 7, "last", position=2)])
    assert moved(capsys, *relay)["n_read"] == 1
    files = ["consume", *topic, "--to", f"parquet:{tmp_path}/out", "--gather", "0", "--once"]
    found = moved(capsys, *files)
    assert (found["n_read"], found["n_new"]) == (2 * N + 1, N + 1)
    assert sorted(pl.read_parquet(tmp_path / "out" / "*.parquet")["seq"]) == list(range(1, N + 2))
    assert moved(capsys, *files)["n_read"] == 0
    table = ["consume", *topic, "--to", f"dynamodb:{new_name}", "--create-table", "--once"]
    assert moved(capsys, *table)["n_read"] == 2 * N + 1
    stored = boto3.resource("dynamodb").Table(new_name)
    items = stored.scan()["Items"]
    stored.meta.client.close()
    assert sorted(int(item["seq"]) for item in items) == list(range(1, N + 2))
    last = next(item for item in items if item["user_id"] == "new")
    assert last["at_seq"] == f"{7:020d}#{N + 1:020d}"
    assert (last["kind"], last["position"], "model" in last) == ("click", 2, False)
    state = moved(capsys, "status", *topic, "--consumer", f"parquet:{tmp_path}/out")["consumers"][0]
    assert state["lag"] == 0


def test_a_message_that_is_no_event_stops_a_consumer_unless_it_may_skip_it(
    log: tuple[str, SqlEvents], test_broker: TestBroker, new_name: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from confluent_kafka import Producer

    topic = ["--kafka", test_broker.address, "--topic", new_name]
    moved(capsys, "relay", "--db", log[0], *topic, "--create-topic", "1", "--once")
    producer = Producer({"bootstrap.servers": test_broker.address, "log_level": 0})
    producer.produce(new_name, b"not an event")
    assert producer.flush(20) == 0
    consume = ["consume", *topic, "--to", f"csv:{tmp_path}/out", "--gather", "0", "--once"]
    assert run(["stream", *consume]) == 1
    assert f"partition 0, offset {N}: it is not a JSON object" in capsys.readouterr().err
    assert moved(capsys, *consume, "--skip-foreign")["n_new"] == N


def test_a_topic_that_is_not_there_is_one_line(
    log: tuple[str, SqlEvents], test_broker: TestBroker, new_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["stream", "relay", "--db", log[0], "--kafka", test_broker.address, "--topic", new_name, "--once"]) == 1
    assert f"there is no topic {new_name}" in capsys.readouterr().err


def test_a_consumer_waits_for_a_topic_that_is_not_there_yet(
    log: tuple[str, SqlEvents], test_broker: TestBroker, new_name: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    said: list[str] = []

    def begin_to_relay(why: str, seconds: float) -> None:
        said.append(why)
        topic = ["--kafka", test_broker.address, "--topic", new_name, "--create-topic", "2"]
        moved(capsys, "relay", "--db", log[0], *topic, "--once")

    with (
        closing(KafkaStream(Broker(test_broker.address, new_name), "an early one")) as stream,
        closing(EventFiles(tmp_path / "out", new_name, "csv")) as files,
    ):
        found = forward(stream, files, Forwarding(until_empty=True), threading.Event(), begin_to_relay)
    assert (found.n_new, len(said)) == (N, found.retries)
    assert f"there is no topic {new_name}" in said[0]


def test_a_property_that_librdkafka_does_not_know_is_one_line(
    log: tuple[str, SqlEvents], test_broker: TestBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong.properties").write_text("# ours\nsecurity.protokol = ssl\n")
    command = ["stream", "relay", "--db", log[0], "--kafka", test_broker.address, "--once"]
    assert run([*command, "--kafka-config", str(tmp_path / "wrong.properties")]) == 1
    assert "security.protokol" in capsys.readouterr().err


def test_a_table_with_other_keys_or_none_is_one_line(
    log: tuple[str, SqlEvents], dynamodb: Moto, new_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import boto3

    command = ["stream", "consume", "--db", log[0], "--to", f"dynamodb:{new_name}", "--once"]
    assert run(command) == 1
    assert "give --create-table" in capsys.readouterr().err
    client = boto3.client("dynamodb")
    client.create_table(
        TableName=new_name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client.close()
    assert run([*command, "--create-table"]) == 1
    assert "has the keys id (N)" in capsys.readouterr().err
