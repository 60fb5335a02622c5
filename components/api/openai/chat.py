"""``POST /v1/chat/completions``."""

from collections.abc import Callable, Sequence
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from components.api.generation import GeneratedText
from components.api.openai.chat_request import ChatCompletionRequest
from components.api.openai.choices import ChoiceWriter, finish_reason, respond
from components.api.openai.logprobs import chat_logprobs
from components.api.openai.models import engine_for
from components.api.openai.response_schemas import (
    CalledFunction,
    ChatChoice,
    ChatChunkChoice,
    ChatLogprobs,
    ChoiceDelta,
    FinishReason,
    ReplyMessage,
    ToolCall,
)
from components.api.openai.schema_base import read_request
from components.api.openai.tool_calls import CallPiece, ToolCallReader
from components.engine.events import ChosenToken, Delta, Finished
from components.engine.interface import GenerationRequest


async def create_chat_completion(request: Request) -> Response:
    """Reply to a conversation.

    With "stream": true the reply comes as server-sent events: chunks as JSON, then [DONE]. An error in the middle of a
    stream is an event with "error" in it, the last one. A client that hangs up stops its replies. History is never cut:
    what does not fit the context is refused with the code context_length_exceeded. A reply that goes round in a circle
    or takes too long is ended with "finish_reason": "length" and "stop_reason": "loop" or "time".

    With tools, calls follow their JSON schemas; with "tool_choice": "auto" the model is told of them in the system
    prompt and may call some or answer in words. Baichuan 2 was not trained to call tools.
    """
    body = await read_request(request, ChatCompletionRequest)
    engine = engine_for(body.model)
    prompt = GenerationRequest(
        body.conversation,
        body.sampling(engine.info.defaults),
        logprobs=body.told_logprobs,
        origin="v1",
    )
    new_reader = partial(ToolCallReader, must_call=body.offer.must_call) if body.offer else None
    writer = ChatChoiceWriter(bool(body.logprobs), new_reader)
    return await respond(request, engine, body, [prompt], writer)


class ChatChoiceWriter(ChoiceWriter):
    """Messages."""

    id_prefix = "chatcmpl-"
    response_object = "chat.completion"
    chunk_object = "chat.completion.chunk"

    def __init__(self, with_logprobs: bool, new_reader: Callable[[], ToolCallReader] | None = None) -> None:
        """``new_reader`` makes what finds a choice's call, where there are tools."""
        self._with_logprobs = with_logprobs
        self._new_reader = new_reader
        self._readers: dict[int, ToolCallReader] = {}

    def whole(self, index: int, text: GeneratedText) -> ChatChoice:
        """See ``ChoiceWriter.whole``."""
        message: ReplyMessage = {"role": "assistant", "content": text.text, "refusal": None}
        if reader := self._reader(index):
            said, pieces = reader.push(text.text)
            message["content"] = said + reader.finish()
            if pieces:
                message["content"] = message["content"] or None
                message["tool_calls"] = [
                    {"id": call["id"], "type": "function", "function": call["function"]} for call in _calls(pieces)
                ]
        return {
            "index": index,
            "message": message,
            "logprobs": self._logprobs([token for delta in text.deltas for token in delta.tokens]),
            "finish_reason": self._finish_reason(index, text.finished),
        }

    def opening(self, index: int) -> ChatChunkChoice:
        """See ``ChoiceWriter.opening``: the role."""
        content = "" if self._new_reader is None else None
        delta: ChoiceDelta = {"role": "assistant", "content": content, "refusal": None}
        return {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}

    def piece(self, index: int, delta: Delta) -> ChatChunkChoice | None:
        """See ``ChoiceWriter.piece``."""
        reader = self._reader(index)
        told = _told(*reader.push(delta.text)) if reader else ChoiceDelta(content=delta.text)
        if not told and not delta.tokens:
            return None
        return {"index": index, "delta": told, "logprobs": self._logprobs(delta.tokens), "finish_reason": None}

    def ending(self, index: int, finished: Finished) -> ChatChunkChoice:
        """See ``ChoiceWriter.ending``."""
        reader = self._reader(index)
        told = _told(reader.finish(), []) if reader else ChoiceDelta()
        return {"index": index, "delta": told, "logprobs": None, "finish_reason": self._finish_reason(index, finished)}

    def _reader(self, index: int) -> ToolCallReader | None:
        if self._new_reader is not None and index not in self._readers:
            self._readers[index] = self._new_reader()
        return self._readers.get(index)

    def _finish_reason(self, index: int, finished: Finished) -> FinishReason:
        reason = finish_reason(finished)
        reader = self._reader(index)
        return "tool_calls" if reason == "stop" and reader and reader.has_call else reason

    def _logprobs(self, tokens: Sequence[ChosenToken]) -> ChatLogprobs | None:
        return {"content": chat_logprobs(tokens), "refusal": None} if self._with_logprobs else None


def _told(text: str, pieces: Sequence[CallPiece]) -> ChoiceDelta:
    told: ChoiceDelta = {}
    if text:
        told["content"] = text
    if pieces:
        told["tool_calls"] = _calls(pieces)
    return told


def _calls(pieces: Sequence[CallPiece]) -> list[ToolCall]:
    """What pieces add to each call, with the id and the name where the call begins."""
    calls: dict[int, ToolCall] = {}
    for piece in pieces:
        if piece.name is not None:
            function: CalledFunction = {"name": piece.name, "arguments": piece.arguments}
            calls[piece.index] = {"index": piece.index, "id": piece.id, "type": "function", "function": function}
        else:
            calls[piece.index] = {"index": piece.index, "function": {"arguments": piece.arguments}}
    return list(calls.values())
