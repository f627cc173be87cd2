"""Streams without a server: forwarding with faults, messages, files that hold each event once, and wrong commands."""

import json
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from matinee.cli.running import run
from matinee.errors import MatineeError
from matinee.store.protocols import LiveEvent
from matinee.store.sql import SqlEvents
from matinee.store.streams import forward as forward_module
from matinee.store.streams.files import READERS, EventFiles, Format
from matinee.store.streams.forward import Forwarding, forward
from matinee.store.streams.kafka import Broker, KafkaSink
from matinee.store.streams.messages import ForeignMessage, decode, encode
from matinee.store.streams.protocols import Offsets, StreamEvent, Unavailable
from matinee.vocab import Vocab


def event(seq: int, partition: int = 0, offset: int | None = None) -> StreamEvent:
    place = seq if offset is None else offset
    return StreamEvent(seq, LiveEvent(f"user {seq % 3}", "10", "rating", 4.5, seq, f"e{seq}"), partition, place)


class Faulty:
    """A stream in memory that fails at random, before or after it has done what it was asked."""

    def __init__(self, events: Sequence[StreamEvent], rng: random.Random) -> None:
        self.events, self.rng = events, rng
        self.kept: Offsets = {}

    def _fail(self) -> None:
        if self.rng.random() < 0.2:
            raise Unavailable("it is down")

    def read(self, offsets: Offsets, limit: int, seconds: float) -> list[StreamEvent]:
        self._fail()
        return [each for each in self.events if each.offset >= offsets.get(each.partition, 0)][:limit]

    def committed(self) -> Offsets:
        self._fail()
        return self.kept

    def commit(self, offsets: Offsets) -> None:
        self._fail()
        self.kept = offsets
        self._fail()

    def lag(self, offsets: Offsets) -> int:
        return 0

    def close(self) -> None:
        """Nothing is open."""


def numbers(folder: Path) -> list[int]:
    return sorted(pl.read_parquet(folder / "*.parquet")["seq"].to_list())


def test_files_hold_each_event_once_whatever_fails_and_however_often_it_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward_module, "FIRST_WAIT", 0.0)
    rng = random.Random(1)
    topic: list[StreamEvent] = []
    for start in range(0, 200, 10):  # a relay that was killed sends its last batch again
        batch = range(max(0, start - rng.choice([0, 0, 10])), start + 10)
        topic += [event(n + 1, n % 3, 0) for n in batch]
    next_of = dict.fromkeys(range(3), 0)
    for index, each in enumerate(topic):
        topic[index] = event(each.seq, each.partition, next_of[each.partition])
        next_of[each.partition] += 1
    stream, done = Faulty(topic, rng), False
    while not done:  # each time a new process, which may have died after writing and before committing
        sink = EventFiles(tmp_path / "out", "events", "parquet")
        stop = threading.Event()
        moved = forward(stream, sink, Forwarding(batch=rng.randint(1, 17), until_empty=True), stop)
        sink.close()
        done = stream.kept == next_of
        assert moved.n_new <= moved.n_read
    assert numbers(tmp_path / "out") == list(range(1, 201))
    again = EventFiles(tmp_path / "out", "events", "parquet")
    assert again.write(topic[:50]) == 0
    again.close()


@pytest.mark.parametrize("format", ["parquet", "csv"])
@pytest.mark.parametrize("restarts", [False, True])
def test_an_event_that_comes_for_the_first_time_after_later_ones_is_written_once(
    tmp_path: Path, format: Format, restarts: bool
) -> None:
    batches = [[1, 4, 10], [1, 4, 7, 10], [7], [2, 2], [12, 11], [11, 13, 5, 12], [3, 6]]
    sink = EventFiles(tmp_path / "out", "events", format)
    written = []
    for batch in batches:
        if restarts:
            sink.close()
            sink = EventFiles(tmp_path / "out", "events", format)
        written.append(sink.write([event(seq) for seq in batch]))
    sink.close()
    assert written == [3, 1, 0, 1, 2, 2, 2]
    files = [READERS[format](path) for path in (tmp_path / "out").glob("events-*")]
    assert sorted(seq for each in files for seq in each) == [1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13]


def test_numbers_are_of_their_partition_and_a_file_that_was_taken_away_counts_as_written(tmp_path: Path) -> None:
    sink = EventFiles(tmp_path / "out", "events", "parquet")
    assert sink.write([event(1), event(5)]) == 2
    assert sink.write([event(3, partition=1), event(3, partition=1)]) == 1
    (tmp_path / "out" / "events-0-1-5.parquet").unlink()
    assert sink.write([event(1), event(3), event(5), event(6)]) == 1
    (tmp_path / "out" / "events-0-6-6.parquet").write_bytes(b"not a table")
    with pytest.raises(MatineeError, match=r"events-0-6-6.parquet cannot be read"):
        sink.write([event(6)])
    sink.close()


class ForgetfulProducer:
    """A producer of a broker that takes what it lost in a crash for what it has: confirmed, without an offset.

    forgets: of which batches, by number, the offsets are missing.
    """

    made = 0

    def __init__(self, forgets: set[int], kept: list[int]) -> None:
        self.forgets, self.kept, self.waiting = forgets, kept, list[tuple[bytes, Callable[..., None]]]()

    def list_topics(self, timeout: float) -> SimpleNamespace:
        return SimpleNamespace(topics={"events": SimpleNamespace(partitions={0: None})})

    def produce(self, topic: str, value: bytes, key: bytes, on_delivery: Callable[..., None]) -> None:
        self.waiting.append((value, on_delivery))

    def flush(self, seconds: float) -> int:
        if not self.waiting:
            return 0
        ForgetfulProducer.made += 1
        for n, (value, on_delivery) in enumerate(self.waiting):
            is_lost = n == 1 and ForgetfulProducer.made in self.forgets
            if not is_lost:
                self.kept.append(decode(value, 0, 0).seq)
            on_delivery(None, SimpleNamespace(offset=lambda lost=is_lost: None if lost else 0))
        self.waiting.clear()
        return 0

    def purge(self) -> None:
        self.waiting.clear()


def test_what_a_broker_confirms_without_saying_where_it_is_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("confluent_kafka")
    monkeypatch.setattr(forward_module, "FIRST_WAIT", 0.0)
    monkeypatch.setattr(ForgetfulProducer, "made", 0)
    kept: list[int] = []
    broker = Broker("127.0.0.1:1", "events")
    monkeypatch.setattr(Broker, "producer", lambda self: ForgetfulProducer({1, 2, 4}, kept))
    said: list[str] = []
    stream = Faulty([event(n) for n in range(1, 10)], random.Random(1))
    stream._fail = lambda: None  # type: ignore[method-assign]
    how = Forwarding(batch=3, until_empty=True)
    moved = forward(stream, KafkaSink(broker), how, threading.Event(), lambda why, seconds: said.append(why))
    assert set(kept) == set(range(1, 10))
    assert (moved.n_read, moved.retries) == (9, 3)
    assert said == ["the broker at 127.0.0.1:1 says that it has what is sent, and not where"] * 3


def test_a_folder_belongs_to_one_stream_one_format_and_one_process(tmp_path: Path) -> None:
    sink = EventFiles(tmp_path / "out", "events", "csv")
    assert sink.write([event(1), event(2), event(2)]) == 2
    with pytest.raises(MatineeError, match="another process writes"):
        EventFiles(tmp_path / "out", "events", "csv")
    sink.close()
    assert pl.read_csv(tmp_path / "out" / "events-0-1-2.csv")["event_id"].to_list() == ["e1", "e2"]
    for name, format in (("events", "parquet"), ("clicks", "csv")):
        with pytest.raises(MatineeError, match="holds csv files of events"):
            EventFiles(tmp_path / "out", name, format)  # type: ignore[arg-type]
    (tmp_path / "file").write_text("")
    with pytest.raises(MatineeError):
        EventFiles(tmp_path / "file", "events", "csv")


def test_trouble_is_said_and_waited_for_and_what_waiting_does_not_cure_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward_module, "FIRST_WAIT", 0.001)
    stream, said = Faulty([event(1)], random.Random(0)), []

    class Sink:
        n = 0

        def write(self, events: Sequence[StreamEvent]) -> int:
            self.n += 1
            if self.n < 4:
                raise Unavailable("no broker")
            raise MatineeError("no such topic")

        def close(self) -> None:
            """Nothing is open."""

    with pytest.raises(MatineeError, match="no such topic"):
        forward(stream, Sink(), Forwarding(), threading.Event(), lambda why, seconds: said.append(why))
    assert said.count("no broker") == 3
    assert stream.kept == {}


def test_a_message_is_the_event_again() -> None:
    one = StreamEvent(7, LiveEvent("영화 \n", "x", "click", 0.1, -5, None, "ease", "l", 1, "v"), 2, 9)
    assert decode(encode(one), 2, 9) == one


@pytest.mark.parametrize(
    "message",
    [None, b"", b"[]", b"null", b"\xff", b"{}", b'{"seq":1}', encode(event(1)).replace(b":1,", b":true,", 1),
     encode(event(1)).replace(b"4.5", b'"4.5"'), encode(event(1)).replace(b'"10"', b"10"), b"[" * 100_000],
)  # fmt: skip
def test_a_message_that_is_no_event_is_refused(message: bytes | None) -> None:
    with pytest.raises(ForeignMessage):
        decode(message, 0, 0)


@pytest.mark.parametrize("address", ["", "localhost", "kafka://h:9092", "h:port", "h:9092;", "h:9092,"])
def test_a_wrong_address_is_refused_at_once(address: str) -> None:
    with pytest.raises(MatineeError, match="HOST:PORT"):
        Broker(address, "events")


@pytest.mark.parametrize("topic", ["", ".", "..", "a b", "영화", "x" * 250])
def test_a_wrong_topic_is_refused_at_once(topic: str) -> None:
    with pytest.raises(MatineeError, match="not a name of a topic"):
        Broker("h:9092,[::1]:9093", topic)


@pytest.fixture
def log(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/log.db"
    events = SqlEvents(url, Vocab.of([10]))
    events.append([event(n).event for n in range(1, 8)])
    events.close()
    return url


def test_the_log_becomes_files_by_a_command_that_goes_on_where_it_was(
    log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["stream", "consume", "--db", log, "--to", f"parquet:{tmp_path}/out", "--once", "--json"]
    assert run(command) == 0
    assert json.loads(capsys.readouterr().out)["n_new"] == 7
    assert run(command) == 0
    assert json.loads(capsys.readouterr().out)["n_read"] == 0
    assert run(["stream", "status", "--db", log, "--json"]) == 0
    (state,) = json.loads(capsys.readouterr().out)["consumers"]
    assert (state["consumer"], state["lag"]) == (f"parquet:{tmp_path}/out", 0)


@pytest.mark.slow
def test_sigterm_ends_a_consumer_with_exit_code_0(log: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "matinee", "stream", "consume", "--db", log, "--to", f"csv:{tmp_path}/out"]
    with subprocess.Popen([*command, "--gather", "0"], stdout=subprocess.PIPE, text=True) as process:
        while not list((tmp_path / "out").glob("log-*.csv") if (tmp_path / "out").is_dir() else []):
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, out.split(",")[0]) == (0, "7 events read")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["relay"], "--kafka HOST:PORT"),
        (["relay", "--kafka", "nonsense"], "HOST:PORT"),
        (["relay", "--kafka", "h:1", "--db", "missing.db"], "no database"),
        (["relay", "--kafka", "h:1", "--topic", "a b"], "name of a topic"),
        (["relay", "--kafka", "h:1", "--kafka-config", "no-such-file"], "No such file"),
        (["consume", "--to", "parquet:x"], "either --kafka HOST:PORT or --db URL"),
        (["consume", "--to", "parquet:x", "--kafka", "h:1", "--db", "y"], "either"),
        (["consume", "--to", "nonsense", "--db", "y"], "no target"),
        (["consume", "--to", "parquet:", "--db", "y"], "no target"),
        (["consume", "--to", "csv:x", "--db", "missing.db"], "no database"),
        (["status", "--db", "missing.db"], "no database"),
        (["status", "--kafka", "h:1"], "--consumer NAME"),
    ],
)
def test_a_wrong_command_is_one_line(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["stream", *arguments]) in (1, 2)
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(("module", "command"), [
    ("confluent_kafka", ["relay", "--kafka", "h:1"]),
    ("boto3", ["consume", "--to", "dynamodb:t"]),
])  # fmt: skip
def test_a_missing_extra_is_named(
    module: str, command: list[str], log: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert run(["stream", *command, "--db", log]) == 1
    assert "pip install 'matinee[" in capsys.readouterr().err
