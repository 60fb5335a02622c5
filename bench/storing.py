"""What keeping replies costs the engine that writes them: eight at once, without a database and with one."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter, thread_time
from typing import NamedTuple

from sqlalchemy import Connection

from bench.loading import load_engine
from bench.process import in_ended_thread, spawn
from bench.questions import question
from bench.targets import SAMPLING
from components.chats.asker import Asker
from components.chats.chat import Chat
from components.chats.controls import Controls
from components.chats.replies import Replies
from components.checkpoints.locate import Checkpoint
from components.engine.events import Finished
from components.engine.interface import Engine, GenerationRequest
from components.settings import Settings
from components.store.database import Database
from components.store.postgres import USUAL, Patience

AT_ONCE = 8
"""Replies."""

PATIENCE_SECONDS = 600.0


@dataclass(frozen=True)
class Stored:
    """Eight replies in one round: tokens per second without a database and with one.

    ``kept`` are the seconds that transactions which write took, of all ``seconds`` from the first question to the last
    reply's end, and ``computed`` those in which they computed here, rather than wait for the database, each other, or a
    core; ``transactions`` is their number.
    """

    database: str
    round: int
    without: float
    with_store: float
    seconds: float
    kept: float
    computed: float
    transactions: int


class StoredSummary(NamedTuple):
    """Medians over the rounds; ``ratio`` is of the speed with a database over that without.

    ``share`` is the part of the time that transactions computed, ``waited`` the part that they took in all.
    """

    without: float
    with_store: float
    ratio: float
    share: float
    waited: float
    transaction: float


def summarize(rounds: Sequence[Stored]) -> StoredSummary:
    """Of one database."""
    return StoredSummary(
        median(one.without for one in rounds),
        median(one.with_store for one in rounds),
        median(one.with_store / one.without for one in rounds),
        median(one.computed / one.seconds for one in rounds),
        median(one.kept / one.seconds for one in rounds),
        median(one.kept / one.transactions for one in rounds),
    )


class TimedDatabase(Database):
    """Says how long its transactions that write took, and how long they computed."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.forget()
        self._timing = threading.Lock()

    @contextmanager
    def writing(self, *, patience: Patience = USUAL) -> Iterator[Connection]:
        """See ``Database.writing``."""
        began, computed = perf_counter(), thread_time()
        with super().writing(patience=patience) as connection:
            yield connection
        with self._timing:
            self.seconds += perf_counter() - began
            self.computed += thread_time() - computed
            self.transactions += 1

    def forget(self) -> None:
        """Begin anew."""
        self.seconds, self.computed, self.transactions = 0.0, 0.0, 0


def measure_storing(
    settings: Settings, checkpoint: Checkpoint, databases: Mapping[str, str], reply_tokens: int, rounds: int
) -> list[Stored]:
    """Load an engine in a process of its own and have it write; ``databases`` are addresses by name."""
    with spawn() as process:
        return process.submit(_load_and_measure, settings, checkpoint, databases, reply_tokens, rounds).result()


def _load_and_measure(
    settings: Settings, checkpoint: Checkpoint, databases: Mapping[str, str], reply_tokens: int, rounds: int
) -> list[Stored]:
    engine = in_ended_thread(lambda: load_engine(settings, checkpoint))
    with closing(engine):
        return list(storing_of(engine, databases, reply_tokens, rounds))


def storing_of(engine: Engine, databases: Mapping[str, str], reply_tokens: int, rounds: int) -> Iterator[Stored]:
    """Each round of each database, one right after the other. A first reply does not count."""
    controls = Controls(SAMPLING.model_copy(update={"max_new_tokens": reply_tokens}))
    _write(engine, controls, "Warm-up")
    for number in range(rounds):
        for name, url in databases.items():
            without = _write(engine, controls, f"Without {name} {number}")
            with closing(TimedDatabase(url)) as database:
                yield _keep(engine, controls, database, name, number, without)


def _write(engine: Engine, controls: Controls, occasion: str) -> float:
    """Tokens per second when nothing is kept."""
    began = perf_counter()
    generations = [
        engine.generate(GenerationRequest(question(reader, occasion), controls.sampling, f"reader {reader}"))
        for reader in range(AT_ONCE)
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ends = list(pool.map(lambda generation: list(generation)[-1], generations))
    tokens = sum(end.completion_tokens for end in ends if isinstance(end, Finished))
    return tokens / (perf_counter() - began)


def _keep(
    engine: Engine, controls: Controls, database: TimedDatabase, name: str, number: int, without: float
) -> Stored:
    """The same as readers of the page ask: each in a new conversation, which is kept while it grows."""
    with closing(Replies(database)) as replies:
        with database.writing() as connection:  # the tables are looked at with the first transaction
            replies.register(connection)
        database.forget()
        chats = [Chat.new(Asker(f"bench:{reader}", f"reader {reader}"), replies) for reader in range(AT_ONCE)]
        began = perf_counter()
        for reader, chat in enumerate(chats):
            chat.ask(engine, question(reader, f"With {name} {number}")[0]["content"], controls)
        for chat in chats:
            while (writing := chat.writing) is not None and perf_counter() - began < PATIENCE_SECONDS:
                writing.wait(writing.snapshot(), 1.0)
        seconds = perf_counter() - began
        kept, computed, transactions = database.seconds, database.computed, database.transactions
        tokens = 0
        for chat in chats:
            assert chat.last is not None
            reply = chat.now(chat.last).reply
            assert reply is not None
            tokens += reply.completion_tokens or 0
    return Stored(name, number, without, tokens / seconds, seconds, kept, computed, transactions)
