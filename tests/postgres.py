"""A PostgreSQL of the tests' own: private, on a socket, without a care for what a power cut would lose."""

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg

START_SECONDS = 60

PASSWORD_USER, PASSWORD = "locked", "correct-horse"
"""Of the one user who needs a password."""

_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=", "max_connections=50")


class Cluster:
    """A database server in a folder of its own, which ends with the process that made it, however that ends."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="chats-pg-"))  # a socket's path must be short: not pytest's folder
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        made = self._spawn("initdb", "--username=chats", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        if made.wait(START_SECONDS):
            raise RuntimeError(self._log())
        rules = self.folder / "data" / "pg_hba.conf"
        rules.write_text(f"local all {PASSWORD_USER} scram-sha-256\nlocal all all trust\n", encoding="utf-8")
        self.start()
        self._run(f"CREATE ROLE {PASSWORD_USER} LOGIN PASSWORD '{PASSWORD}'")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = [f"--{setting}" for setting in (*_FAST, f"unix_socket_directories={self.folder}")]
        self._process = self._spawn("postgres", *settings)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return self._run("SELECT 1")
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(self._log()) from error
                time.sleep(0.05)

    def stop(self) -> None:
        """End the server; who is connected loses the connection."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # "fast"
            self._process.wait(START_SECONDS)
            self._process = None

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """The server with all its processes does nothing meanwhile, and neither refuses nor loses anybody."""
        assert self._process is not None
        server = psutil.Process(self._process.pid)
        processes = [server, *server.children(recursive=True)]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    @contextmanager
    def locked(self, url: str, table: str) -> Iterator[None]:
        """Another program has a table of this database for itself."""
        with psycopg.connect(url) as connection:
            connection.execute(f"LOCK TABLE {table}".encode())
            yield
            connection.rollback()

    def close(self) -> None:
        """End the server and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder)

    def url(self, database: str, user: str = "chats") -> str:
        """Of one of its databases. ``user`` may be ``name:password``."""
        return f"postgresql://{user}@/{database}?host={self.folder}"

    @contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """The URL of a new database, a copy of another one, which is dropped in the end."""
        name = f"test_{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [*_as_user(), str(_binaries() / program), "-D", str(self.folder / "data"), *arguments]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)

    def _log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


def _binaries() -> Path:
    """Where the server's programs are. Debian has them on nobody's path."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not places:
        raise FileNotFoundError("PostgreSQL is not installed: bash scripts/install-test-tools")
    return places[-1]


def _as_user() -> Sequence[str]:
    """What to put before a command: PostgreSQL refuses to be root, and should end when the tests are killed."""
    if shutil.which("setpriv") is None:  # it is Linux's
        return []
    user = ["--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    return ["setpriv", *user, "--pdeathsig=INT"]
