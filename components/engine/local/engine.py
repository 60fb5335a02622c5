"""The model in this process, writing many replies at once (continuous batching).

One worker thread goes round: let in who fits, read a piece of the prompts of those who are new, write one token for
everybody else. A reply begins as soon as there is memory for it and never waits for another one to end.

transformers has continuous batching of its own. It is not used because its step is slow where this application is
tried out: on two cores with the 135M demo model it writes 20 tokens/s for one reader and 56 for eight, of which the
model's forward pass in many small operators takes four fifths. docs/engine.md has the figures.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from components.engine.errors import EngineError, PromptError, SchemaError
from components.engine.events import Finished, FinishReason, Waiting
from components.engine.interface import Engine, EngineInfo, Generation, GenerationRequest, Load
from components.engine.line.estimates import Estimates, Work
from components.engine.line.fair_queue import FairQueue, check_line
from components.engine.local.decoder import Decoder
from components.engine.local.penalty import mildest_penalty
from components.engine.local.prefix_cache import CachePool
from components.engine.local.sequence import Writing
from components.engine.receipts import Receipt, installed_versions
from components.model.chat_format import Message, MessagesError, Prompt, chat_format_of, split_system
from components.model.generation import end_tokens_of
from components.sampling.grammar import GrammarError, Grammars
from components.sampling.parameters import SamplingParams
from components.sampling.sampler import Choice, choose
from components.settings import Settings

logger = logging.getLogger(__name__)

CHUNK = 256
"""Tokens of prompts that are read between two steps of writing. Others' streams pause for as long as that takes."""

RETELL_SECONDS = 1.0
"""Those who wait are told anew how long this often."""


class LocalEngine(Engine):
    """Writes up to ``max_batch`` replies at once; more wait in a line in which the visitors take turns."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        decoder: Decoder,
        info: EngineInfo,
        capacity: int,
        settings: Settings,
    ) -> None:
        """Start the worker.

        Args:
            model: only its generation config and device are used.
            tokenizer: the model's.
            decoder: runs the model.
            info: what is running; its defaults and context length hold for every request.
            capacity: tokens in all caches together.
            settings: how many replies at once, how many in line, and how long one may take.
        """
        super().__init__()
        self.info = info
        self._tokenizer = tokenizer
        self._device = model.device
        self._decoder = decoder
        self._chat_format = chat_format_of(tokenizer, model.generation_config)
        self._end_tokens = end_tokens_of(model.generation_config)
        self._vocabulary: int = model.config.get_text_config().vocab_size
        self._grammars = Grammars(tokenizer, self._vocabulary, self._end_tokens)
        self._pool = CachePool(decoder, capacity)
        self._max_batch = settings.max_batch
        self._max_queue = settings.max_queue
        self._max_seconds = settings.max_reply_seconds
        self._versions = installed_versions()
        self._estimates = Estimates()
        self._waiting: FairQueue[Writing] = FairQueue()
        self._active: list[Writing] = []
        self._told_at = 0.0
        self._changed = threading.Condition(threading.RLock())
        self._closed = False
        self._worker = threading.Thread(target=self._work, name="engine", daemon=True)
        self._worker.start()

    def build_prompt(self, messages: Sequence[Message], max_new_tokens: int) -> Prompt:
        """See ``Engine.build_prompt``."""
        room = self.room_for_prompt(max_new_tokens)
        try:
            return self._chat_format.build_prompt(messages, room)
        except MessagesError as error:
            raise PromptError(str(error)) from error

    def tokenize(self, text: str | Sequence[Message]) -> list[int]:
        """See ``Engine.tokenize``."""
        if isinstance(text, str):
            return self._chat_format.encode_text(text)
        try:
            split_system(text)
            return self._chat_format.encode(text)
        except MessagesError as error:
            raise PromptError(str(error)) from error

    def detokenize(self, tokens: Sequence[int]) -> str:
        """See ``Engine.detokenize``."""
        self._check_tokens(tokens)
        return str(self._tokenizer.decode(list(tokens)))

    def _start(self, request: GenerationRequest, generation: Generation) -> None:
        prompt = self._prompt_of(request)
        schema = request.sampling.json_schema
        try:
            grammar = self._grammars.compile(schema) if schema is not None else None
        except GrammarError as error:
            raise SchemaError(str(error)) from error
        generation.on_cancel = self._wake
        writing = Writing(request, prompt, generation, self._tokenizer, grammar)
        with self._changed:
            if self._closed:
                raise EngineError("The engine was shut down. Start the application again.")
            check_line(request.origin, len(self._waiting), self._max_batch - len(self._active), self._max_queue)
            self._waiting.push(request.visitor, writing)
            self._changed.notify()

    def _prompt_of(self, request: GenerationRequest) -> list[int]:
        """The tokens to read, if the reply fits behind them."""
        longest = request.sampling.max_new_tokens
        if request.prompt is None:
            prompt = self.build_prompt(request.messages, longest)
            input_ids, fits = prompt.input_ids, not prompt.too_long
        else:
            input_ids = self.tokenize(request.prompt) if isinstance(request.prompt, str) else list(request.prompt)
            self._check_tokens(input_ids)
            fits = len(input_ids) + longest <= self.info.context_length
        if not input_ids:
            raise PromptError("The prompt is empty: send at least one token.")
        if not fits:
            raise self.too_long(longest)
        return input_ids

    def _check_tokens(self, tokens: Sequence[int]) -> None:
        if unknown := [token for token in tokens if not 0 <= token < self._vocabulary]:
            raise PromptError(f"{unknown[0]} is no token: ids run from 0 to {self._vocabulary - 1}.")

    def load(self) -> Load:
        """See ``Engine.load``."""
        with self._changed:
            return Load(len(self._active), len(self._waiting), self._pool.used, self._pool.idle, self._pool.capacity)

    def close(self) -> None:
        """See ``Engine.close``."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._worker.join()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify()

    # What follows runs in the worker.

    def _work(self) -> None:
        while not self._closed:
            try:
                self._serve()
            except Exception:  # the worker's edge: whatever happened, those who come next are served
                logger.exception("The engine's worker failed and starts again")
                self._start_again()
        for writing in [*self._active, *self._waiting]:
            self._finish(writing, "cancelled")

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._active or len(self._waiting))
                if self._closed:
                    return
                waiting = list(self._waiting)
            for writing in [*self._active, *waiting]:
                if writing.generation.cancelled:
                    self._finish(writing, "cancelled")
                elif self._max_seconds is not None and writing.seconds > self._max_seconds:
                    self._finish(writing, "time")
            self._tell_waiting(self._admit())
            self._read()
            self._write()

    def _start_again(self) -> None:
        """Tell those whose replies were under way; those who wait stay in line."""
        for writing in list(self._active):
            self._fail(writing, EngineError("The engine had to start again. Ask again; what was written is kept."))
        self._pool = CachePool(self._decoder, self._pool.capacity)
        for writing in self._waiting:
            writing.told = None

    def _admit(self) -> list[Writing]:
        """Let in whoever is next, as long as there is room, and return who must wait.

        Who is next is not overtaken by somebody smaller.
        """
        with self._changed:
            while len(self._waiting):
                writing = next(iter(self._waiting))
                if len(self._active) >= self._max_batch or not self._pool.has_room(writing.room):
                    break
                self._waiting.pop()
                self._active.append(writing)
                self._guarded(writing, self._begin)
            return list(self._waiting)

    def _begin(self, writing: Writing) -> None:
        writing.begin(self._pool.acquire(writing.prompt, writing.room, reuse=not writing.exact), self._device)

    def _tell_waiting(self, waiting: Sequence[Writing]) -> None:
        """Tell those who wait how many are before them and how long it takes, when that has changed."""
        now = time.monotonic()
        if now - self._told_at < RETELL_SECONDS and all(writing.told for writing in waiting):
            return
        self._told_at = now
        begins = self._estimates.seconds_until(
            [Work(len(one.tokens), one.request.sampling.max_new_tokens, one.unread) for one in self._active],
            [Work(0, one.request.sampling.max_new_tokens, one.unread) for one in waiting],
        )
        for ahead, (writing, seconds) in enumerate(zip(waiting, begins, strict=True)):
            told = (ahead, None if seconds is None else round(seconds))
            if told != writing.told:
                writing.told = told
                writing.generation.put(Waiting(ahead, seconds))

    def _read(self) -> None:
        """Prefill: read up to ``CHUNK`` tokens of the prompts that are still to be read, the oldest request first."""
        left = CHUNK
        for writing in [one for one in self._active if one.reading]:
            while left > 0 and writing in self._active and writing.reading:
                assert writing.lease is not None
                begin = writing.lease.cache.length
                end = min(len(writing.prompt), begin + CHUNK)
                left -= end - begin
                self._guarded(writing, self._read_piece, begin, end)

    def _read_piece(self, writing: Writing, begin: int, end: int) -> None:
        assert writing.lease is not None
        assert writing.sampler is not None
        began = time.monotonic()
        logits = self._decoder.prefill(writing.lease.cache, writing.prompt[begin:end])
        self._estimates.note_prefill(end - begin, time.monotonic() - began)
        if end == len(writing.prompt):
            self._take(writing, choose(logits[None], [writing.sampler])[0])

    def _write(self) -> None:
        """Decode: one token for everybody whose prompt is read."""
        ready = [writing for writing in self._active if not writing.reading]
        if not ready:
            return
        began = time.monotonic()
        try:
            choices = self._decode(ready)
        except Exception:  # somebody's reply fails; find out whose, so that the others go on
            logger.exception("A step failed; trying each reply by itself")
            self._pool.drop_idle()  # if it was memory
            for writing in ready:
                self._guarded(writing, self._write_alone)
            return
        self._estimates.note_step(time.monotonic() - began, len(ready))
        for writing, choice in zip(ready, choices, strict=True):
            self._guarded(writing, self._take, choice)

    def _write_alone(self, writing: Writing) -> None:
        self._take(writing, self._decode([writing])[0])

    def _decode(self, ready: Sequence[Writing]) -> list[Choice]:
        leases = [writing.lease for writing in ready if writing.lease is not None]
        samplers = [writing.sampler for writing in ready if writing.sampler is not None]
        logits = self._decoder.decode(
            [lease.cache for lease in leases],
            [writing.tokens[-1] for writing in ready],
            [writing.exact for writing in ready],
        )
        return choose(logits, samplers)

    def _guarded(self, writing: Writing, action: Callable[..., None], *arguments: Any) -> None:
        """Do something for one reply; if it fails, only that reply fails."""
        try:
            action(writing, *arguments)
        except Exception as error:  # one bad reply must not end the others
            logger.exception("A reply failed")
            self._fail(writing, EngineError(_explain(error)))

    def _take(self, writing: Writing, choice: Choice) -> None:
        if reason := writing.take(choice, self._end_tokens):
            self._finish(writing, reason)

    def _finish(self, writing: Writing, reason: FinishReason) -> None:
        if reason in ("stop", "length"):
            self._estimates.note_reply(len(writing.tokens))
        penalty = mildest_penalty(self._decoder, writing) if reason == "loop" else None
        reused = writing.lease.reused if writing.lease else 0
        self._leave(writing)
        now = time.monotonic()
        writing.finish(
            Finished(
                reason=reason,
                prompt_tokens=len(writing.prompt),
                completion_tokens=len(writing.tokens),
                seconds=now - writing.asked_at,
                time_to_first_token=writing.first_token_at - writing.asked_at if writing.first_token_at else None,
                reused_tokens=reused,
                suggested_penalty=penalty,
                receipt=self._receipt(writing, reused),
            )
        )

    def _fail(self, writing: Writing, error: EngineError) -> None:
        self._leave(writing, keep=False)
        writing.generation.put(error)

    def _leave(self, writing: Writing, keep: bool = True) -> None:
        """Free the reply's place and its memory."""
        with self._changed:
            if writing in self._active:
                self._active.remove(writing)
            self._waiting.remove(writing)
            lease, writing.lease = writing.lease, None
            if lease is not None:
                self._pool.release(lease, keep)

    def _receipt(self, writing: Writing, reused: int) -> Receipt:
        return Receipt(
            messages=list(writing.request.messages),
            prompt=writing.request.prompt,
            tokens=tuple(writing.tokens),
            sampling=writing.request.sampling.model_copy(update={"seed": writing.seed}),
            exact=writing.exact,
            reused=reused,
            model=self.info.model,
            weights=self.weights or "not known yet",
            device=self.info.device,
            dtype=self.info.dtype,
            engine=self.info.engine,
            versions=self._versions,
        )


def defaults_of(config: GenerationConfig, context_length: int) -> SamplingParams:
    """The checkpoint's defaults, as far as they fit the context."""
    return SamplingParams.from_generation_config(config).fitting(context_length)


def _explain(error: Exception) -> str:
    if isinstance(error, torch.OutOfMemoryError):
        return "The device ran out of memory for this reply. Shorten the conversation, or start a new one."
    return f"The reply failed ({type(error).__name__}). The details are in the server's log; try again."
