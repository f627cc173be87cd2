"""Events in a DynamoDB table, by user and time: each event is one item, whatever is written twice."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from matinee.errors import MatineeError
from matinee.store.streams.messages import columns_of
from matinee.store.streams.protocols import StreamEvent, Unavailable

Table = Any
"""boto3's table: boto3 has no types."""
USER, PLACE = "user_id", "at_seq"
"""The keys of the table: partition and sort, both text. at_seq: the time and number of an event, as wide as any."""
WAITABLE = {
    *("ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "InternalServerError"),
    *("ServiceUnavailable", "LimitExceededException", "RequestTimeout"),
}
"""Errors that waiting may cure, beside those of connections; boto3 has tried some times before."""
TIMEOUTS = {"connect_timeout": 5, "read_timeout": 20, "retries": {"mode": "standard", "max_attempts": 4}}


class DynamoDbSink:
    """An EventSink that writes to a table of DynamoDB. Where it is, and as whom, boto3 finds as it always does.

    create: make the table unless it is there. Raises MatineeError without the extra `dynamodb`, without credentials or
    region, and for a table that is missing or has other keys; Unavailable if DynamoDB cannot be reached.
    """

    def __init__(self, table: str, *, create: bool = False) -> None:
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            raise MatineeError(f"boto3 is missing ({error}); pip install 'matinee[dynamodb]'") from None
        with self._errors(table):
            self._table: Table = boto3.resource("dynamodb", config=Config(**TIMEOUTS)).Table(table)
            if create:
                _create(self._table)
            self._table.load()
        _require_keys(self._table)

    def write(self, events: Sequence[StreamEvent]) -> int:
        """See EventSink; it cannot tell which events are new."""
        with self._errors(self._table.name), self._table.batch_writer(overwrite_by_pkeys=[USER, PLACE]) as batch:
            for event in events:
                batch.put_item(Item=item_of(event))
        return len(events)

    def close(self) -> None:
        """See EventSink."""
        self._table.meta.client.close()

    @contextmanager
    def _errors(self, table: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

        try:
            yield
        except ClientError as error:
            code, says = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
            if code in WAITABLE:
                raise Unavailable(f"DynamoDB is busy: {code}") from None
            fix = "; check its name and region, or give --create-table" if code == "ResourceNotFoundException" else ""
            raise MatineeError(f"DynamoDB refuses table {table}: {says} ({code}){fix}") from None
        except (ConnectionError, HTTPClientError) as error:
            raise Unavailable(f"DynamoDB does not answer: {error}") from None
        except BotoCoreError as error:
            raise MatineeError(f"DynamoDB cannot be used: {error}") from None


def item_of(event: StreamEvent) -> dict[str, Any]:
    """An event as an item: its keys and columns, without those that it has not."""
    columns = {name: value for name, value in columns_of(event).items() if value is not None}
    columns["value"] = Decimal(repr(float(event.event.value)))
    return columns | {PLACE: f"{event.event.at:020d}#{event.seq:020d}"}


def _create(table: Table) -> None:
    client = table.meta.client
    keys = [(USER, "HASH"), (PLACE, "RANGE")]
    try:
        client.create_table(
            TableName=table.name,
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
            BillingMode="PAY_PER_REQUEST",
        )
    except client.exceptions.ResourceInUseException:  # it is there
        return
    client.get_waiter("table_exists").wait(TableName=table.name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def _require_keys(table: Table) -> None:
    types = {each["AttributeName"]: each["AttributeType"] for each in table.attribute_definitions}
    keys = {each["KeyType"]: each["AttributeName"] for each in table.key_schema}
    found = [(keys.get(kind), types.get(keys.get(kind, ""))) for kind in ("HASH", "RANGE")]
    if found != [(USER, "S"), (PLACE, "S")]:
        have = ", ".join(f"{name} ({type})" for name, type in found if name)
        raise MatineeError(
            f"table {table.name} has the keys {have}; events need {USER} (S) and {PLACE} (S): name another table, or "
            "let --create-table make one"
        )
