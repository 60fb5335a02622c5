"""Log probabilities in OpenAI's two forms."""

from collections.abc import Iterable

from components.api.openai import response_schemas as schemas
from components.engine.events import ChosenToken, Delta, TokenLogprob

LEAST = -9999.0
"""OpenAI's figure for what cannot be; JSON has no infinity."""


def chosen(token: ChosenToken) -> schemas.ChosenToken:
    """A token of a chat reply."""
    return {**_token(token), "top_logprobs": [_token(one) for one in token.top]}


def _token(token: TokenLogprob) -> schemas.TokenLogprob:
    return {"token": _text(token), "logprob": max(token.logprob, LEAST), "bytes": list(token.text)}


def text_logprobs(deltas: Iterable[Delta], offset: int) -> schemas.TextLogprobs:
    """Pieces of a text, the first of which begins ``offset`` characters behind the text's beginning."""
    told: schemas.TextLogprobs = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for delta in deltas:
        before = b""
        for token in delta.tokens:
            told["tokens"].append(_text(token))
            told["token_logprobs"].append(max(token.logprob, LEAST))
            top: dict[str, float] = {}
            for one in (*token.top, token):
                top.setdefault(_text(one), max(one.logprob, LEAST))
            told["top_logprobs"].append(top)
            # A token within a character begins where the character does.
            told["text_offset"].append(offset + len(before.decode(errors="ignore")))
            before += token.text
        offset += len(delta.text)
    return told


def _text(token: TokenLogprob) -> str:
    return token.text.decode(errors="replace")
