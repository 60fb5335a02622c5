"""From messages to the token ids that a model reads.

Baichuan 2 has its own format (role tokens, no template); every other model brings a chat template. In both, text that
people write never becomes a control token, so nobody can forge a turn. The format, and the way a long history is cut,
follow ``generation_utils.py`` as published with Baichuan 2.
"""

import json
import re
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from jinja2.exceptions import TemplateError
from typing_extensions import TypedDict  # pydantic refuses typing's own before Python 3.12

if TYPE_CHECKING:  # importing transformers takes seconds, in which a page that only needs Message would be blank
    from transformers import GenerationConfig, PreTrainedTokenizerBase

Role = Literal["system", "user", "assistant"]


class Message(TypedDict):
    """One turn of a conversation."""

    role: Role
    content: str


ROLE_IDS = {"user_token_id": 195, "assistant_token_id": 196}
"""As published with Baichuan 2 Chat: ``<reserved_106>`` and ``<reserved_107>`` of its vocabulary."""


CONTROL_TOKEN = re.compile(r"<\S+>")
"""Baichuan 2 does not mark its reserved tokens as special; line breaks are added tokens, too, but text."""


class MessagesError(ValueError):
    """The messages are not a conversation that a model can answer; the text says why."""


@dataclass(frozen=True)
class Prompt:
    """What the model reads.

    Attributes:
        input_ids: the whole prompt; empty where the model runs on another server.
        dropped_messages: how many of the oldest messages (the system message not counted) were left out because the
            context has no room for them.
        too_long: even the newest round does not fit; ``input_ids`` lack its beginning.
    """

    input_ids: list[int]
    dropped_messages: int
    too_long: bool


class AddedToken(Protocol):
    """A token that is looked for in a text before anything else."""

    @property
    def content(self) -> str:
        """As it is written out."""

    @property
    def special(self) -> bool:
        """Whether it is no text."""


class ChatTokenizer(Protocol):
    """What is needed of a tokenizer; transformers' have it."""

    chat_template: Any

    @property
    def added_tokens_decoder(self) -> Mapping[int, Any]:
        """The ``AddedToken`` of each id that has one."""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """The ids of a text, in which control tokens that are written out count as such."""

    def apply_chat_template(
        self,
        conversation: list[dict[str, str]],
        *,
        tokenize: Literal[False],
        add_generation_prompt: bool,
        continue_final_message: bool,
    ) -> Any:
        """The conversation as a text."""


class ChatFormat(ABC):
    """Builds prompts for one model."""

    def __init__(self, tokenizer: ChatTokenizer) -> None:
        self._tokenizer = tokenizer
        control_tokens = [
            re.escape(token.content)
            for token in tokenizer.added_tokens_decoder.values()
            if token.special or CONTROL_TOKEN.fullmatch(token.content)
        ]
        self._control_token = re.compile(f"(?={'|'.join(control_tokens)})" if control_tokens else r"(?!)")

    @abstractmethod
    def encode(self, messages: Sequence[Message], *, invites: bool = True) -> list[int]:
        """The prompt for these messages with nothing left out; it invites a reply, or the rest of a last reply.

        Args:
            messages: an optional system message, then the turns.
            invites: false for the messages alone, each whole.

        Raises:
            MessagesError: the model's template refuses this order of roles.
        """

    def encode_text(self, text: str) -> list[int]:
        """The tokens of a text that is no part of a conversation. Control tokens written out in it are plain text."""
        return [token for piece in self._split_control_tokens(text) for token in self._tokens(piece)]

    def build_prompt(self, messages: Sequence[Message], max_input_tokens: int) -> Prompt:
        """Encode a conversation without the oldest rounds for which there is no room.

        The newest round is always kept, and cut from the left if it alone does not fit.

        Args:
            messages: an optional system message, then the turns.
            max_input_tokens: room for the prompt.

        Raises:
            MessagesError: there is nothing to answer, or a system message stands elsewhere than first.
        """
        system, turns = split_system(messages)
        room = max_input_tokens + self._uncounted(turns)
        start = first_kept(turns, lambda start: len(self.encode([*system, *turns[start:]])) <= room)
        input_ids = self.encode([*system, *turns[start:]])
        return Prompt(
            input_ids=input_ids[-max_input_tokens:],
            dropped_messages=start,
            too_long=len(input_ids) > room,
        )

    def _uncounted(self, turns: Sequence[Message]) -> int:  # noqa: ARG002
        """Tokens at the end of the prompt that the published code forgets when it looks whether a history fits."""
        return 0

    def _split_control_tokens(self, text: str) -> list[str]:
        """Cut ``text`` behind the first character of every control token that is written out in it.

        No piece then contains one, and encoding the pieces one by one gives plain characters only.
        """
        cuts = [0, *(match.start() + 1 for match in self._control_token.finditer(text)), len(text)]
        return [text[start:end] for start, end in pairwise(cuts) if start < end]

    def _tokens(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False)


class BaichuanChatFormat(ChatFormat):
    """System text without a role token, then per message its role token and its text. No end token between turns."""

    def __init__(self, tokenizer: ChatTokenizer, user_token_id: int, assistant_token_id: int) -> None:
        super().__init__(tokenizer)
        self._role_tokens: dict[str, list[int]] = {
            "system": [],
            "user": [user_token_id],
            "assistant": [assistant_token_id],
        }

    def encode(self, messages: Sequence[Message], *, invites: bool = True) -> list[int]:
        """See ``ChatFormat.encode``. Never raises."""
        input_ids: list[int] = []
        for message in messages:
            input_ids += self._role_tokens[message["role"]]
            input_ids += self.encode_text(message["content"])
        return input_ids + self._role_tokens["assistant"] * (self._uncounted(messages) if invites else 0)

    def _uncounted(self, turns: Sequence[Message]) -> int:
        return 0 if turns[-1]["role"] == "assistant" else 1


class TemplateChatFormat(ChatFormat):
    """The chat template that the tokenizer carries."""

    CUT = "\ufdd0"
    """Marks the cuts inside control tokens while the template is rendered: a code point that is never a character."""

    def encode(self, messages: Sequence[Message], *, invites: bool = True) -> list[int]:
        """See ``ChatFormat.encode``."""
        plain = [
            {**message, "content": self.CUT.join(self._split_control_tokens(message["content"].replace(self.CUT, "")))}
            for message in messages
        ]
        continues = messages[-1]["role"] == "assistant"
        try:
            text: str = self._tokenizer.apply_chat_template(
                cast("list[dict[str, str]]", plain),
                tokenize=False,
                add_generation_prompt=invites and not continues,
                continue_final_message=invites and continues,
            )
        except TemplateError as error:
            raise MessagesError(
                f"The model's chat template refuses these messages: {error.message or error}"
            ) from error
        return [token for piece in text.split(self.CUT) for token in self._tokens(piece)]


def split_system(messages: Sequence[Message]) -> tuple[list[Message], list[Message]]:
    """Part the system message, if there is one, from the turns.

    Raises:
        MessagesError: there are no turns, or a system message stands elsewhere than first.
    """
    system = [message for message in messages[:1] if message["role"] == "system"]
    turns = list(messages[len(system) :])
    if not turns:
        raise MessagesError("There is no message to answer: send at least one user message.")
    if any(turn["role"] == "system" for turn in turns):
        raise MessagesError("A system message may only come first.")
    return system, turns


def first_kept(turns: Sequence[Message], fits: Callable[[int], bool]) -> int:
    """Where the longest history begins that fits: 0, or a later user message, for only whole rounds are left out.

    Args:
        turns: the conversation without its system message.
        fits: whether there is room for the turns from that one on. The newest round is kept even if it does not fit.
    """
    starts = [0, *(i for i, turn in enumerate(turns) if turn["role"] == "user" and i > 0)]
    # Shorter histories fit when longer ones do, so a bisection finds the longest; most often it is all of it.
    return starts[0] if fits(starts[0]) else starts[bisect_left(starts[:-1], True, key=fits)]


def chat_format_of(tokenizer: "PreTrainedTokenizerBase", generation_config: "GenerationConfig") -> ChatFormat:
    """The format that a checkpoint was trained with.

    Raises:
        MessagesError: it has neither Baichuan 2's role tokens nor a chat template, so it is not a chat model.
    """
    role_tokens: list[Any] = [getattr(generation_config, name, None) for name in ROLE_IDS]
    if None not in role_tokens:
        return BaichuanChatFormat(tokenizer, *role_tokens)
    if tokenizer.chat_template is None:
        absent = " and ".join(name for name, id_ in zip(ROLE_IDS, role_tokens, strict=True) if id_ is None)
        raise MessagesError(
            f"This checkpoint cannot chat as it is: its generation_config.json names no {absent}, and its tokenizer "
            "has no chat_template. If it was trained on Baichuan 2's chat format, add to that file "
            f"{json.dumps(ROLE_IDS).strip('{}')}; else use a model made for chatting, such as Baichuan2-7B-Chat: "
            "python download.py"
        )
    return TemplateChatFormat(tokenizer)
