"""``POST /v1/completions``."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from components.api.openai.answering import answer
from components.api.openai.answers import TextChoice, TextChunkChoice, TextLogprobs
from components.api.openai.body import read_call
from components.api.openai.calls import CompletionCall
from components.api.openai.form import Form, finish_reason
from components.api.openai.logprobs import text_logprobs
from components.api.openai.running import running_engine
from components.api.reading import Reply
from components.api.starting import off_the_loop
from components.engine.events import Delta, Finished
from components.engine.interface import Engine, GenerationRequest


async def create_completion(request: Request) -> Response:
    """Write a text on, without a chat format.

    What is written out in a text is never a control token; token ids may hold any. With several prompts, the choices
    are the n replies to the first, then those to the next.
    """
    call = await read_call(request, CompletionCall)
    engine = running_engine(call.model)
    sampling = call.sampling(engine.info.defaults)
    prompts = [
        GenerationRequest([], sampling, prompt=prompt, logprobs=call.logprobs, origin="v1") for prompt in call.prompts
    ]
    echoed = [
        await off_the_loop(_text_of, engine, prompt) if call.echo else ""
        for prompt in call.prompts
        for _ in range(call.choices)
    ]
    return await answer(request, engine, call, prompts, CompletionForm(echoed, call.logprobs is not None))


class CompletionForm(Form):
    """Texts."""

    id_prefix = "cmpl-"
    answer_object = chunk_object = "text_completion"

    def __init__(self, echoed: Sequence[str], with_logprobs: bool) -> None:
        """``echoed`` stands before each choice."""
        self._echoed = echoed
        self._with_logprobs = with_logprobs
        self._lengths = [0] * len(echoed)  # of what a stream has sent of each choice

    def whole(self, index: int, reply: Reply) -> TextChoice:
        """See ``Form.whole``."""
        return {
            "index": index,
            "text": self._echoed[index] + reply.text,
            "logprobs": self._logprobs(reply.deltas, 0),
            "finish_reason": finish_reason(reply.finished),
        }

    def opening(self, index: int) -> TextChunkChoice | None:
        """See ``Form.opening``: the prompt, where it is asked for."""
        text = self._echoed[index]
        return {"index": index, "text": text, "logprobs": None, "finish_reason": None} if text else None

    def piece(self, index: int, delta: Delta) -> TextChunkChoice:
        """See ``Form.piece``."""
        logprobs = self._logprobs([delta], self._lengths[index])
        self._lengths[index] += len(delta.text)
        return {"index": index, "text": delta.text, "logprobs": logprobs, "finish_reason": None}

    def ending(self, index: int, finished: Finished) -> TextChunkChoice:
        """See ``Form.ending``."""
        return {"index": index, "text": "", "logprobs": None, "finish_reason": finish_reason(finished)}

    def _logprobs(self, deltas: Sequence[Delta], offset: int) -> TextLogprobs | None:
        return text_logprobs(deltas, offset) if self._with_logprobs else None


def _text_of(engine: Engine, prompt: str | Sequence[int]) -> str:
    return prompt if isinstance(prompt, str) else engine.detokenize(prompt)
