"""The thread that owns the model: in each round it lets in who fits, reads parts of prompts, and decodes a token.

A round is: schedule, run, and only then change the sequences. What fails in between has changed nothing, so it is tried
again for each sequence by itself, and only the one at fault fails.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

import torch

from components.engine.errors import EngineError, EngineNotReadyError, PromptError
from components.engine.events import Finished, FinishReason, Waiting
from components.engine.interface import Load
from components.engine.line.estimates import Estimates, Remaining
from components.engine.local.block_pool import BLOCK, BlockPool
from components.engine.local.computing import Computer
from components.engine.local.runner import Runner
from components.engine.local.scheduler import Scheduler
from components.engine.local.sequence import PIECE, Sequence
from components.engine.receipts import Receipt
from components.sampling.choosing import SampledToken
from components.sampling.errors import NotNumbersError, SamplingError
from components.sampling.sampler import Sampler

logger = logging.getLogger(__name__)

RETELL_SECONDS = 1.0
"""Those who wait are told anew how long this often."""

FAILURES_IN_A_ROW = 3
"""After so many replies that failed, with none between them that did not, the engine says that it is broken."""


class Worker:
    """Writes the replies of one engine. Its methods may be called from any thread.

    Nothing slow happens under its lock: the event loop takes it to cancel.

    Attributes:
        failure: why replies fail, all of them, for people; None while they do not.
        lost: whether they will until the process ends.
    """

    def __init__(
        self,
        runner: Runner,
        pool: BlockPool,
        end_tokens: Collection[int],
        max_batch: int,
        max_seconds: float | None,
        receipt_of: Callable[[Sequence], Receipt],
    ) -> None:
        """Start the thread.

        Args:
            runner: runs the model; its memory is reserved.
            pool: of the blocks in that memory.
            end_tokens: those that end a reply.
            max_batch: sequences at once.
            max_seconds: how long a reply may take from when its turn came; None sets no limit.
            receipt_of: what is told of a reply at its end.
        """
        self.failure: str | None = None
        self.lost = False
        self._runner = runner
        self._computer = Computer(runner, pool)
        self._end_tokens = end_tokens
        self._max_seconds = max_seconds
        self._receipt_of = receipt_of
        self._estimates = Estimates()
        self._scheduler = Scheduler(max_batch)
        self._changed = threading.Condition()  # its lock is for the scheduler and ``_closed``
        self._closed = False
        self._told_at = 0.0
        self._failed_in_a_row = 0
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    def submit(self, sequence: Sequence, check: Callable[[int, int], None]) -> None:
        """Put a sequence into the line.

        Args:
            sequence: new.
            check: called with how many wait already and how many places are free; may raise to refuse it.

        Raises:
            EngineError: the engine was shut down.
            EngineNotReadyError: the device is lost.
        """
        if self.lost:
            raise EngineNotReadyError(self.failure or "")
        with self._changed:
            if self._closed:
                raise EngineError("The engine was shut down. Start the application again.")
            check(self._scheduler.waiting_count, self._scheduler.free_places)
            self._scheduler.add(sequence)
            self._changed.notify()

    def wake(self) -> None:
        """Somebody's reply was cancelled: look."""
        with self._changed:
            self._changed.notify()

    def load(self) -> Load:
        """How busy it is."""
        with self._changed:
            active, waiting = len(self._scheduler.running), self._scheduler.waiting_count
        pool = self._computer.pool
        return Load(active, waiting, pool.used * BLOCK, pool.idle * BLOCK, pool.capacity * BLOCK)

    def close(self) -> None:
        """Cancel everything and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    # What follows runs in the thread.

    def _work(self) -> None:
        while not self._closed:
            try:
                self._serve()
            except Exception:  # the thread's edge: whatever happened, those who come next are served
                logger.exception("The engine's worker failed and starts again")
                self._start_again()
        for sequence in list(self._scheduler):
            self._finish(sequence, "cancelled")

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or len(self._scheduler))
                if self._closed:
                    return
                everybody = list(self._scheduler)
            for sequence in everybody:
                if sequence.generation.cancelled:
                    self._finish(sequence, "cancelled")
                elif self._max_seconds is not None and sequence.seconds > self._max_seconds:
                    self._finish(sequence, "time")
            self._admit()
            self._tell_waiting()
            self._prefill()
            self._decode()

    def _start_again(self) -> None:
        """Tell those whose replies were under way; those who wait stay in line."""
        error = EngineError("The engine had to start again. Ask again; what was written is kept.")
        for sequence in list(self._scheduler.running):
            sequence.table = None  # whatever state the pool is in
            self._leave(sequence)
            sequence.generation.put(error)
        self._computer.start_again()
        for sequence in self._scheduler.waiting:
            sequence.told = None

    def _admit(self) -> None:
        """Let in whoever is next, as long as there is room."""
        while True:
            with self._changed:
                sequence = self._scheduler.next_to_begin()
            if sequence is None:
                return
            if not self._computer.begin(sequence):
                return
            with self._changed:
                self._scheduler.begin_next()
            self._guarded(sequence, self._give_sampler)

    def _give_sampler(self, sequence: Sequence) -> None:
        request, sampling = sequence.request, sequence.request.sampling
        if sampling.top_k >= self._runner.vocabulary:  # no limit, and quicker without one
            sampling = sampling.model_copy(update={"top_k": 0})
        sequence.sampler = Sampler(
            sampling,
            sequence.tokens[: sequence.prompt - len(request.continues)],
            sequence.seed,
            sequence.grammar,
            request.logprobs,
            self._end_tokens,
            request.kept_scores,
        )
        if sequence.reading is not None:
            sequence.reading.begin(sequence.sampler, request.continues)
            return
        for token in request.continues:
            sequence.sampler.note(token)

    def _tell_waiting(self) -> None:
        """Tell those who wait how many are before them and how long it takes, when that has changed."""
        with self._changed:
            running, waiting = list(self._scheduler.running), self._scheduler.waiting
        now = time.monotonic()
        if now - self._told_at < RETELL_SECONDS and all(sequence.told for sequence in waiting):
            return
        self._told_at = now
        begins = self._estimates.seconds_until(
            [_remaining(one) for one in running], [_remaining(one) for one in waiting]
        )
        for ahead, (sequence, seconds) in enumerate(zip(waiting, begins, strict=True)):
            told = (ahead, None if seconds is None else round(seconds))
            if told != sequence.told:
                sequence.told = told
                sequence.generation.put(Waiting(ahead, seconds))

    def _prefill(self) -> None:
        """Read about ``PIECE`` tokens of the prompts that are still to be read, each in its turn."""
        left = PIECE
        while left > 0:
            # First, so that those who wait for the same piece stand at the same place and one of them reads it.
            for sequence in self._scheduler.running:
                if sequence.prefilling:
                    self._computer.use_what_others_read(sequence)
            chosen = self._scheduler.next_prefill()
            if chosen is None:
                return
            left -= self._guarded(chosen, self._prefill_piece) or 1

    def _prefill_piece(self, sequence: Sequence) -> int:
        """Read a sequence's next piece; returns how many tokens that counts as in a round."""
        began, before = time.monotonic(), sequence.computed
        counted, choice = self._computer.read_piece(sequence)
        if sequence.reading is None:
            self._estimates.note_prefill(sequence.computed - before, time.monotonic() - began)
        if choice is not None:
            self._take(sequence, choice)
        elif not sequence.prefilling:
            self._finish(sequence, "length")
        return counted

    def _decode(self) -> None:
        """One token for everybody whose prompt is read."""
        ready = [sequence for sequence in self._scheduler.running if not sequence.prefilling]
        if not ready:
            return
        began = time.monotonic()
        try:
            choices = self._computer.decode(ready)
        except Exception:  # somebody's reply fails; find out whose, so that the others go on
            logger.exception("A step failed; trying each reply by itself")
            self._free_scratch()
            for sequence in ready:
                if sequence.table is not None:  # else all were given up meanwhile
                    self._guarded(sequence, self._decode_alone)
            return
        self._estimates.note_step(time.monotonic() - began, len(ready))
        for sequence, choice in zip(ready, choices, strict=True):
            self._guarded(sequence, self._commit, choice)

    def _decode_alone(self, sequence: Sequence) -> None:
        self._commit(sequence, self._computer.decode([sequence])[0])

    def _commit(self, sequence: Sequence, choice: SampledToken | SamplingError) -> None:
        self._computer.note_computed(sequence, sequence.computed + 1)
        self._take(sequence, choice)

    def _take(self, sequence: Sequence, choice: SampledToken | SamplingError) -> None:
        if isinstance(choice, SamplingError):
            raise choice
        if reason := sequence.take(choice, self._end_tokens):
            self._finish(sequence, reason)

    def _guarded(self, sequence: Sequence, action: Callable[..., Any], *arguments: Any) -> Any:
        """Do something for one reply; if it fails, only that reply fails."""
        try:
            return action(sequence, *arguments)
        except SamplingError as error:
            ours = isinstance(error, NotNumbersError)
            self._fail(sequence, EngineError(str(error)) if ours else PromptError(str(error)), ours=ours)
        except Exception as error:  # one bad reply must not end the others
            logger.exception("A reply failed")
            self._free_scratch()
            if self._device_answers():
                self._fail(sequence, EngineError(_explain(error)))
            else:
                self._give_up(error)
        return None

    def _finish(self, sequence: Sequence, reason: FinishReason) -> None:
        if reason in ("stop", "length") and sequence.request.writes:
            self._estimates.note_reply(sequence.completion_tokens)
        if sequence.completion_tokens and not self.lost:
            self._failed_in_a_row, self.failure = 0, None
        penalty = self._computer.mildest_penalty(sequence) if reason == "loop" else None
        self._leave(sequence)
        now = time.monotonic()
        sequence.finish(
            Finished(
                reason=reason,
                prompt_tokens=sequence.prompt,
                completion_tokens=sequence.completion_tokens,
                seconds=now - sequence.asked_at,
                time_to_first_token=sequence.first_token_at - sequence.asked_at if sequence.first_token_at else None,
                reused_tokens=sequence.reused,
                suggested_penalty=penalty,
                receipt=self._receipt_of(sequence),
                waited=(now if sequence.began_at is None else sequence.began_at) - sequence.asked_at,
            )
        )

    def _fail(self, sequence: Sequence, error: EngineError, ours: bool = True) -> None:
        """End a reply with an error. What a request is to blame for says nothing of the engine."""
        self._leave(sequence, keep=False)
        self._failed_in_a_row += ours
        if self._failed_in_a_row >= FAILURES_IN_A_ROW and not self.lost:
            self.failure = f"The last {FAILURES_IN_A_ROW} replies failed. {error}"
        sequence.generation.put(error)

    def _leave(self, sequence: Sequence, keep: bool = True) -> None:
        """Free the reply's place and its memory."""
        with self._changed:
            self._scheduler.remove(sequence)
        table, sequence.table = sequence.table, None
        if table is not None:
            self._computer.pool.release(table, keep)

    def _free_scratch(self) -> None:
        """If it was memory: what the allocator keeps for later is given back before the next try."""
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _device_answers(self) -> bool:
        try:
            torch.ones(1, device=self._runner.device).sum().item()
        except Exception:  # whatever it says, it does not compute
            logger.exception("The device does not answer any more")
            return False
        return True

    def _give_up(self, error: Exception) -> None:
        """After a device-side error a GPU answers nothing until the process ends: nobody need wait for it."""
        self.failure = f"The device failed ({type(error).__name__}) and answers nothing more. Restart the server."
        self.lost = True
        for sequence in list(self._scheduler):
            self._fail(sequence, EngineNotReadyError(self.failure))


def _remaining(sequence: Sequence) -> Remaining:
    return Remaining(sequence.completion_tokens, sequence.request.longest, sequence.unread)


def _explain(error: Exception) -> str:
    if isinstance(error, torch.OutOfMemoryError):
        return "The device ran out of memory for this reply. Shorten the conversation, or start a new one."
    return f"The reply failed ({type(error).__name__}). The details are in the server's log; try again."
