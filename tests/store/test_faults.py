"""A database that cannot be used: what is wrong and what to do is said, and the same object works when it is mended."""

import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from components.settings import SettingsError
from components.store.conversations import Conversations
from components.store.database import Database
from components.store.errors import StoreError
from components.store.faults import explain
from components.store.rows import Conversation, new_conversation_id
from components.store.schema import metadata
from tests.postgres import PASSWORD, PASSWORD_USER, Cluster
from tests.server import ROOT
from tests.store.helpers import READER, conversation, said

LIBRARY_WORDS = ["Traceback", "sqlalche.me", "psycopg.", "sqlite3.", "Background on this error"]


@contextmanager
def refused(*words: str) -> Iterator[None]:
    with pytest.raises(StoreError) as caught:
        yield
    text = str(caught.value)
    assert "\n" not in text
    assert PASSWORD not in text
    for word in words:
        assert word in text
    for word in LIBRARY_WORDS:
        assert word not in text


def works(database: Database) -> None:
    """It is written and read."""
    new = conversation(database)
    with database.reading() as connection:
        assert Conversations(connection, READER).get(new).id == new


def use(database: Database) -> None:
    with database.writing() as connection:
        Conversations(connection, READER).add(Conversation(new_conversation_id(), READER))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some" / "chats.db"


@pytest.fixture
def sqlite(file: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{file}")
    yield database
    database.close()


def test_a_file_that_is_no_database(sqlite: Database, file: Path) -> None:
    file.parent.mkdir()
    file.write_text("Not a database, and longer than the head of one. " * 100)
    for _ in range(2):
        with refused(str(file), "no SQLite database", "Move it away"):
            use(sqlite)
    assert file.read_text().startswith("Not a database")
    file.unlink()
    works(sqlite)


def test_a_folder_in_place_of_the_file(sqlite: Database, file: Path) -> None:
    file.mkdir(parents=True)
    with refused(str(file), "must not be a folder"):
        use(sqlite)
    file.rmdir()
    works(sqlite)


def test_a_file_in_place_of_the_folder(sqlite: Database, file: Path) -> None:
    file.parent.write_text("")
    with refused(str(file.parent), "cannot be made", "Name another"):
        use(sqlite)
    file.parent.unlink()
    works(sqlite)


def test_a_damaged_file(sqlite: Database, file: Path) -> None:
    said(sqlite, conversation(sqlite), *["text " * 500] * 40)
    sqlite.close()
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with refused("damaged", "restore a back-up"), sqlite.reading() as connection:
        Conversations(connection, READER).list(5)
    file.unlink()
    works(sqlite)


def test_tables_of_another_application(sqlite: Database, file: Path) -> None:
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE messages (x)")
    with refused("tables of another application"):
        use(sqlite)


@pytest.mark.parametrize("locked", ["file", "folder"])
def test_what_may_only_be_read(sqlite: Database, file: Path, locked: str) -> None:
    """In a process without root's right to write everything; there the same object writes once it may."""
    works(sqlite)
    sqlite.close()
    program = f"""
import os
from pathlib import Path
from components.store.database import Database
from components.store.errors import StoreError
from tests.store.test_faults import use, works
database = Database({sqlite.url!r})
file = Path({str(file)!r})
(file if {locked!r} == "file" else file.parent).chmod(0o555)
try:
    use(database)
except StoreError as error:
    print(error)
for place in (file.parent, *file.parent.iterdir()):
    place.chmod(0o755)
works(database)
database.close()
print("works")
"""
    done = subprocess.run([*_unprivileged(), sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert "must be allowed to" in done.stdout, done.stderr
    assert done.stdout.endswith("works\n"), done.stderr


def _unprivileged() -> list[str]:
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]


def test_a_new_file_is_its_owners_alone_to_read(sqlite: Database, file: Path) -> None:
    works(sqlite)
    with sqlite.reading():
        modes = {name.name: stat.S_IMODE(name.stat().st_mode) for name in file.parent.iterdir()}
    assert modes == {"chats.db": 0o600, "chats.db-wal": 0o600, "chats.db-shm": 0o600}


def test_a_full_disk(sqlite: Database, file: Path) -> None:
    where = conversation(sqlite)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with refused("disk"):
            said(sqlite, where, "text " * 1_000_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    works(sqlite)
    said(sqlite, where, "text " * 1_000_000)


def test_a_file_that_may_grow_no_more(sqlite: Database) -> None:
    where = conversation(sqlite)
    with refused("no room left on the disk", "Make room"), sqlite.writing() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 60")
        said_in = "text " * 1_000_000
        connection.exec_driver_sql("CREATE TABLE large AS SELECT ? AS text", (said_in,))
    sqlite.close()
    said(sqlite, where, "text " * 1_000_000)


def test_a_file_that_somebody_keeps_locked(sqlite: Database, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    works(sqlite)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with refused("locked", "End that program"), sqlite.reading() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout = 1")
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    sqlite.close()
    works(sqlite)


def test_a_new_file_that_somebody_is_writing(sqlite: Database, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite itself waits for nobody where a file gets the kind of journal with which readers need not wait."""
    file.parent.mkdir()
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: other.execute("ROLLBACK"))
        monkeypatch.setattr("components.store.database.time", waiting)
        works(sqlite)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_deleted_or_replaced_while_it_is_in_use(sqlite: Database, file: Path, replaced: bool) -> None:
    gone = conversation(sqlite)
    other = Database(f"sqlite:///{file.parent / 'other.db'}")
    there = conversation(other)
    other.close()
    for name in (file, *file.parent.glob(f"{file.name}-*")):
        name.unlink()
    if replaced:
        shutil.move(file.parent / "other.db", file)
    with sqlite.reading() as connection:
        listed = [one.id for one in Conversations(connection, READER).list(5)]
    assert listed == ([there] if replaced else [])
    assert gone not in listed
    works(sqlite)
    assert file.exists()


def test_a_folder_that_is_deleted_while_it_is_in_use(sqlite: Database, file: Path) -> None:
    works(sqlite)
    shutil.rmtree(file.parent)
    works(sqlite)
    assert file.exists()


def test_tables_that_are_dropped_while_they_are_in_use(database: Database) -> None:
    works(database)
    with database.writing() as connection:
        for name in (*(table.name for table in reversed(metadata.sorted_tables)), "alembic_version"):
            connection.exec_driver_sql(f"DROP TABLE {name}")
    with refused():
        use(database)
    works(database)


def test_what_is_no_fault_of_the_database_stays_what_it_is(database: Database) -> None:
    def fail(error: Exception) -> None:
        with database.writing() as connection:
            Conversations(connection, READER).add(Conversation("x", READER))
            raise error

    for error in (ValueError("mine"), OSError("mine"), KeyError("mine")):
        with pytest.raises(type(error), match="mine"):
            fail(error)
    with database.reading() as connection:
        assert not Conversations(connection, READER).list(5)


def test_a_wrong_password(postgres: Cluster) -> None:
    for user in (f"{PASSWORD_USER}:wrong", PASSWORD_USER):
        database = Database(postgres.url("postgres", user))
        with refused("user or the password"):
            use(database)
        assert "wrong" not in database.name
        database.close()


def test_a_user_who_may_not(postgres: Cluster) -> None:
    with postgres.database() as url:
        database = Database(url.replace("chats@", f"{PASSWORD_USER}:{PASSWORD}@"))
        with refused("may not do this", "GRANT"):
            use(database)
        owner = Database(url)
        with owner._begun(writes=True) as connection:
            connection.exec_driver_sql(f"GRANT ALL ON SCHEMA public TO {PASSWORD_USER}")
        owner.close()
        works(database)
        database.close()


def test_no_such_user(postgres: Cluster) -> None:
    database = Database(postgres.url("postgres", "nobody"))
    with refused("no such user", "createuser"):
        use(database)


def test_no_such_database_and_then_there_is_one(postgres: Cluster) -> None:
    with postgres.database() as url:
        pass
    database = Database(url)
    with refused("no such database", "createdb"):
        use(database)
    maker = Database(postgres.url("postgres"))
    name = url.split("@/")[1].split("?")[0]
    with maker._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        works(database)
        database.close()
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    maker.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://u:correct-horse@127.0.0.1:9/chats", "no server answers there"),
        ("postgresql://u:correct-horse@localhost:9/chats", "no server answers there"),
        ("postgresql://u:correct-horse@/chats?host=/nowhere", "no server answers there"),
        ("postgresql://u:correct-horse@no-such-host.invalid/chats", "no host of this name"),
        ("postgresql://u:correct-horse@127.0.0.1:9/chats?nonsense=1", "option that PostgreSQL does not know"),
    ],
)
def test_a_server_that_is_not_there(url: str, words: str) -> None:
    with refused(words, "://u:***@"):
        use(Database(url))


def test_a_server_that_stops_and_starts_again(postgres: Cluster) -> None:
    with postgres.database() as url:
        database = Database(url)
        works(database)
        try:
            with refused("cannot be used"), database.reading() as connection:
                postgres.stop()
                Conversations(connection, READER).list(5)
            for _ in range(2):
                with refused("no server answers there", "Start it"):
                    use(database)
        finally:
            postgres.start()
        works(database)
        database.close()


def test_who_waits_for_a_database_that_is_away_waits_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each of many readers would wait, one after the other, as long as a connection may take."""
    database = Database("postgresql://u@127.0.0.1:9/chats")
    begun, tried, go = threading.Event(), [], threading.Event()
    original, waiting = database._migrate, threading.Semaphore(0)

    class Watched:
        """A lock that tells who comes to it."""

        lock = threading.Lock()

        def __enter__(self) -> None:
            waiting.release()
            self.lock.acquire()

        def __exit__(self, *_: object) -> None:
            self.lock.release()

    def slow() -> None:
        tried.append(1)
        begun.set()
        assert go.wait(60)
        original()

    monkeypatch.setattr(database, "_migrate", slow)
    monkeypatch.setattr(database, "_lock", Watched())
    failures: list[str] = []

    def read() -> None:
        try:
            use(database)
        except StoreError as error:
            failures.append(str(error))

    threads = [threading.Thread(target=read) for _ in range(6)]
    threads[0].start()
    assert begun.wait(60)
    for thread in threads[1:]:
        thread.start()
    assert all(waiting.acquire(timeout=60) for _ in threads)
    go.set()
    for thread in threads:
        thread.join(60)
    assert len(failures) == 6
    assert len(set(failures)) == 1
    assert tried == [1]


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://u:secret@host/name",
        "http://host",
        "postgresql://u:secret@host:port/name",
    ],
)
def test_a_url_that_names_no_database(url: str) -> None:
    with pytest.raises(SettingsError, match="BAICHUAN_DATABASE_URL cannot be used") as caught:
        Database(url)
    assert "secret" not in str(caught.value)
    assert "Write it like" in str(caught.value)


@pytest.mark.parametrize(
    "url", ["postgres://u:p@host/name", "postgresql+psycopg2://u:p@host/name", "postgresql+asyncpg://u:p@host/name"]
)
def test_a_url_for_another_library_is_understood(url: str) -> None:
    assert Database(url).name == "postgresql://u:***@host/name"


@pytest.mark.parametrize("make", [lambda: sqlite3.OperationalError("odd"), lambda: RuntimeError(""), lambda: OSError()])
def test_what_nobody_foresaw_is_told_in_one_line(make: Callable[[], Exception]) -> None:
    assert explain(make())
    assert "\n" not in explain(make())
