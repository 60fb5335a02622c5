"""Log probabilities in OpenAI's two forms."""

from collections.abc import Container, Iterable, Sequence
from math import isclose

from components.api.openai import response_schemas as schemas
from components.engine.events import LEAST_LOGPROB, ChosenToken, TokenLogprob
from components.model.token_texts import spelled, spelled_in_bytes

_CONTINUATION = bytes(range(0x80, 0xC0))
"""The bytes of UTF-8 with which no character begins."""

ROUNDING = 1e-3
"""Figures of the same token, which another server may have rounded in two ways, differ by less."""

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
    return {"token": spelled(text), "logprob": _figure(logprob), "bytes": list(text)}


def _figure(logprob: float) -> float:
    return max(logprob, LEAST_LOGPROB)


def text_logprobs(pieces: Iterable[Piece], offset: int) -> schemas.TextLogprobs:
    r"""Pieces of a text, the first of which begins ``offset`` characters behind the text's beginning.

    Tokens that are no text by themselves are spelled as OpenAI does it: ``bytes:\xe9``. In each place all tokens are
    told, the chosen one with its own figure: of two with the same text the less likely one is spelled as bytes, too.
    """
    told: schemas.TextLogprobs = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for text, tokens in pieces:
        before = b""
        for token in tokens:
            own = token if isinstance(token, bytes) else token.text
            logprob = None if isinstance(token, bytes) else token.logprob
            name, top = (spelled(own), None) if isinstance(token, bytes) else _named(token)
            told["tokens"].append(name)
            told["token_logprobs"].append(None if logprob is None else _figure(logprob))
            told["top_logprobs"].append(top)
            # A token within a character begins where the character does; one that shows no text, at the end.
            told["text_offset"].append(offset + min(_characters(before, own), len(text)))
            before += own
        offset += len(text)
    return told


def _named(token: ChosenToken) -> tuple[str, dict[str, float]]:
    """How a token is spelled in its place, and the likeliest there, with itself, under names that differ."""
    name, chosen = spelled(token.text), _chosen(token)
    others = () if chosen is None or any(one is chosen for one in token.top) else (chosen,)
    top: dict[str, float] = {}
    for one in (*token.top, *others):
        key = _free_spelling(one.text, top)
        if one is chosen and token.logprob is not None:
            name = key
            top[key] = _figure(token.logprob)
        elif key not in top:
            top[key] = _figure(one.logprob)
    return name, top


def _chosen(token: ChosenToken) -> TokenLogprob | None:
    """Which of the likeliest a token is, or itself where it is none; None where nobody knows how likely it was."""
    logprob = token.logprob
    if logprob is None:
        return None
    same = [one for one in token.top if one.text == token.text and isclose(one.logprob, logprob, abs_tol=ROUNDING)]
    return min(same, key=lambda one: abs(one.logprob - logprob), default=TokenLogprob(token.text, logprob))


def _free_spelling(text: bytes, taken: Container[str]) -> str:
    """A token's spelling that no likelier token has, where there is one."""
    return spelled_in_bytes(text) if spelled(text) in taken else spelled(text)


def _characters(before: bytes, own: bytes) -> int:
    """How many characters ``before`` has that a token behind it does not belong to.

    It may begin with the end of a character, of which the piece's text has the whole.
    """
    rest = before.lstrip(_CONTINUATION)
    is_whole = rest or not (own and own[0] in _CONTINUATION)
    return len(rest.decode(errors="ignore")) + bool(len(rest) < len(before) and is_whole)
