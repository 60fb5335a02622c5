"""``POST /v1/chat/completions``."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from components.api.generation import GeneratedText
from components.api.openai.choices import ChoiceWriter, finish_reason, respond
from components.api.openai.logprobs import chosen
from components.api.openai.models import engine_for
from components.api.openai.request_schemas import ChatCompletionRequest, read_request
from components.api.openai.response_schemas import ChatChoice, ChatChunkChoice, ChatLogprobs
from components.engine.events import ChosenToken, Delta, Finished
from components.engine.interface import GenerationRequest


async def create_chat_completion(request: Request) -> Response:
    """Reply to a conversation.

    With "stream": true the reply comes as server-sent events: chunks as JSON, then [DONE]. An error in the middle of a
    stream is an event with "error" in it, the last one. A client that hangs up stops its replies. History is never cut:
    what does not fit the context is refused with the code context_length_exceeded. A reply that goes round in a circle
    or takes too long is ended with "finish_reason": "length" and "stop_reason": "loop" or "time".
    """
    body = await read_request(request, ChatCompletionRequest)
    engine = engine_for(body.model)
    prompt = GenerationRequest(
        body.conversation,
        body.sampling(engine.info.defaults),
        logprobs=body.told_logprobs,
        origin="v1",
    )
    return await respond(request, engine, body, [prompt], ChatChoiceWriter(with_logprobs=bool(body.logprobs)))


class ChatChoiceWriter(ChoiceWriter):
    """Messages."""

    id_prefix = "chatcmpl-"
    response_object = "chat.completion"
    chunk_object = "chat.completion.chunk"

    def __init__(self, with_logprobs: bool) -> None:
        self._with_logprobs = with_logprobs

    def whole(self, index: int, text: GeneratedText) -> ChatChoice:
        """See ``ChoiceWriter.whole``."""
        return {
            "index": index,
            "message": {"role": "assistant", "content": text.text, "refusal": None},
            "logprobs": self._logprobs([token for delta in text.deltas for token in delta.tokens]),
            "finish_reason": finish_reason(text.finished),
        }

    def opening(self, index: int) -> ChatChunkChoice:
        """See ``ChoiceWriter.opening``: the role."""
        return {
            "index": index,
            "delta": {"role": "assistant", "content": "", "refusal": None},
            "logprobs": None,
            "finish_reason": None,
        }

    def piece(self, index: int, delta: Delta) -> ChatChunkChoice:
        """See ``ChoiceWriter.piece``."""
        return {
            "index": index,
            "delta": {"content": delta.text},
            "logprobs": self._logprobs(delta.tokens),
            "finish_reason": None,
        }

    def ending(self, index: int, finished: Finished) -> ChatChunkChoice:
        """See ``ChoiceWriter.ending``."""
        return {"index": index, "delta": {}, "logprobs": None, "finish_reason": finish_reason(finished)}

    def _logprobs(self, tokens: Sequence[ChosenToken]) -> ChatLogprobs | None:
        return {"content": [chosen(token) for token in tokens], "refusal": None} if self._with_logprobs else None
