"""The thread that owns the model: in each round it lets in who fits, reads parts of prompts, and decodes a token.

A round is: schedule, run, and only then change the sequences. What fails in between has changed nothing, so it is tried
again for each sequence by itself, and only the one at fault fails.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection
from collections.abc import Sequence as ListOf
from typing import Any

import torch

from components.engine.errors import EngineError, EngineNotReadyError, PromptError
from components.engine.events import Finished, FinishReason, Waiting
from components.engine.interface import Load
from components.engine.line.estimates import Estimates, Remaining
from components.engine.local.block_pool import BLOCK, BlockPool, BlockTable, blocks_for
from components.engine.local.reading import Reading
from components.engine.local.runner import Runner
from components.engine.local.scheduler import Scheduler
from components.engine.local.sequence import PIECE, Sequence
from components.engine.receipts import Receipt
from components.sampling.errors import NotNumbersError, SamplingError
from components.sampling.logprobs import logprobs_of
from components.sampling.loops import mildest_penalty
from components.sampling.sampler import SampledToken, Sampler, choose

logger = logging.getLogger(__name__)

RETELL_SECONDS = 1.0
"""Those who wait are told anew how long this often."""

BLOCKS_OF_PIECE = PIECE // BLOCK

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
        self._pool = pool
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
        pool = self._pool
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
        self._pool = BlockPool(self._pool.capacity)
        for sequence in self._scheduler.waiting:
            sequence.told = None

    def _admit(self) -> None:
        """Let in whoever is next, as long as there is room."""
        while True:
            with self._changed:
                sequence = self._scheduler.next_to_begin()
            if sequence is None:
                return
            known = self._read_by_others(sequence)
            table = self._pool.allocate(known, blocks_for(sequence.room) - len(known))
            if table is None:
                return
            with self._changed:
                self._scheduler.begin_next()
            sequence.begin(table, len(known) * BLOCK)
            self._guarded(sequence, self._give_sampler)

    def _give_sampler(self, sequence: Sequence) -> None:
        request, sampling = sequence.request, sequence.request.sampling
        if sampling.top_k >= self._runner.vocabulary:  # no limit, and quicker without one
            sampling = sampling.model_copy(update={"top_k": 0})
        sequence.sampler = Sampler(
            sampling,
            sequence.tokens[: sequence.prompt - len(request.continues)],
            sequence.seed,
            self._runner.device,
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
                    self._use_what_others_read(sequence)
            chosen = self._scheduler.next_prefill()
            if chosen is None:
                return
            left -= self._guarded(chosen, self._prefill_piece) or 1

    def _prefill_piece(self, sequence: Sequence) -> int:
        """Read a sequence's next piece; returns how many tokens that were."""
        assert sequence.table is not None
        begin, end = sequence.computed, sequence.piece_end
        began = time.monotonic()
        piece = sequence.tokens[begin:end]
        if sequence.tells_prompt:
            logits = self._runner.prefill(sequence.table, begin, piece, all_logits=True)
            followers = sequence.tokens[begin + 1 : end + 1]
            counts = [sequence.request.prompt_logprobs or 0] * len(followers)
            read = logprobs_of(logits[: len(followers)], followers, counts)
        elif sequence.reading is not None:
            return self._read_scores(sequence, sequence.reading, end)
        else:
            logits, read = self._runner.prefill(sequence.table, begin, piece)[None], None
        is_last = end == sequence.prompt
        choice = choose(logits[-1:], [_sampler(sequence)])[0] if is_last and sequence.request.writes else None
        self._estimates.note_prefill(end - begin, time.monotonic() - began)
        self._note_computed(sequence, end)
        if read is not None:
            sequence.note_prompt(read)
        if choice is not None:
            self._take(sequence, choice)
        elif is_last:
            self._finish(sequence, "length")
        return end - begin

    def _read_scores(self, sequence: Sequence, reading: Reading, end: int) -> int:
        """Read a piece of a reply that is written already, or of its prompt, with the scores after each token.

        A failure ends it, so it need not be all or nothing. It counts as all that is read in a round: the pieces are
        small because others wait for what is made of all these scores.
        """
        assert sequence.table is not None
        begin, tokens = sequence.computed, sequence.tokens
        piece = tokens[begin:end]
        if begin < reading.reply:
            after, logits = end - 1, self._runner.prefill(sequence.table, begin, piece)[None]
        else:
            after, logits = begin, self._runner.decode_known(sequence.table, begin, piece, sequence.exact)
        unwanted = max(0, reading.first - after)
        if unwanted < len(logits):
            reading.take(logits[unwanted:], after + unwanted, tokens, _sampler(sequence))
        self._note_computed(sequence, end)
        if end == sequence.prompt:
            sequence.generation.put(reading.told())
            self._finish(sequence, "length")
        return PIECE

    def _use_what_others_read(self, sequence: Sequence) -> None:
        assert sequence.table is not None
        for block in self._read_by_others(sequence):
            self._pool.share(sequence.table, sequence.computed // BLOCK, block)
            sequence.computed += BLOCK
            sequence.reused += BLOCK

    def _read_by_others(self, sequence: Sequence) -> list[int]:
        """The blocks with which a sequence could go on; of an exact one those of whole pieces."""
        blocks: list[int] = []
        if self._runner.shares_beginnings:
            for key in sequence.shareable_keys()[sequence.computed // BLOCK :]:
                if (block := self._pool.find(key)) is None:
                    break
                blocks.append(block)
        if sequence.exact:
            return blocks[: len(blocks) // BLOCKS_OF_PIECE * BLOCKS_OF_PIECE]
        if sequence.reading is not None and sequence.computed + len(blocks) * BLOCK < sequence.reading.reply:
            # What is not known of the prompt is read in the pieces in which it was read then, for the same bits.
            return blocks[: max(0, sequence.request.reused - sequence.computed) // BLOCK]
        return blocks

    def _decode(self) -> None:
        """One token for everybody whose prompt is read."""
        ready = [sequence for sequence in self._scheduler.running if not sequence.prefilling]
        if not ready:
            return
        began = time.monotonic()
        try:
            choices = self._decode_step(ready)
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
        self._commit(sequence, self._decode_step([sequence])[0])

    def _decode_step(self, ready: ListOf[Sequence]) -> ListOf[SampledToken | SamplingError]:
        """The next token of each. Changes no sequence, whatever happens."""
        logits = self._runner.decode(
            [sequence.table for sequence in ready if sequence.table is not None],
            [sequence.computed for sequence in ready],
            [sequence.tokens[-1] for sequence in ready],
            [sequence.exact for sequence in ready],
        )
        return choose(logits, [_sampler(sequence) for sequence in ready])

    def _commit(self, sequence: Sequence, choice: SampledToken | SamplingError) -> None:
        self._note_computed(sequence, sequence.computed + 1)
        self._take(sequence, choice)

    def _note_computed(self, sequence: Sequence, computed: int) -> None:
        before, sequence.computed = sequence.computed, computed
        for block, key in sequence.full_blocks(before):
            self._pool.note_full(block, key)

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
        penalty = self._mildest_penalty(sequence) if reason == "loop" else None
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
            self._pool.release(table, keep)

    def _mildest_penalty(self, sequence: Sequence) -> float | None:
        """The mildest repetition penalty that would have led out of the circle that a reply went round in.

        Its last round is read again for the logits at each of its tokens, into blocks of its own, because others may
        use the ones in which it lies.
        """
        assert sequence.table is not None
        assert sequence.loop is not None
        last = len(sequence.tokens) - 1
        first = last - sequence.loop
        begin = first // BLOCK * BLOCK
        scratch = self._pool.allocate([], blocks_for(last) - begin // BLOCK)
        if scratch is None:
            return None
        try:
            table = BlockTable(sequence.table.blocks[: begin // BLOCK], scratch.blocks)
            logits = self._runner.prefill(table, begin, sequence.tokens[begin:last], all_logits=True)[first - begin :]
        finally:
            self._pool.release(scratch)
        above = sequence.request.sampling.repetition_penalty
        return mildest_penalty(logits, sequence.tokens[first + 1 :], sequence.tokens, above)

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


def _sampler(sequence: Sequence) -> Sampler:
    assert sequence.sampler is not None
    return sequence.sampler


def _remaining(sequence: Sequence) -> Remaining:
    return Remaining(sequence.completion_tokens, sequence.request.longest, sequence.unread)


def _explain(error: Exception) -> str:
    if isinstance(error, torch.OutOfMemoryError):
        return "The device ran out of memory for this reply. Shorten the conversation, or start a new one."
    return f"The reply failed ({type(error).__name__}). The details are in the server's log; try again."
