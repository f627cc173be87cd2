"""PostgreSQL and MariaDB for tests and benchmarks: each in a folder of its own, on a free port of 127.0.0.1.

    with PostgreSQL() as server:
        server.url("site")   # of a new, empty database

A server is a process of ours: it can be killed and started again over the same data, and is gone at the end. Started by
root, it runs as the user that its package makes, because neither runs as root.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

PASSWORD = "secret-of-the-tests"
START_SECONDS = 120
"""Machines of continuous integration are slow and busy."""
TRY_SECONDS, CONNECT_SECONDS = 5, 60
"""How long to wait for a connection: where one is tried again, and where it must come, however busy the machine is."""


class DatabaseServer:
    """A database server that is started with `start` or `with`, stopped by its own process id."""

    user: str
    program: str
    install: str

    def __init__(self, *, syncs: bool = True) -> None:
        """syncs: whether a commit waits for the disk, as it must where kills are tested."""
        self.syncs = syncs
        self.folder = Path(tempfile.mkdtemp(prefix="matinee-db-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:
            owner = pwd.getpwnam(self.user)
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)

    @classmethod
    def is_installed(cls) -> bool:
        """Whether this machine has the server."""
        return cls.find(cls.program) is not None

    @classmethod
    def find(cls, program: str) -> str | None:
        """The path of one of its programs."""
        folders = [os.environ.get("PATH", ""), "/usr/sbin", *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
        return shutil.which(program, path=os.pathsep.join(folders))

    def url(self, database: str) -> str:
        """The URL of a database on this server."""
        raise NotImplementedError

    def create(self, database: str) -> str:
        """Create an empty database. Returns its URL."""
        raise NotImplementedError

    def start(self) -> Self:
        """Start the server over its data and wait until it answers."""
        if not (self.folder / "data").exists():
            self._initialise()
        self._process = self._spawn(self._command())
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None:  # memory of one that was killed, or its port: free in a moment
                time.sleep(0.3)
                self._process = self._spawn(self._command())
            if time.monotonic() > deadline:
                said = (self.folder / "log").read_text()[-2000:]
                self.stop()
                raise RuntimeError(f"{self.program} does not start: {said}")
            time.sleep(0.05)
        return self

    def kill(self) -> None:
        """End the server at once, as a power cut would, but for the disk."""
        self._end()

    def pause(self) -> None:
        """Let the server keep its connections and answer nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the server and remove its data."""
        self._end()  # nobody wants its data
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _initialise(self) -> None:
        """Make the server's own data."""
        raise NotImplementedError

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _connect(self, seconds: int = CONNECT_SECONDS) -> Any:
        """A connection of the driver's own, without a transaction."""
        raise NotImplementedError

    def _answers(self) -> bool:
        try:
            self._connect(TRY_SECONDS).close()
        except self._errors():
            return False
        return True

    def _errors(self) -> type[Exception]:
        """What the driver raises while the server is not up yet."""
        raise NotImplementedError

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            for pid in (self._process.pid, *children_of(self._process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)

    def _end(self) -> None:
        if self._process is None:
            return
        self._signal(signal.SIGKILL)
        self._process.wait(30)
        self._process = None

    def _run(self, command: list[str]) -> None:
        process = self._spawn(command)
        if process.wait(START_SECONDS) != 0:
            raise RuntimeError(f"{command[0]} fails: {(self.folder / 'log').read_text()[-2000:]}")

    def _spawn(self, command: list[str]) -> "subprocess.Popen[bytes]":
        identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            owner = pwd.getpwnam(self.user)
            identity = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        command = [str(self.find(command[0])), *command[1:]]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder, **identity
            )


class PostgreSQL(DatabaseServer):
    """A PostgreSQL server."""

    user, program, install = "postgres", "postgres", "postgresql"

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://matinee:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        with contextlib.closing(self._connect()) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {database}")
        return self.url(database)

    def _initialise(self) -> None:
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        access = ["-A", "scram-sha-256", "-U", "matinee", f"--pwfile={password}"]
        self._run(["initdb", "-D", str(self.folder / "data"), *access, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"])

    def _command(self) -> list[str]:
        settings = ["listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}", "shared_buffers=32MB"]
        settings += ["recovery_init_sync_method=syncfs", f"fsync={'on' if self.syncs else 'off'}"]
        options = [part for setting in settings for part in ("-c", setting)]
        return ["postgres", "-D", str(self.folder / "data"), "-p", str(self.port), *options]

    def _connect(self, seconds: int = CONNECT_SECONDS) -> Any:
        import psycopg

        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="matinee", password=PASSWORD, dbname="postgres",
            autocommit=True, connect_timeout=seconds,
        )  # fmt: skip

    def _errors(self) -> type[Exception]:
        import psycopg

        return psycopg.Error


class MariaDB(DatabaseServer):
    """A MariaDB server, whose new databases are latin1, as by its own default."""

    user, program, install = "mysql", "mariadbd", "mariadb-server"

    def url(self, database: str) -> str:
        return f"mysql+pymysql://matinee:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        with contextlib.closing(self._connect()) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {database}")
            cursor.execute(f"CREATE DATABASE {database}")
        return self.url(database)

    def _initialise(self) -> None:
        options = [
            f"--datadir={self.folder / 'data'}",
            f"--tmpdir={self.folder}",
            "--skip-test-db",
            "--auth-root-authentication-method=normal",
        ]
        self._run(["mariadb-install-db", "--no-defaults", *options])
        start = self.folder / "start.sql"
        start.write_text(
            f"CREATE USER IF NOT EXISTS matinee@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n"
            "GRANT ALL ON *.* TO matinee@'127.0.0.1';\n"
        )
        start.chmod(0o644)

    def _command(self) -> list[str]:
        data, run = self.folder / "data", self.folder
        return [
            "mariadbd", "--no-defaults", f"--datadir={data}", f"--tmpdir={run}",
            "--bind-address=127.0.0.1", f"--port={self.port}",
            f"--socket={run / 'socket'}", f"--pid-file={run / 'pid'}", f"--init-file={run / 'start.sql'}",
            "--innodb-buffer-pool-size=32M", "--performance-schema=OFF", "--skip-log-bin", "--skip-name-resolve",
            f"--innodb-flush-log-at-trx-commit={1 if self.syncs else 0}",
        ]  # fmt: skip

    def _connect(self, seconds: int = CONNECT_SECONDS) -> Any:
        import pymysql

        return pymysql.connect(
            host="127.0.0.1", port=self.port, user="matinee", password=PASSWORD, autocommit=True,
            connect_timeout=seconds,
        )  # fmt: skip

    def _errors(self) -> type[Exception]:
        import pymysql

        return pymysql.MySQLError


SERVERS: dict[str, type[DatabaseServer]] = {"postgresql": PostgreSQL, "mariadb": MariaDB}


def children_of(pid: int) -> list[int]:
    """The processes that a process has started: PostgreSQL is one for each connection."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if entry.read_text().rpartition(")")[2].split()[1] == str(pid):
                found.append(int(entry.parent.name))
    return found


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
