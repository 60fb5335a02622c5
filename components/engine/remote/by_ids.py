"""Replies that a server of our own writes: it is given prompts as token ids, and tells the ids of what it writes.

So the chat format, what a forged turn comes to, stop strings, where a reply goes round in a circle, and from where it
is written on are as in the engine of this process, whatever the server would make of messages.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from openai import APIError

from components.engine.errors import PromptError
from components.engine.interface import EngineInfo, Generation, GenerationRequest, Load, Piece
from components.engine.receipts import Receipt
from components.engine.remote.calls import build_prompt_call
from components.engine.remote.engine import RemoteEngine
from components.engine.remote.failures import describe
from components.engine.remote.loop import LoopThread
from components.engine.remote.measuring import Text
from components.engine.remote.reply_by_ids import ReplyByIds
from components.engine.remote.server import Call, Server
from components.engine.remote.streamed_reply import StreamedReply
from components.model.chat_format import ChatFormat, Message, MessagesError, Prompt, split_system
from components.model.detokenizer import IncrementalDetokenizer
from components.model.token_texts import TokenTexts
from components.settings import Settings

Result = TypeVar("Result")


@dataclass(frozen=True)
class Vocabulary:
    """What is known here of a model that runs there.

    Attributes:
        chat_format: builds its prompts.
        texts: what its tokens stand for.
        size: how many tokens there are.
    """

    chat_format: ChatFormat
    texts: TokenTexts
    size: int


class Dialect(Protocol):
    """How a kind of server is asked for replies to token ids."""

    def check(self, request: GenerationRequest) -> None:
        """See whether the server can do what is asked for.

        Raises:
            UnsupportedError: it cannot.
            PromptError: nobody can.
        """

    def call(self, request: GenerationRequest, prompt: Sequence[int]) -> Call:
        """What asks for a reply to these ids. The answer's parts have ids."""


class Keeper(Protocol):
    """Keeps the server running."""

    @property
    def trouble(self) -> str | None:
        """Why it does not serve, for people; None while it does."""

    def close(self) -> None:
        """End it."""


class EngineByIds(RemoteEngine):
    """Hands token ids to a server that this application keeps running.

    Attributes:
        dialect: the server's.
        keeper: keeps it running.
    """

    def __init__(
        self,
        server: Server,
        loop: LoopThread,
        info: EngineInfo,
        settings: Settings,
        vocabulary: Vocabulary,
        dialect: Dialect,
        keeper: Keeper,
        capacity: int,
        versions: dict[str, str],
    ) -> None:
        """Take over what runs.

        Args:
            server: where it is.
            loop: in which it is spoken to.
            info: what is running.
            settings: how many replies at once, how many in line.
            vocabulary: the model's.
            dialect: the server's.
            keeper: ends the server with this engine.
            capacity: tokens that the server has memory for, all replies together.
            versions: of what decides the numbers.
        """
        super().__init__(server, loop, info, settings)
        self._vocabulary = vocabulary
        self.dialect = dialect
        self.keeper = keeper
        self._capacity = capacity
        self._versions = versions

    @property
    def failure(self) -> str | None:
        """See ``Engine.failure``."""
        return self.keeper.trouble

    def build_prompt(self, messages: Sequence[Message], max_new_tokens: int) -> Prompt:
        """See ``Engine.build_prompt``."""
        room = self.room_for_prompt(max_new_tokens)
        return self._telling(lambda: self._vocabulary.chat_format.build_prompt(messages, room))

    def tokenize(self, text: Text) -> list[int]:
        """See ``Engine.tokenize``."""
        chat_format = self._vocabulary.chat_format
        if isinstance(text, str):
            return self._telling(lambda: chat_format.encode_text(text))

        def encode() -> list[int]:
            split_system(text)
            return chat_format.encode(text)

        return self._telling(encode)

    def detokenize(self, tokens: Sequence[int]) -> str:
        """See ``Engine.detokenize``."""
        self._check_tokens(tokens)
        return b"".join(map(self._vocabulary.texts.written_out, tokens)).decode(errors="replace")

    def pieces(self, tokens: Sequence[int]) -> list[Piece]:
        """See ``Engine.pieces``."""
        self._check_tokens(tokens)
        texts = self._vocabulary.texts
        both = [(texts.written_out(token), texts.shown(token)) for token in tokens]
        return [Piece(text, is_control=bool(text) and not shown) for text, shown in both]

    def reply_text(self, tokens: Sequence[int]) -> str:
        """See ``Engine.reply_text``."""
        self._check_tokens(tokens)
        return "".join(map(IncrementalDetokenizer(self._vocabulary.texts).push, tokens))

    def load(self) -> Load:
        """See ``Engine.load``. Which of its tokens the server keeps for later is not told."""
        with self._lock:
            used = sum(len(reply.prompt) + len(reply.ids) for reply in self._active if isinstance(reply, ReplyByIds))
            return Load(len(self._active), len(self._waiting), used, 0, self._capacity)

    def close(self) -> None:
        """See ``Engine.close``."""
        super().close()
        self.keeper.close()

    def _begin(self, request: GenerationRequest, generation: Generation) -> ReplyByIds:
        self.dialect.check(request)
        for name in ("logit_bias", "stop_token_ids"):
            self._check_tokens(getattr(request.sampling, name), name)
        return ReplyByIds(request, generation, self._prompt_of(request), self._vocabulary.texts)

    def _prompt_of(self, request: GenerationRequest) -> list[int]:
        """The tokens to read, if the reply fits behind them."""
        longest = request.longest + len(request.continues)
        if request.prompt is None:
            prompt = self.build_prompt(request.messages, longest)
            ids, fits = prompt.input_ids, not prompt.too_long
        else:
            self.room_for_prompt(longest)
            ids = self.tokenize(request.prompt) if isinstance(request.prompt, str) else list(request.prompt)
            self._check_tokens(ids)
            fits = len(ids) + longest <= self.info.context_length
        if not ids:
            raise PromptError("The prompt is empty: send at least one token.")
        if not fits:
            raise self.too_long(longest)
        self._check_tokens(request.continues)
        return [*ids, *request.continues]

    def _fitting(self, request: GenerationRequest) -> Sequence[Message]:
        return request.messages  # they were fitted when the prompt was built

    def _call_for(self, reply: StreamedReply, messages: Sequence[Message]) -> Call:  # noqa: ARG002
        assert isinstance(reply, ReplyByIds)
        return self.dialect.call(reply.request, reply.prompt)

    def _prompt_call_for(self, reply: StreamedReply) -> dict[str, Any]:
        assert isinstance(reply, ReplyByIds)
        return build_prompt_call(replace(reply.request, prompt=reply.prompt), self.info.model)

    def _has_room(self, reply: StreamedReply) -> bool:
        used = sum(one.room for one in (*self._active, reply) if isinstance(one, ReplyByIds))
        return used <= self._capacity

    def _receipt(self, reply: StreamedReply) -> Receipt:
        assert isinstance(reply, ReplyByIds)
        request = reply.request
        return Receipt(
            messages=list(request.messages),
            prompt=request.prompt,
            tokens=(*request.continues, *reply.ids),
            sampling=request.sampling,
            exact=False,
            reused=reply.reused_tokens,
            model=self.info.model,
            weights=self.weights or "not known yet",
            device=self.info.device,
            dtype=self.info.dtype,
            engine=self.info.engine,
            versions=self._versions,
            continued=len(request.continues),
        )

    def _check_tokens(self, tokens: Iterable[int], where: str = "") -> None:
        size = self._vocabulary.size
        if unknown := [token for token in tokens if not 0 <= token < size]:
            within = f"{where}: " if where else ""
            raise PromptError(f"{within}{unknown[0]} is no token: ids run from 0 to {size - 1}.")

    def _telling(self, encode: Callable[[], Result]) -> Result:
        """What ``encode`` gives, which may ask the server; what goes wrong there as an error for whoever asks."""
        try:
            return encode()
        except MessagesError as error:
            raise PromptError(str(error)) from error
        except APIError as error:
            raise describe(error, self._server, self.info.model).error from error
