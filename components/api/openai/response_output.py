"""The output of a response while it grows: a message, or calls of functions, and the events that tell of them."""

from collections.abc import Iterator, Mapping, Sequence
from uuid import uuid4

from components.api.openai.logprobs import chat_logprobs
from components.api.openai.response_schemas import ChosenToken, OutputCall, OutputMessage, OutputText
from components.api.openai.tool_calls import CallPiece, ToolCallReader
from components.engine.events import Delta

Event = tuple[str, Mapping[str, object]]
"""An event's type, and what it says besides its number."""


class ResponseOutput:
    """Puts the pieces of one reply into items. Whole responses are made of them, too, so that both forms agree.

    Attributes:
        items: as far as they have come.
    """

    def __init__(self, reader: ToolCallReader | None, *, with_logprobs: bool) -> None:
        """``reader`` finds the calls, where there are functions."""
        self.items: list[OutputMessage | OutputCall] = []
        self._reader = reader
        self._with_logprobs = with_logprobs
        self._untold: list[ChosenToken] = []

    def start(self) -> Iterator[Event]:
        """What is known before there is a text: without functions it is a message's."""
        if self._reader is None:
            yield from self._open_message()

    def push(self, delta: Delta) -> Iterator[Event]:
        """What a piece of the reply adds."""
        if self._with_logprobs:
            self._untold += chat_logprobs(delta.tokens)
        text, pieces = (delta.text, []) if self._reader is None else self._reader.push(delta.text)
        yield from self._say(text)
        for piece in pieces:
            yield from self._call(piece)

    def finish(self, *, is_whole: bool) -> Iterator[Event]:
        """What was held back, and the end of what is not complete yet."""
        if self._reader is not None:
            yield from self._say(self._reader.finish())
        if not self.items:
            yield from self._open_message()
        last = self.items[-1]
        if last["status"] == "in_progress":
            yield from self._close(last, "completed" if is_whole else "incomplete")

    def _open_message(self) -> Iterator[Event]:
        part: OutputText = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        message: OutputMessage = {
            "id": f"msg_{uuid4().hex}",
            "type": "message",
            "role": "assistant",
            "status": "in_progress",
            "content": [part],
        }
        self.items.append(message)
        yield "output_item.added", {**self._place, "item": {**message, "content": []}}
        yield "content_part.added", {**self._part_place(message), "part": dict(part)}

    def _say(self, text: str) -> Iterator[Event]:
        if not text:
            return
        if not self.items:
            yield from self._open_message()
        message = self.items[-1]
        assert message["type"] == "message"
        [part] = message["content"]
        logprobs, self._untold = self._untold, []
        part["text"] += text
        part["logprobs"] += logprobs
        yield "output_text.delta", {**self._part_place(message), "delta": text, "logprobs": logprobs}

    def _call(self, piece: CallPiece) -> Iterator[Event]:
        if piece.name is not None:
            begun: OutputCall = {
                "id": f"fc_{uuid4().hex}",
                "type": "function_call",
                "status": "in_progress",
                "call_id": piece.id,
                "name": piece.name,
                "arguments": "",
            }
            self.items.append(begun)
            yield "output_item.added", {**self._place, "item": dict(begun)}
        call = self.items[-1]
        assert call["type"] == "function_call"
        if piece.arguments:
            call["arguments"] += piece.arguments
            yield (
                "function_call_arguments.delta",
                {**self._place, "item_id": call["id"], "delta": piece.arguments},
            )
        if piece.is_last:
            yield from self._close(call, "completed")

    def _close(self, item: OutputMessage | OutputCall, status: str) -> Iterator[Event]:
        item["status"] = "completed" if status == "completed" else "incomplete"
        if item["type"] == "message":
            [part] = item["content"]
            place = self._part_place(item)
            yield "output_text.done", {**place, "text": part["text"], "logprobs": part["logprobs"]}
            yield "content_part.done", {**place, "part": part}
        else:
            said = {"item_id": item["id"], "name": item["name"], "arguments": item["arguments"]}
            yield "function_call_arguments.done", {**self._place, **said}
        yield "output_item.done", {**self._place, "item": item}

    @property
    def _place(self) -> dict[str, object]:
        """Where the item is that is written on; there is never more than one."""
        return {"output_index": len(self.items) - 1}

    def _part_place(self, message: OutputMessage) -> dict[str, object]:
        return {**self._place, "item_id": message["id"], "content_index": 0}


def written(output: ResponseOutput, deltas: Sequence[Delta], *, is_whole: bool) -> Sequence[OutputMessage | OutputCall]:
    """The items of a reply that is there already."""
    for _ in output.start():
        pass
    for delta in deltas:
        for _ in output.push(delta):
            pass
    for _ in output.finish(is_whole=is_whole):
        pass
    return output.items
