"""One reader's conversation: questions, replies, and what is sent to the engine for the next one. Knows no page."""

from dataclasses import dataclass, field

from components.engine.errors import EngineError, PromptError
from components.engine.interface import Engine, GenerationRequest
from components.model.chat_format import Message
from components.sampling.parameters import SamplingParams
from components.ui.chat.reply import ReplyTask

KEPT_CHARACTERS = 500_000
"""Of a conversation; the exchanges before those are dropped, which a model has long forgotten."""


@dataclass(frozen=True)
class Controls:
    """What the sidebar shows: how to sample, and what the model is told before the conversation."""

    sampling: SamplingParams
    system: str = ""


@dataclass
class Exchange:
    """What somebody asked, and the reply to it. A regenerated reply takes the place of the first."""

    question: str
    reply: ReplyTask

    @property
    def answered(self) -> bool:
        """Whether the model sees this exchange later: not when its reply came to nothing."""
        return bool(self.reply.text)


@dataclass
class Conversation:
    """All exchanges, the oldest first. Only the last one's reply can still be written.

    ``visitor`` is whose it is, ``address`` where they come from, ``limited`` whether their share is limited.
    """

    exchanges: list[Exchange] = field(default_factory=list)
    visitor: str = ""
    limited: bool = False
    address: str = ""
    _dropped: tuple[int, int] = (0, 0)

    @property
    def writing(self) -> bool:
        """Whether a reply is being written."""
        return bool(self.exchanges) and self.exchanges[-1].reply.end is None

    def ask(self, engine: Engine, question: str, controls: Controls) -> None:
        """Put a question. A reply that is still written stops, with its text kept."""
        self.stop()
        self.exchanges.append(Exchange(question, ReplyTask()))
        self._drop_oldest()
        self._start(engine, self.exchanges[-1].reply, controls)

    def regenerate(self, engine: Engine, controls: Controls) -> None:
        """Write the last reply again from the start."""
        self.stop()
        self.exchanges[-1].reply = ReplyTask()
        self._start(engine, self.exchanges[-1].reply, controls)

    def resume(self, engine: Engine, controls: Controls) -> None:
        """Write on where the last reply ended."""
        self.stop()
        ended = self.exchanges[-1].reply
        self.exchanges[-1].reply = ReplyTask(ended.text, ended.tokens)
        self._start(engine, self.exchanges[-1].reply, controls)

    def stop(self) -> None:
        """Stop the reply that is being written, if there is one."""
        if self.writing:
            self.exchanges[-1].reply.stop()

    def clear(self) -> None:
        """Begin anew."""
        self.stop()
        self.exchanges.clear()

    def forgotten(self, engine: Engine, controls: Controls) -> int:
        """How many of the oldest exchanges the model does not see: for the reply being written, else for the next one.

        The conversation is tokenized only when it changed since the last call.
        """
        past = self.exchanges[:-1] if self.writing else self.exchanges
        seen = [index for index, exchange in enumerate(past) if exchange.answered]
        if not seen:
            return 0
        question: Message = {"role": "user", "content": self.exchanges[-1].question if self.writing else "…"}
        dropped = self._count_dropped(engine, [*_messages(past, controls), question], controls.sampling.max_new_tokens)
        return seen[min(dropped, len(seen)) - 1] + 1 if dropped else 0

    def _drop_oldest(self) -> None:
        """Nobody's questions fill the memory, those that are refused included."""
        kept = sum(len(exchange.question) + len(exchange.reply.text) for exchange in self.exchanges)
        while kept > KEPT_CHARACTERS and len(self.exchanges) > 1:
            oldest = self.exchanges.pop(0)
            kept -= len(oldest.question) + len(oldest.reply.text)

    def _count_dropped(self, engine: Engine, messages: list[Message], max_new_tokens: int) -> int:
        """How many exchanges do not fit, remembered for as long as nothing changes: every script run asks."""
        key = hash((max_new_tokens, *(text for message in messages for text in message.values())))
        if self._dropped[0] != key:
            try:
                count = engine.build_prompt(messages, max_new_tokens).dropped_messages // 2
            except PromptError:
                count = 0  # sending it says what is wrong
            self._dropped = (key, count)
        return self._dropped[1]

    def _start(self, engine: Engine, reply: ReplyTask, controls: Controls) -> None:
        messages = _messages(self.exchanges[:-1], controls)
        messages.append({"role": "user", "content": self.exchanges[-1].question})
        if reply.text and not reply.begun:  # tokens say exactly where it ended, inside a character, too
            messages.append({"role": "assistant", "content": reply.text})
        try:
            request = GenerationRequest(
                messages,
                controls.sampling,
                self.visitor,
                origin="page",
                limited=self.limited,
                address=self.address,
                continues=reply.begun,
            )
            reply.follow(engine.generate(request))
        except EngineError as error:
            reply.fail(error)
        except Exception:
            # A fault of ours: the page says so. The reply must still end, or it would be waited for for ever.
            reply.fail(EngineError("The request could not be handed to the model. The server's log says why."))
            raise


def _messages(exchanges: list[Exchange], controls: Controls) -> list[Message]:
    messages: list[Message] = []
    if controls.system:
        messages.append({"role": "system", "content": controls.system})
    for exchange in exchanges:
        if exchange.answered:
            messages.append({"role": "user", "content": exchange.question})
            messages.append({"role": "assistant", "content": exchange.reply.text})
    return messages
