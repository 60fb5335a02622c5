"""``POST /v1/chat/completions``."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from components.api.openai.answering import answer
from components.api.openai.answers import ChatChoice, ChatChunkChoice, ChatLogprobs
from components.api.openai.body import read_call
from components.api.openai.calls import ChatCall
from components.api.openai.form import Form, finish_reason
from components.api.openai.logprobs import chosen
from components.api.openai.running import running_engine
from components.api.reading import Reply
from components.engine.events import ChosenToken, Delta, Finished
from components.engine.interface import GenerationRequest


async def create_chat_completion(request: Request) -> Response:
    """Reply to a conversation.

    With "stream": true the reply comes as server-sent events: chunks as JSON, then [DONE]. An error in the middle of a
    stream is an event with "error" in it, the last one. A client that hangs up stops its replies. History is never cut:
    what does not fit the context is refused with the code context_length_exceeded. A reply that goes round in a circle
    or takes too long is ended with "finish_reason": "length" and "stop_reason": "loop" or "time".
    """
    call = await read_call(request, ChatCall)
    engine = running_engine(call.model)
    prompt = GenerationRequest(
        [message.to_message() for message in call.messages],
        call.sampling(engine.info.defaults),
        logprobs=call.told_logprobs,
        origin="v1",
    )
    return await answer(request, engine, call, [prompt], ChatForm(with_logprobs=bool(call.logprobs)))


class ChatForm(Form):
    """Messages."""

    id_prefix = "chatcmpl-"
    answer_object = "chat.completion"
    chunk_object = "chat.completion.chunk"

    def __init__(self, with_logprobs: bool) -> None:
        self._with_logprobs = with_logprobs

    def whole(self, index: int, reply: Reply) -> ChatChoice:
        """See ``Form.whole``."""
        return {
            "index": index,
            "message": {"role": "assistant", "content": reply.text, "refusal": None},
            "logprobs": self._logprobs([token for delta in reply.deltas for token in delta.tokens]),
            "finish_reason": finish_reason(reply.finished),
        }

    def opening(self, index: int) -> ChatChunkChoice:
        """See ``Form.opening``: the role."""
        return {
            "index": index,
            "delta": {"role": "assistant", "content": "", "refusal": None},
            "logprobs": None,
            "finish_reason": None,
        }

    def piece(self, index: int, delta: Delta) -> ChatChunkChoice:
        """See ``Form.piece``."""
        return {
            "index": index,
            "delta": {"content": delta.text},
            "logprobs": self._logprobs(delta.tokens),
            "finish_reason": None,
        }

    def ending(self, index: int, finished: Finished) -> ChatChunkChoice:
        """See ``Form.ending``."""
        return {"index": index, "delta": {}, "logprobs": None, "finish_reason": finish_reason(finished)}

    def _logprobs(self, tokens: Sequence[ChosenToken]) -> ChatLogprobs | None:
        return {"content": [chosen(token) for token in tokens], "refusal": None} if self._with_logprobs else None
