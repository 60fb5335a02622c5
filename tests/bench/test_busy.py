"""Programs that keep the cores busy are there while they are wanted, and never after."""

import subprocess
import sys
import time
from collections.abc import Sequence

import psutil
import pytest

from bench.busy import READERS, busy_of, busy_programs
from bench.targets import Answer, Target
from components.model.chat_format import Message
from tests.server import ROOT


class NotingTarget(Target):
    """Answers at once, and notes for whom, and how many programs were busy."""

    def __init__(self, name: str, notes: list[tuple[str, int, int]]) -> None:
        self.name = name
        self._notes = notes
        self._others = len(psutil.Process().children())  # what tests before have started

    def answer_at_once(
        self, conversations: Sequence[Sequence[Message]], max_new_tokens: int
    ) -> tuple[float, list[Answer]]:
        busy = len(psutil.Process().children()) - self._others
        self._notes.append((self.name, len(conversations), busy))
        seconds = 4.0 if busy else 2.0 if self.name == "own" else 1.0
        return seconds, [self.answer(messages, max_new_tokens, "x") for messages in conversations]

    def answer(self, messages: Sequence[Message], max_new_tokens: int, reader: str) -> Answer:  # noqa: ARG002
        return Answer("", max_new_tokens, 1, 0.1, 1.0)


def test_each_round_measures_quiet_and_busy_and_takes_turns() -> None:
    notes: list[tuple[str, int, int]] = []
    own, spinning = NotingTarget("own", notes), NotingTarget("spinning", notes)
    measured = list(busy_of(own, spinning, 2, 8, rounds=2))

    assert [(one.round, one.readers, one.programs) for one in measured] == [
        (number, readers, 2) for number in (0, 1) for readers in READERS
    ]
    assert [(name, busy) for name, _, busy in notes] == [
        *(("own", 0), ("spinning", 0), ("own", 2)) * 2,
        *(("spinning", 0), ("own", 0), ("own", 2)) * 2,
    ]
    assert [readers for _, readers, _ in notes] == [1, 1, 1, 8, 8, 8] * 2


def test_speeds_are_of_all_readers_together() -> None:
    quick = NotingTarget("own", [])
    eight = list(busy_of(quick, NotingTarget("spinning", []), 1, 8, rounds=1))[1]

    assert (eight.quiet, eight.spinning, eight.beside) == (32.0, 64.0, 16.0)


def test_busy_programs_compute_and_end_with_a_failure() -> None:
    processes: list[psutil.Process] = []

    def fail_in_the_middle() -> None:
        with busy_programs(2) as programs:
            processes.extend(psutil.Process(program.pid) for program in programs)
            before = [process.cpu_times().user for process in processes]
            time.sleep(1)
            assert all(process.cpu_times().user > one for process, one in zip(processes, before, strict=True))
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        fail_in_the_middle()
    assert len(processes) == 2
    assert not any(process.is_running() for process in processes)


def test_busy_programs_end_with_who_started_them_however_that_ends() -> None:
    script = (
        "from bench.busy import busy_programs\nwith busy_programs(1) as (one,): print(one.pid, flush=True); input()"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    program = psutil.Process(int(starter.stdout.readline()))
    starter.kill()
    starter.wait()
    ended, left = psutil.wait_procs([program], timeout=20)
    for one in left:
        one.kill()
    starter.communicate()

    assert ended == [program]
