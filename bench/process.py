"""A target in a process of its own, as it is when it serves.

Threads that have computed something keep helpers that wait for more. With more of them in a process than there are
cores, OpenMP lets them sleep sooner, and every operator gets slower: two targets in one process, or one whose model
was loaded by a thread that lives on, would not be measured as they are when they serve.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from bench.targets import Answer, Target
from components.model.chat_format import Message

Result = TypeVar("Result")


def spawn() -> ProcessPoolExecutor:
    """A fresh process for one job after the other."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def in_ended_thread(load: Callable[[], Result]) -> Result:
    """Load something as the server does, in a thread that ends with it."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(load).result()


@dataclass(frozen=True)
class Loaded:
    """A target, and in which type of number it runs the model. ``close`` ends it."""

    target: Target
    dtype: str
    close: Callable[[], None] = lambda: None


class ProcessTarget(Target):
    """Asks a target that lives in a process of its own; its times are measured there."""

    def __init__(self, load: Callable[[], Loaded], env: Mapping[str, str] | None = None) -> None:
        """Load the target.

        Args:
            load: is pickled: a function of a module, or a ``functools.partial`` of one.
            env: variables of the process, which libraries read when they are loaded, beside those of this one.
        """
        self._process = spawn()
        try:
            with _environment(env or {}):  # it begins with the first job
                loading = self._process.submit(_load, load)
            self.name, self.dtype = loading.result()
        except BaseException:
            self._process.shutdown()
            raise

    def answer(self, messages: Sequence[Message], max_new_tokens: int, reader: str) -> Answer:
        """See ``Target.answer``."""
        return self._process.submit(_answer, messages, max_new_tokens, reader).result()

    def answer_at_once(
        self, conversations: Sequence[Sequence[Message]], max_new_tokens: int
    ) -> tuple[float, list[Answer]]:
        """See ``Target.answer_at_once``."""
        return self._process.submit(_answer_at_once, conversations, max_new_tokens).result()

    def close(self) -> None:
        """End the target and its process."""
        self._process.submit(_close).result()
        self._process.shutdown()


@contextmanager
def warm_targets(
    loads: Iterable[tuple[Callable[[], Loaded], Mapping[str, str]]], reply_tokens: int
) -> Iterator[list[ProcessTarget]]:
    """Targets, each with variables of its own, that have written a first reply already; closed at the end."""
    with ExitStack() as stack:
        targets = []
        for load, env in loads:
            targets.append(target := ProcessTarget(load, env))
            stack.callback(target.close)
            target.warm_up(reply_tokens)
        yield targets


@contextmanager
def _environment(env: Mapping[str, str]) -> Iterator[None]:
    """This process's variables, and what begins meanwhile has them for good."""
    before = dict(os.environ)
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


# What follows runs in the target's process.

_loaded: list[Loaded] = []


def _load(load: Callable[[], Loaded]) -> tuple[str, str]:
    _loaded.append(loaded := in_ended_thread(load))
    return loaded.target.name, loaded.dtype


def _answer(messages: Sequence[Message], max_new_tokens: int, reader: str) -> Answer:
    return _loaded[0].target.answer(messages, max_new_tokens, reader)


def _answer_at_once(conversations: Sequence[Sequence[Message]], max_new_tokens: int) -> tuple[float, list[Answer]]:
    return _loaded[0].target.answer_at_once(conversations, max_new_tokens)


def _close() -> None:
    _loaded.pop().close()
