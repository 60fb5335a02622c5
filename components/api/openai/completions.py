"""``POST /v1/completions``."""

from collections.abc import Sequence
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from components.api.generation import GeneratedText, off_the_loop
from components.api.openai.choices import ChoiceWriter, finish_reason, respond
from components.api.openai.completions_request import CompletionRequest
from components.api.openai.logprobs import Piece, text_logprobs
from components.api.openai.models import engine_for
from components.api.openai.response_schemas import TextChoice, TextChunkChoice, TextLogprobs
from components.api.openai.schema_base import read_request
from components.engine.events import Delta, Finished, PromptRead
from components.engine.interface import Engine, GenerationRequest


async def create_completion(request: Request) -> Response:
    """Write a text on, without a chat format.

    What is written out in a text is never a control token; token ids may hold any. With several prompts, the choices
    are the n replies to the first, then those to the next. With echo and logprobs the log probabilities of the
    prompt's tokens are told, too, for which all of it is read, whatever is known of its beginning; with
    "max_tokens": 0 nothing else is.
    """
    body = await read_request(request, CompletionRequest)
    engine = engine_for(body.model)
    wanted = GenerationRequest(
        [],
        body.sampling(engine.info.defaults),
        # The best are found by their log probabilities.
        logprobs=0 if body.logprobs is None and body.written > body.choices else body.logprobs,
        prompt_logprobs=body.logprobs if body.echo else None,
        writes=body.longest != 0,
        origin="v1",
    )
    prompts = [replace(wanted, prompt=prompt) for prompt in body.prompts]
    echoed = [
        await off_the_loop(_text_of, engine, prompt) if body.echo else ""
        for prompt in body.prompts
        for _ in range(body.choices)
    ]
    return await respond(request, engine, body, prompts, CompletionChoiceWriter(echoed, body.logprobs is not None))


class CompletionChoiceWriter(ChoiceWriter):
    """Texts."""

    id_prefix = "cmpl-"
    response_object = chunk_object = "text_completion"

    def __init__(self, echoed: Sequence[str], with_logprobs: bool) -> None:
        """``echoed`` stands before each choice."""
        self._echoed = echoed
        self._with_logprobs = with_logprobs
        self._lengths = [len(text) for text in echoed]  # of what a stream has sent of each choice

    def whole(self, index: int, text: GeneratedText) -> TextChoice:
        """See ``ChoiceWriter.whole``."""
        echoed = self._echoed[index]
        pieces: list[Piece] = [(delta.text, delta.tokens) for delta in text.deltas]
        if text.prompt is not None:
            pieces = [_piece(echoed, text.prompt), *pieces]
        return {
            "index": index,
            "text": echoed + text.text,
            "logprobs": self._logprobs([*pieces, ("", text.finished.tokens)], 0 if text.prompt else len(echoed)),
            "finish_reason": finish_reason(text.finished),
        }

    def opening(self, index: int) -> TextChunkChoice | None:
        """See ``ChoiceWriter.opening``: the prompt, where it is asked for without log probabilities."""
        text = self._echoed[index]
        if self._with_logprobs or not text:
            return None
        return {"index": index, "text": text, "logprobs": None, "finish_reason": None}

    def prompt(self, index: int, prompt: PromptRead) -> TextChunkChoice:
        """See ``ChoiceWriter.prompt``."""
        text = self._echoed[index]
        return {
            "index": index,
            "text": text,
            "logprobs": self._logprobs([_piece(text, prompt)], 0),
            "finish_reason": None,
        }

    def piece(self, index: int, delta: Delta) -> TextChunkChoice:
        """See ``ChoiceWriter.piece``."""
        logprobs = self._logprobs([(delta.text, delta.tokens)], self._lengths[index])
        self._lengths[index] += len(delta.text)
        return {"index": index, "text": delta.text, "logprobs": logprobs, "finish_reason": None}

    def ending(self, index: int, finished: Finished) -> TextChunkChoice:
        """See ``ChoiceWriter.ending``."""
        logprobs = self._logprobs([("", finished.tokens)], self._lengths[index]) if finished.tokens else None
        return {"index": index, "text": "", "logprobs": logprobs, "finish_reason": finish_reason(finished)}

    def _logprobs(self, pieces: Sequence[Piece], offset: int) -> TextLogprobs | None:
        return text_logprobs(pieces, offset) if self._with_logprobs else None


def _piece(text: str, prompt: PromptRead) -> Piece:
    return text, (prompt.first, *prompt.others)


def _text_of(engine: Engine, prompt: str | Sequence[int]) -> str:
    return prompt if isinstance(prompt, str) else engine.detokenize(prompt)
