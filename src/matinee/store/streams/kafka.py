"""Events in a topic of a Kafka-protocol broker: written with confirmed delivery, read and committed by hand."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from matinee.errors import MatineeError
from matinee.store.streams.messages import ForeignMessage, decode, encode
from matinee.store.streams.protocols import Offsets, StreamEvent, Unavailable, next_offsets

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message, Producer

ANSWER_SECONDS = 5.0
DELIVERY_SECONDS = 20
"""How long a batch may take until the broker has confirmed all of it."""
LOOK_SECONDS = 30.0
"""How often a consumer looks for new partitions."""
_ADDRESS = re.compile(r"([\w.-]+|\[[0-9a-fA-F:]+\]):\d{1,5}(,([\w.-]+|\[[0-9a-fA-F:]+\]):\d{1,5})*")
_TOPIC = re.compile(r"(?!\.{1,2}$)[\w.-]{1,249}", re.ASCII)
HOPELESS = {
    *("TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED", "_AUTHENTICATION"),
    *("SASL_AUTHENTICATION_FAILED", "MSG_SIZE_TOO_LARGE", "INVALID_MSG_SIZE", "UNKNOWN_TOPIC_OR_PART"),
    *("_UNKNOWN_TOPIC", "TOPIC_EXCEPTION", "POLICY_VIOLATION", "_SSL", "UNSUPPORTED_VERSION"),
}
"""Errors of a broker that waiting does not cure."""


class NoTopic(MatineeError):
    """A topic that is not there, or not for this account."""


class Broker:
    """Where a topic is. address: HOST:PORT, several with commas; properties: of librdkafka, such as for TLS and SASL.

    Raises MatineeError for a wrong address, name or property, and without the extra `kafka`.
    """

    def __init__(self, address: str, topic: str, properties: Mapping[str, str] | None = None) -> None:
        if not _ADDRESS.fullmatch(address):
            raise MatineeError(f"{address!r} is not an address of a broker; write --kafka HOST:PORT")
        if not _TOPIC.fullmatch(topic):
            raise MatineeError(f"{topic!r} is not a name of a topic: letters, digits, '.', '_' and '-', at most 249")
        self.address, self.topic = address, topic
        self._settings: dict[str, Any] = {
            "bootstrap.servers": address,
            "client.id": "matinee",
            "log_level": 0,  # what matters is raised
            "allow.auto.create.topics": False,
            **(properties or {}),
            "error_cb": self._on_error,
        }
        self._trouble: KafkaError | None = None

    def producer(self) -> "Producer":
        """A producer that loses, doubles and reorders nothing while it lives."""
        from confluent_kafka import Producer

        more = {
            "enable.idempotence": True,
            "enable.gapless.guarantee": True,  # after a failure nothing is sent before what failed is sent again
            "delivery.timeout.ms": DELIVERY_SECONDS * 1000,
            "partitioner": "murmur2_random",  # the partition of a user is the same as with Kafka's own clients
            "linger.ms": 5,
        }
        settings = {name: value for name, value in self._settings.items() if name != "allow.auto.create.topics"}
        with self.errors():
            return Producer(settings | more)

    def consumer(self, name: str) -> "Consumer":
        """A consumer under a name that commits only when it is asked to."""
        from confluent_kafka import Consumer

        more = {"group.id": name, "enable.auto.commit": False, "auto.offset.reset": "error"}
        with self.errors():
            return Consumer(self._settings | more)

    def partitions(self, client: "Producer | Consumer") -> list[int]:
        """The partitions of the topic. Raises NoTopic if there is no such topic."""
        with self.errors():
            found = client.list_topics(timeout=ANSWER_SECONDS).topics.get(self.topic)
        if found is None or not found.partitions:
            raise NoTopic(
                f"there is no topic {self.topic} at {self.address} that this account may see; check --topic, or create "
                "it with `matinee stream relay --create-topic N`"
            )
        return sorted(found.partitions)

    def create_topic(self, n_partitions: int) -> None:
        """Create the topic unless it is there."""
        from confluent_kafka.admin import AdminClient
        from confluent_kafka.cimpl import NewTopic

        with self.errors():
            admin = AdminClient({n: v for n, v in self._settings.items() if n != "allow.auto.create.topics"})
            if self.topic not in admin.list_topics(timeout=ANSWER_SECONDS).topics:
                for done in admin.create_topics([NewTopic(self.topic, n_partitions)]).values():
                    done.result(2 * ANSWER_SECONDS)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Errors of the broker and the library, as ours."""
        from confluent_kafka import KafkaException

        try:
            yield
        except KafkaException as error:
            raise self.error(error.args[0]) from None
        self.raise_trouble()

    def raise_trouble(self) -> None:
        """Raise what the library noticed in the background."""
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise self.error(trouble)

    def error(self, error: "KafkaError") -> MatineeError:
        """An error of the broker as ours: Unavailable if waiting may cure it."""
        if error.name() in ("_INVALID_ARG", "_CONF_UNKNOWN"):
            return MatineeError(f"a property of the broker's configuration is wrong: {error.str()}")
        where = f"the broker at {self.address}"
        if error.name() in HOPELESS:
            return MatineeError(f"{where} refuses topic {self.topic}: {error.str()} ({error.name()})")
        return Unavailable(f"{where} does not answer, or not as it should: {error.str()} ({error.name()})")

    def _on_error(self, error: "KafkaError") -> None:
        if error.name() in HOPELESS or error.name() == "_ALL_BROKERS_DOWN":
            self._trouble = error


def require_kafka() -> None:
    """Raises MatineeError without the extra `kafka`."""
    try:
        import confluent_kafka  # noqa: F401
    except ImportError as error:
        raise MatineeError(f"confluent-kafka is missing ({error}); pip install 'matinee[kafka]'") from None


class KafkaSink:
    """An EventSink that writes to a topic, keyed by user: the events of a user stay in order.

    create_topic: with how many partitions a missing topic is made; None: it is not.
    """

    def __init__(self, broker: Broker, create_topic: int | None = None) -> None:
        self._broker, self._create_topic = broker, create_topic
        self._producer: Producer | None = None

    def write(self, events: Sequence[StreamEvent]) -> int:
        """See EventSink; returns when the broker has confirmed each event, with its offset.

        A broker that takes an event for one it has had, and names no offset, may have died between noting the event's
        number and keeping the event; it is sent again, by a new producer, whose numbers it does not know.
        """
        if self._producer is None:
            if self._create_topic:
                self._broker.create_topic(self._create_topic)
            producer = self._broker.producer()
            self._broker.partitions(producer)
            self._producer = producer
        failures: list[KafkaError] = []
        n_kept = 0

        def on_delivery(error: "KafkaError | None", message: "Message") -> None:
            nonlocal n_kept
            if error is not None:
                failures.append(error)
            elif message.offset() is not None:
                n_kept += 1

        try:
            for event in events:
                key = str(event.event.user_id).encode()
                self._producer.produce(self._broker.topic, encode(event), key, on_delivery=on_delivery)
            n_left = self._producer.flush(DELIVERY_SECONDS + ANSWER_SECONDS)
        except BaseException:
            self._give_up()
            raise
        if n_kept < len(events):
            self._give_up()
            if failures:
                raise self._broker.error(failures[0])
            what = "does not confirm what is sent" if n_left else "says that it has what is sent, and not where"
            raise Unavailable(f"the broker at {self._broker.address} {what}")
        return len(events)

    def close(self) -> None:
        """See EventSink."""
        self._give_up()

    def _give_up(self) -> None:
        """Forget the producer and what it has not sent: the next one sends the batch again, from its beginning."""
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(0)
            self._producer = None


class KafkaStream:
    """An EventStream over a topic, which is waited for until it is there.

    One process reads all partitions; two under one name both do.

    skip_foreign: leave out messages that are no events, and count them in `n_skipped`, instead of failing at them.
    """

    def __init__(self, broker: Broker, consumer: str, *, skip_foreign: bool = False) -> None:
        self._broker, self._consumer_name, self._skip_foreign = broker, consumer, skip_foreign
        self._consumer: Consumer | None = None
        self._expected: Offsets | None = None
        self._n_partitions, self._looked = 0, 0.0
        self._is_down = False
        self.n_skipped = 0

    def read(self, offsets: Offsets, limit: int, seconds: float) -> list[StreamEvent]:
        """See EventStream."""
        client = self._client()
        if self._is_down:
            self._places(client)
            self._is_down = False
        if offsets != self._expected or time.monotonic() - self._looked > LOOK_SECONDS:
            self._go_to(client, offsets)
        self._expected = None  # what fails here is read again
        try:
            with self._broker.errors():
                messages = client.consume(limit, seconds)
        except Unavailable:
            self._is_down = True
            raise
        events = [event for message in messages if (event := self._event_of(message)) is not None]
        self._expected = next_offsets(offsets, events)
        return events

    def committed(self) -> Offsets:
        """See EventStream."""
        client = self._client()
        with self._broker.errors():
            found = client.committed(self._places(client), timeout=ANSWER_SECONDS)
        for place in found:
            if place.error:
                raise self._broker.error(place.error)
        return {place.partition: place.offset for place in found if place.offset >= 0}

    def commit(self, offsets: Offsets) -> None:
        """See EventStream."""
        from confluent_kafka import TopicPartition

        positions = [TopicPartition(self._broker.topic, partition, offset) for partition, offset in offsets.items()]
        with self._broker.errors():
            for place in self._client().commit(offsets=positions, asynchronous=False) or ():
                if place.error:
                    raise self._broker.error(place.error)

    def lag(self, offsets: Offsets) -> int:
        """See EventStream."""
        client, lag = self._client(), 0
        with self._broker.errors():
            for place in self._places(client):
                first, last = client.get_watermark_offsets(place, timeout=ANSWER_SECONDS)
                lag += max(0, last - max(first, offsets.get(place.partition, first)))
        return lag

    def close(self) -> None:
        """See EventStream."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _client(self) -> "Consumer":
        if self._consumer is None:
            self._consumer = self._broker.consumer(self._consumer_name)
        return self._consumer

    def _places(self, client: "Consumer") -> list[Any]:
        from confluent_kafka import TopicPartition

        try:
            partitions = self._broker.partitions(client)
        except NoTopic as missing:  # its relay has not begun
            raise Unavailable(str(missing)) from None
        return [TopicPartition(self._broker.topic, partition) for partition in partitions]

    def _go_to(self, client: "Consumer", offsets: Offsets) -> None:
        """Read on from these offsets; partitions that are new are noticed."""
        from confluent_kafka import OFFSET_BEGINNING

        positions = self._places(client)
        self._looked = time.monotonic()
        if offsets == self._expected and len(positions) == self._n_partitions:
            return
        for place in positions:
            place.offset = offsets.get(place.partition, OFFSET_BEGINNING)
        with self._broker.errors():
            client.assign(positions)
        self._n_partitions = len(positions)

    def _event_of(self, message: "Message") -> StreamEvent | None:
        """The event of a message, None for one that is skipped."""
        partition, offset, error = message.partition(), message.offset(), message.error()
        if error is not None and error.name() == "_AUTO_OFFSET_RESET":
            raise MatineeError(
                f"topic {self._broker.topic}, partition {partition} does not have the event any more at which consumer "
                f"{self._consumer_name} goes on: {error.str()}; another --consumer begins with the oldest there is"
            )
        if error is not None:
            raise self._broker.error(error)
        assert partition is not None
        assert offset is not None
        try:
            return decode(message.value(), partition, offset)
        except ForeignMessage as foreign:
            if self._skip_foreign:
                self.n_skipped += 1
                return None
            raise MatineeError(
                f"topic {self._broker.topic}, partition {partition}, offset {offset}: {foreign}; --skip-foreign leaves "
                "out such messages"
            ) from None
