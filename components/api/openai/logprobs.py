"""Log probabilities in OpenAI's two forms."""

from collections.abc import Iterable, Sequence

from components.api.openai import response_schemas as schemas
from components.engine.events import LEAST_LOGPROB, ChosenToken

Piece = tuple[str, Sequence[ChosenToken | bytes]]
"""A piece of a text and its tokens; of a token that nothing stands before, nothing but its text."""


def chat_logprobs(tokens: Iterable[ChosenToken]) -> list[schemas.ChosenToken]:
    """Tokens of a chat reply. Those of which it is not known how likely they were have no place in this form."""
    return [
        {**_token(token.text, token.logprob), "top_logprobs": [_token(one.text, one.logprob) for one in token.top]}
        for token in tokens
        if token.logprob is not None
    ]


def _token(text: bytes, logprob: float) -> schemas.TokenLogprob:
    return {"token": _text(text), "logprob": _figure(logprob), "bytes": list(text)}


def _figure(logprob: float) -> float:
    return max(logprob, LEAST_LOGPROB)


def text_logprobs(pieces: Iterable[Piece], offset: int) -> schemas.TextLogprobs:
    """Pieces of a text, the first of which begins ``offset`` characters behind the text's beginning."""
    told: schemas.TextLogprobs = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for text, tokens in pieces:
        before = b""
        for token in tokens:
            own = token if isinstance(token, bytes) else token.text
            logprob = None if isinstance(token, bytes) else token.logprob
            told["tokens"].append(_text(own))
            told["token_logprobs"].append(None if logprob is None else _figure(logprob))
            told["top_logprobs"].append(None if isinstance(token, bytes) else _top(token))
            # A token within a character begins where the character does; one that shows no text, at the end.
            told["text_offset"].append(offset + min(len(before.decode(errors="ignore")), len(text)))
            before += own
        offset += len(text)
    return told


def _top(token: ChosenToken) -> dict[str, float]:
    top: dict[str, float] = {}
    for one in token.top:
        top.setdefault(_text(one.text), _figure(one.logprob))
    if token.logprob is not None:
        top.setdefault(_text(token.text), _figure(token.logprob))
    return top


def _text(text: bytes) -> str:
    return text.decode(errors="replace")
