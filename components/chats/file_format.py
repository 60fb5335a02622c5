"""The JSON file of conversations that readers download, and can bring back: version 1.

``{"format": "baichuan-chat", "version": 1, "presets": […], "conversations": […]}``. Presets may be left out, and look
as in a file of their own (``components.sampling.presets``). Messages have numbers of their own in each conversation,
from 1 on, because JavaScript cannot hold the database's; a message comes after the one that it follows.
Times are seconds since 1970, and what is left out is as if it were empty. What a reply came from beyond its parameters,
weights and token ids (its receipt) is not in the file: a file can be written by hand, and a receipt must be worth
something.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from components.chats.reply import End
from components.sampling.parameters import SamplingParams
from components.store.rows import Place, Role
from components.store.texts import storable

FORMAT = "baichuan-chat"
VERSION = 1


def _clean(value: Any) -> Any:
    return storable(value) if isinstance(value, str) else value


def _known_sampling(value: Any) -> Any:
    """Parameters as this version knows them. Those that it does not take are left out, all of them: half are wrong."""
    if not isinstance(value, dict) or not value:
        return value
    try:
        return SamplingParams.model_validate(value).model_dump(mode="json")
    except ValidationError:
        return {}


Text = Annotated[str, BeforeValidator(_clean)]
Number = Annotated[int, Field(strict=True, ge=0, lt=2**31)]
Seconds = Annotated[float, Field(strict=True, ge=0, lt=1e9, allow_inf_nan=False)]
Time = Annotated[float, Field(strict=True, ge=0, lt=1e11, allow_inf_nan=False)]
TokenId = Annotated[int, Field(strict=True, ge=0, lt=2**32)]
Sampling = Annotated[dict[str, Any], BeforeValidator(_known_sampling)]


class Entry(BaseModel):
    """Fields of later versions are passed over."""

    model_config = ConfigDict(extra="ignore")


class ReplyEntry(Entry):
    """How a reply was written; as ``components.store.rows.Reply``, with the token ids."""

    end: End | None = None
    error_kind: Literal["", "prompt", "full", "queue", "limit", "other"] = ""
    error: Text = ""
    sampling: Sampling = {}
    model: Text = ""
    weights: Text = ""
    prompt_tokens: Number | None = None
    completion_tokens: Number | None = None
    seconds: Seconds | None = None
    first_token_seconds: Seconds | None = None
    tokens: Annotated[list[TokenId], Field(fail_fast=True)] = []


class MessageEntry(Entry):
    """A message; ``parent`` is the number of the one that it follows, null at the beginning."""

    id: Number
    parent: Number | None
    role: Role
    text: Text
    created: Time | None = None
    place: Place = "usual"
    rating: Literal[-1, 0, 1] = 0
    note: Text = ""
    reply: ReplyEntry | None = None


class ConversationEntry(Entry):
    """A conversation with its whole tree; ``shown`` is the end of the branch that was shown."""

    title: Text = ""
    pinned: bool = False
    system: Text = ""
    sampling: Sampling = {}
    created: Time | None = None
    changed: Time | None = None
    shown: Number | None = None
    messages: Annotated[list[MessageEntry], Field(fail_fast=True)]
