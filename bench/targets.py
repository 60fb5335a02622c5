"""Who is measured: each writes replies for many threads at once and says how long that took its readers."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from typing import cast

import openai
import torch
from openai.types.chat import ChatCompletionMessageParam
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase, TextIteratorStreamer

from components.engine.events import Delta, Finished
from components.engine.interface import Engine, GenerationRequest
from components.model.chat_format import Message, chat_format_of
from components.model.generation import end_tokens_of
from components.sampling.parameters import SamplingParams

PLAIN, APPLICATION, BATCH = "plain generate", "this application", "generate"

SAMPLING = SamplingParams(temperature=0.3, top_p=0.85, top_k=5, repetition_penalty=1.05)
"""The same for all: Baichuan 2's own."""


def sampling_told() -> str:
    """``SAMPLING`` for people to read."""
    names = ("temperature", "top_p", "top_k", "repetition_penalty")
    return ", ".join(f"{name} {getattr(SAMPLING, name)}" for name in names)


@dataclass(frozen=True)
class Answer:
    """One reply, as its reader saw it.

    ``seconds`` runs from asking to the end, ``first`` from asking to the first text. ``tokens`` counts the reply's
    without the end token (an OpenAI-compatible server may count that), ``prompt_tokens`` what the reply answers.
    """

    text: str
    tokens: int
    prompt_tokens: int
    first: float
    seconds: float


class Target(ABC):
    """Something that writes replies."""

    name: str

    @abstractmethod
    def answer(self, messages: Sequence[Message], max_new_tokens: int, reader: str) -> Answer:
        """Write one reply and read it to its end. May be called from many threads at once."""

    def warm_up(self, tokens: int) -> None:
        """Write a first reply, in which kernels are chosen and memory is taken: it does not count."""
        self.answer([{"role": "user", "content": "Hi"}], tokens, "warm-up")

    def answer_at_once(
        self, conversations: Sequence[Sequence[Message]], max_new_tokens: int
    ) -> tuple[float, list[Answer]]:
        """Each conversation is a reader's, and all ask at the same moment.

        Returns:
            The seconds until the last one was served, and the replies in the order of the conversations.
        """
        together = threading.Barrier(len(conversations) + 1)

        def ask(reader: int) -> Answer:
            together.wait()
            return self.answer(conversations[reader], max_new_tokens, f"reader {reader}")

        with ThreadPoolExecutor(len(conversations)) as pool:
            asked = [pool.submit(ask, reader) for reader in range(len(conversations))]
            together.wait()
            began = time.perf_counter()
            answers = [one.result() for one in asked]
            return time.perf_counter() - began, answers


class GenerateTarget(Target):
    """transformers' ``model.generate``."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, sampling: SamplingParams = SAMPLING
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._format = chat_format_of(tokenizer, model.generation_config)
        self._end_tokens = end_tokens_of(model.generation_config)
        self._sampling = sampling


class PlainTarget(GenerateTarget):
    """Behind a lock, streaming, the whole conversation read at each turn: as tutorials do it."""

    name = PLAIN

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, sampling: SamplingParams = SAMPLING
    ) -> None:
        super().__init__(model, tokenizer, sampling)
        self._lock = threading.Lock()

    def answer(self, messages: Sequence[Message], max_new_tokens: int, reader: str) -> Answer:  # noqa: ARG002 nobody is known
        """See ``Target.answer``."""
        asked = time.perf_counter()
        with self._lock, ThreadPoolExecutor(1) as pool:
            ids = torch.tensor([self._format.encode(messages)], device=self._model.device)
            streamer = TextIteratorStreamer(self._tokenizer, skip_prompt=True, skip_special_tokens=True)
            written = pool.submit(self._generate, ids, max_new_tokens, streamer)
            first, text = None, ""
            for piece in streamer:
                if piece and first is None:
                    first = time.perf_counter() - asked
                text += piece
            tokens = [token for token in written.result() if token not in self._end_tokens]
        seconds = time.perf_counter() - asked
        return Answer(text, len(tokens), ids.shape[1], first or seconds, seconds)

    def _generate(self, ids: torch.Tensor, max_new_tokens: int, streamer: TextIteratorStreamer) -> list[int]:
        config = _generation_config(self._model.generation_config, self._sampling, max_new_tokens)
        try:
            written = self._model.generate(
                ids, attention_mask=torch.ones_like(ids), generation_config=config, streamer=streamer
            )
        except BaseException:
            streamer.end()  # whoever reads it would wait for ever
            raise
        tokens: list[int] = written[0, ids.shape[1] :].tolist()
        return tokens


class BatchTarget(GenerateTarget):
    """With all prompts in one batch, padded on the left: nobody may come later."""

    name = BATCH

    def answer(self, messages: Sequence[Message], max_new_tokens: int, reader: str) -> Answer:  # noqa: ARG002 nobody is known
        """See ``Target.answer``."""
        return self.answer_at_once([messages], max_new_tokens)[1][0]

    def answer_at_once(
        self, conversations: Sequence[Sequence[Message]], max_new_tokens: int
    ) -> tuple[float, list[Answer]]:
        """See ``Target.answer_at_once``. The first text is there at the end: nothing is streamed from a batch."""
        began = time.perf_counter()
        prompts = [self._format.encode(messages) for messages in conversations]
        longest = max(map(len, prompts))
        ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts], device=self._model.device)
        mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        config = _generation_config(self._model.generation_config, self._sampling, max_new_tokens)
        written = self._model.generate(ids, attention_mask=mask.to(ids.device), generation_config=config)
        replies = written[:, longest:].tolist()
        seconds = time.perf_counter() - began
        answers = []
        for prompt, reply in zip(prompts, replies, strict=True):
            tokens = next((place for place, token in enumerate(reply) if token in self._end_tokens), len(reply))
            text = self._tokenizer.decode(reply[:tokens])
            answers.append(Answer(str(text), tokens, len(prompt), seconds, seconds))
        return seconds, answers


def _generation_config(
    checkpoints: GenerationConfig, sampling: SamplingParams, max_new_tokens: int
) -> GenerationConfig:
    config = deepcopy(checkpoints)
    config.max_new_tokens = max_new_tokens
    config.max_length = None
    config.do_sample = sampling.temperature > 0
    config.temperature = sampling.temperature if config.do_sample else None
    config.top_p = sampling.top_p if config.do_sample else None
    config.top_k = sampling.top_k if config.do_sample else None
    config.repetition_penalty = sampling.repetition_penalty
    return config


class EngineTarget(Target):
    """This application's engine, in this process."""

    name = APPLICATION

    def __init__(self, engine: Engine, sampling: SamplingParams = SAMPLING) -> None:
        self._engine = engine
        self._sampling = sampling

    def answer(self, messages: Sequence[Message], max_new_tokens: int, reader: str) -> Answer:
        """See ``Target.answer``."""
        sampling = self._sampling.model_copy(update={"max_new_tokens": max_new_tokens})
        asked = time.perf_counter()
        first, text = None, ""
        with self._engine.generate(GenerationRequest(messages, sampling, reader)) as generation:
            for event in generation:
                match event:
                    case Delta(piece):
                        first = first or time.perf_counter() - asked
                        text += piece
                    case Finished():
                        seconds = time.perf_counter() - asked
                        return Answer(text, event.completion_tokens, event.prompt_tokens, first or seconds, seconds)
        raise AssertionError("an engine's last event is Finished")


class OpenAITarget(Target):
    """A server that speaks OpenAI's API, through OpenAI's own client."""

    def __init__(
        self, url: str, model: str | None = None, key: str | None = None, sampling: SamplingParams = SAMPLING
    ) -> None:
        """Look which model is there, if none is named.

        Args:
            url: with the ``/v1``.
            model: None takes the first one that the server offers.
            key: None where the server wants none.
            sampling: ``top_k`` and ``repetition_penalty`` go in the extra fields that vLLM and this application know.
        """
        self._client = openai.OpenAI(base_url=url, api_key=key or "none", max_retries=0)
        self._model = model or next(iter(self._client.models.list())).id
        self._sampling = sampling
        self.name = f"{self._model} at {url}"

    def answer(self, messages: Sequence[Message], max_new_tokens: int, reader: str) -> Answer:
        """See ``Target.answer``."""
        asked = time.perf_counter()
        first, text, usage = None, "", None
        chunks = self._client.chat.completions.create(
            model=self._model,
            messages=cast("list[ChatCompletionMessageParam]", list(messages)),
            max_tokens=max_new_tokens,
            temperature=self._sampling.temperature,
            top_p=self._sampling.top_p,
            user=reader,
            stream=True,
            stream_options={"include_usage": True},
            extra_body={"top_k": self._sampling.top_k, "repetition_penalty": self._sampling.repetition_penalty},
        )
        for chunk in chunks:
            if chunk.choices and (piece := chunk.choices[0].delta.content):
                first = first or time.perf_counter() - asked
                text += piece
            usage = chunk.usage or usage
        seconds = time.perf_counter() - asked
        if usage is None:
            raise ValueError(f"{self.name} sends no usage with its stream, so its tokens cannot be counted.")
        return Answer(text, usage.completion_tokens, usage.prompt_tokens, first or seconds, seconds)
