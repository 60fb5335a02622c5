"""Log probabilities as other servers tell them: used as far as they go, for nobody has checked their form.

The official client makes objects of what it reads without a look at it: what a server leaves out is None there, and
what it tells in a form of its own stands as it came. Servers differ in what they leave out, and none of it is worth a
reply.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from components.engine.events import LEAST_LOGPROB, ChosenToken, TokenLogprob
from components.model.token_texts import read_spelled

ROUNDING = 1e-3
"""A log probability that is further above 0 is none."""

Name = TypeVar("Name")


def field(told: object, name: str) -> Any:
    """What stands under a name in an object of JSON, or of the client's; None where nothing does."""
    return told.get(name) if isinstance(told, dict) else getattr(told, name, None)


def entries(told: object) -> Sequence[Any]:
    """The entries of a list; none where it is no list."""
    return told if isinstance(told, list) else ()


def text_of(told: object) -> str:
    """A text; empty where it is none."""
    return told if isinstance(told, str) else ""


def logprob_of(told: object) -> float | None:
    """A log probability; None where it is none."""
    if isinstance(told, bool) or not isinstance(told, int | float) or not told <= ROUNDING:
        return None
    return float(min(max(told, LEAST_LOGPROB), 0))


def bytes_of(token: object) -> bytes | None:
    """The bytes that an entry's token stands for; None where it does not say which token it is."""
    try:
        told = bytes(entries(field(token, "bytes")))
    except (TypeError, ValueError):
        told = b""
    text = field(token, "token")
    return told or (read_spelled(text) if isinstance(text, str) else None)


def likeliest(told: Iterable[tuple[Name | None, float | None]], count: int | None) -> list[tuple[Name, float]]:
    """The likeliest tokens of a list and their log probabilities, the likeliest first, whatever order they came in.

    Args:
        told: what it says of each, None where it does not. Those from there on are left out: the one that is not known
            may be likelier than they are.
        count: of how many was asked; None for all.
    """
    known: list[tuple[Name, float]] = []
    for name, logprob in told:
        if name is None or logprob is None:
            break
        known.append((name, logprob))
    return sorted(known, key=lambda one: -one[1])[:count]


def chosen_token(told: object, top: int | None, otherwise: bytes = b"") -> ChosenToken:
    """A token as chat completions tell it.

    Args:
        told: its entry.
        top: how many likeliest tokens were asked for; None for as many as there are.
        otherwise: the token's bytes where the entry does not tell them.
    """
    text = bytes_of(told)
    others = ((bytes_of(one), logprob_of(field(one, "logprob"))) for one in entries(field(told, "top_logprobs")))
    return ChosenToken(
        otherwise if text is None else text, logprob_of(field(told, "logprob")), _tokens(likeliest(others, top))
    )


def tokens_of_chat(told: object, text: str, top: int | None) -> tuple[ChosenToken, ...]:
    """The tokens of a chunk of a chat completion, from what stands in it as log probabilities.

    Args:
        told: these.
        text: the chunk's.
        top: how many likeliest tokens were asked for; None for as many as there are.
    """
    content = entries(field(told, "content"))
    alone = text.encode(errors="replace") if len(content) == 1 else b""
    return tuple(chosen_token(one, top, alone) for one in content)


def tokens_of_text(told: object, text: str, top: int | None) -> tuple[ChosenToken, ...]:
    """The same of a chunk of a plain completion."""
    tokens = entries(field(told, "tokens"))
    alone = text.encode(errors="replace") if len(tokens) == 1 else b""
    chosen = []
    for place, token in enumerate(tokens):
        others = ((read_spelled(name), logprob) for name, logprob in top_at(told, place))
        own = read_spelled(token) if isinstance(token, str) else alone
        chosen.append(ChosenToken(own, logprob_at(told, place), _tokens(likeliest(others, top))))
    return tuple(chosen)


def logprob_at(told: object, place: int) -> float | None:
    """The log probability of one token of a plain completion."""
    logprobs = entries(field(told, "token_logprobs"))
    return logprob_of(logprobs[place]) if place < len(logprobs) else None


def top_at(told: object, place: int) -> list[tuple[str, float | None]]:
    """What a plain completion tells of the likeliest tokens in the place of one."""
    tops = entries(field(told, "top_logprobs"))
    top = tops[place] if place < len(tops) else None
    return [(name, logprob_of(one)) for name, one in top.items()] if isinstance(top, dict) else []


def _tokens(told: Iterable[tuple[bytes, float]]) -> tuple[TokenLogprob, ...]:
    return tuple(TokenLogprob(text, logprob) for text, logprob in told)
