"""Log probabilities in OpenAI's two forms."""

from collections.abc import Iterable, Sequence

from components.api.openai import response_schemas as schemas
from components.engine.events import ChosenToken, TokenLogprob

Piece = tuple[str, Sequence[ChosenToken | bytes]]
"""A piece of a text and its tokens; of a token that nothing stands before, nothing but its text."""

LEAST = -9999.0
"""OpenAI's figure for what cannot be; JSON has no infinity."""


def chosen(token: ChosenToken) -> schemas.ChosenToken:
    """A token of a chat reply."""
    return {**_token(token), "top_logprobs": [_token(one) for one in token.top]}


def _token(token: TokenLogprob) -> schemas.TokenLogprob:
    return {"token": _text(token), "logprob": max(token.logprob, LEAST), "bytes": list(token.text)}


def text_logprobs(pieces: Iterable[Piece], offset: int) -> schemas.TextLogprobs:
    """Pieces of a text, the first of which begins ``offset`` characters behind the text's beginning."""
    told: schemas.TextLogprobs = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for text, tokens in pieces:
        before = b""
        for token in tokens:
            told["tokens"].append(_text(token))
            if isinstance(token, ChosenToken):
                told["token_logprobs"].append(max(token.logprob, LEAST))
                told["top_logprobs"].append(_top(token))
            else:
                told["token_logprobs"].append(None)
                told["top_logprobs"].append(None)
            # A token within a character begins where the character does; one that shows no text, at the end.
            told["text_offset"].append(offset + min(len(before.decode(errors="ignore")), len(text)))
            before += token if isinstance(token, bytes) else token.text
        offset += len(text)
    return told


def _top(token: ChosenToken) -> dict[str, float]:
    top: dict[str, float] = {}
    for one in (*token.top, token):
        top.setdefault(_text(one), max(one.logprob, LEAST))
    return top


def _text(token: TokenLogprob | bytes) -> str:
    return (token if isinstance(token, bytes) else token.text).decode(errors="replace")
