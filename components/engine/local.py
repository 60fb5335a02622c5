"""The model in this process, one reply at a time; the others wait in line."""

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Sequence

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from components.engine.errors import EngineError, PromptError, QueueFullError
from components.engine.interface import (
    Delta,
    Engine,
    EngineInfo,
    Finished,
    FinishReason,
    Generation,
    GenerationRequest,
    Waiting,
)
from components.engine.sampling import MAX_SEED, SamplingParams
from components.model.chat_format import Message, MessagesError, Prompt, chat_format_of
from components.model.detokenizer import IncrementalDetokenizer
from components.model.generation import context_length_of, generate_tokens

logger = logging.getLogger(__name__)


class LocalEngine(Engine):
    """Writes replies in one worker thread, in the order in which they were asked for."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        name: str,
        is_demo: bool = False,
        max_queue: int = 64,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._chat_format = chat_format_of(tokenizer, model.generation_config)
        self._max_queue = max_queue
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        context_length = context_length_of(model)
        self.info = EngineInfo(
            model=name,
            is_demo=is_demo,
            device=_device_name(model.device),
            dtype=str(model.dtype).removeprefix("torch."),
            context_length=context_length,
            defaults=_defaults(model.generation_config, context_length),
        )
        self._worker = threading.Thread(target=self._work, name="engine", daemon=True)
        self._worker.start()

    def build_prompt(self, messages: Sequence[Message], max_new_tokens: int) -> Prompt:
        """See ``Engine.build_prompt``."""
        room = self.info.context_length - max_new_tokens
        if room < 1:
            raise PromptError(
                f"max_new_tokens={max_new_tokens} leaves no room for a question: "
                f"the context is {self.info.context_length} tokens. Ask for a shorter reply."
            )
        try:
            return self._chat_format.build_prompt(messages, room)
        except MessagesError as error:
            raise PromptError(str(error)) from error

    def generate(self, request: GenerationRequest) -> Generation:
        """See ``Engine.generate``."""
        prompt = self.build_prompt(request.messages, request.sampling.max_new_tokens)
        if prompt.too_long:
            room = self.info.context_length - request.sampling.max_new_tokens
            raise PromptError(
                f"The message is too long: it may have {room} tokens when the reply may have "
                f"{request.sampling.max_new_tokens} and the context is {self.info.context_length}. "
                "Shorten it, or ask for a shorter reply."
            )
        job = _Job(prompt, request.sampling)
        with self._changed:
            if self._closed:
                raise EngineError("The engine was shut down. Start the application again.")
            if len(self._jobs) > self._max_queue:
                raise QueueFullError(f"{self._max_queue} replies are waiting already. Try again in a minute.")
            self._jobs.append(job)
            if len(self._jobs) > 1:
                job.generation.put(Waiting(len(self._jobs) - 1))
            self._changed.notify()
        return job.generation

    def close(self) -> None:
        """See ``Engine.close``."""
        with self._changed:
            self._closed = True
            for job in self._jobs:
                job.generation.cancel()
            self._changed.notify()
        self._worker.join()

    def _work(self) -> None:
        while (job := self._next_job()) is not None:
            try:
                self._write(job)
            except Exception as error:  # the worker's edge: one bad reply must not end the others
                logger.exception("A reply failed")
                job.generation.put(EngineError(_explain(error)))
            finally:
                self._leave(job)

    def _next_job(self) -> "_Job | None":
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closed)
            return self._jobs[0] if self._jobs else None

    def _leave(self, done: "_Job") -> None:
        with self._changed:
            self._jobs.remove(done)
            for ahead, job in enumerate(self._jobs):
                job.generation.put(Waiting(ahead))

    def _write(self, job: "_Job") -> None:
        """Write one reply, unless nobody wants it any more."""
        generation = job.generation
        detokenizer = IncrementalDetokenizer(self._tokenizer)
        tokens = generate_tokens(
            self._model,
            torch.tensor([job.prompt.input_ids]),
            _generation_config(job.sampling, self._model.generation_config),
            seed=secrets.randbelow(MAX_SEED) if job.sampling.seed is None else job.sampling.seed,
        )
        count = 0
        first_token_at: float | None = None
        reason: FinishReason = "cancelled"
        while not generation.cancelled:
            try:
                token = next(tokens)
            except StopIteration as end:
                reason = end.value
                break
            count += 1
            first_token_at = first_token_at or time.monotonic()
            if text := detokenizer.push(token):
                generation.put(Delta(text))
        if rest := detokenizer.finish():
            generation.put(Delta(rest))
        generation.put(
            Finished(
                reason=reason,
                prompt_tokens=len(job.prompt.input_ids),
                completion_tokens=count,
                seconds=time.monotonic() - job.asked_at,
                time_to_first_token=first_token_at - job.asked_at if first_token_at else None,
            )
        )


class _Job:
    def __init__(self, prompt: Prompt, sampling: SamplingParams) -> None:
        self.prompt = prompt
        self.sampling = sampling
        self.generation = Generation()
        self.asked_at = time.monotonic()


def _defaults(config: GenerationConfig, context_length: int) -> SamplingParams:
    """The checkpoint's defaults; a reply may fill half of a small context at most, so that a question fits."""
    defaults = SamplingParams.from_generation_config(config)
    return defaults.model_copy(update={"max_new_tokens": min(defaults.max_new_tokens, context_length // 2)})


def _generation_config(sampling: SamplingParams, of_checkpoint: GenerationConfig) -> GenerationConfig:
    return GenerationConfig(
        do_sample=sampling.temperature > 0,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        repetition_penalty=sampling.repetition_penalty,
        max_new_tokens=sampling.max_new_tokens,
        eos_token_id=of_checkpoint.eos_token_id,
    )


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _explain(error: Exception) -> str:
    if isinstance(error, torch.OutOfMemoryError):
        return "The device ran out of memory for this reply. Shorten the conversation, or start a new one."
    return f"The reply failed ({type(error).__name__}). The details are in the server's log; try again."
