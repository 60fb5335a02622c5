"""Beside other programs that want the cores: what is left to the engine, and what making room for them costs.

OpenMP's threads wait for each other in a loop, for so many rounds before they sleep. On a quiet machine a longer loop
costs nothing; beside others it takes the core that the one who is waited for needs.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from bench.loading import load_application
from bench.process import warm_targets
from bench.questions import question
from bench.targets import Target
from components.checkpoints.locate import Checkpoint
from components.model.chat_format import Message
from components.model.limits import usable_cores
from components.settings import Settings

READERS = (1, 8)

LIBGOMP_SPINS = {"GOMP_SPINCOUNT": "300000"}
"""What libgomp takes when nobody says anything."""

START_SECONDS = 0.2
"""Until a program that was started is busy."""

_PROGRAM = """
import os, sys
while os.getppid() == int(sys.argv[1]):
    for _ in range(1_000_000):
        pass
"""


@dataclass(frozen=True)
class Busy:
    """Tokens per second of all readers together in one round.

    Attributes:
        round: which.
        readers: how many ask at once.
        programs: how many were busy for ``beside``.
        quiet: with nothing beside.
        spinning: the same with libgomp's own way to wait.
        beside: as ``quiet``, but beside busy programs.
    """

    round: int
    readers: int
    programs: int
    quiet: float
    spinning: float
    beside: float


def measure_busy(settings: Settings, checkpoint: Checkpoint, reply_tokens: int, rounds: int) -> Iterator[Busy]:
    """Load two engines, one of which waits as libgomp does by itself, and ask them in turn."""
    load = partial(load_application, settings, checkpoint)
    with warm_targets([(load, {}), (load, LIBGOMP_SPINS)], reply_tokens) as (own, spinning):
        yield from busy_of(own, spinning, usable_cores(), reply_tokens, rounds)


def busy_of(own: Target, spinning: Target, programs: int, reply_tokens: int, rounds: int) -> Iterator[Busy]:
    """Ask both on a quiet machine, who comes first changes from round to round, and then one beside busy programs."""
    for number in range(rounds):
        for readers in READERS:
            asked = [question(reader, f"Quiet {number}.{readers}") for reader in range(readers)]
            turns = (own, spinning) if number % 2 == 0 else (spinning, own)
            quiet = {target: _speed(target, asked, reply_tokens) for target in turns}
            asked = [question(reader, f"Beside {number}.{readers}") for reader in range(readers)]
            with busy_programs(programs):
                beside = _speed(own, asked, reply_tokens)
            yield Busy(number, readers, programs, quiet[own], quiet[spinning], beside)


def _speed(target: Target, asked: Sequence[Sequence[Message]], reply_tokens: int) -> float:
    seconds, answers = target.answer_at_once(asked, reply_tokens)
    return sum(answer.tokens for answer in answers) / seconds


@contextmanager
def busy_programs(count: int) -> Iterator[Sequence["subprocess.Popen[bytes]"]]:
    """Programs that keep a core busy each. They end with this block, and with this process, however that ends."""
    programs = []
    try:
        for _ in range(count):
            programs.append(subprocess.Popen([sys.executable, "-I", "-c", _PROGRAM, str(os.getpid())]))
        time.sleep(START_SECONDS)
        yield programs
    finally:
        for program in programs:
            program.kill()
        for program in programs:
            program.wait()
