"""From the chunks of a stream to what the engine tells its reader."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from openai.types import Completion, CompletionUsage
from openai.types.chat import ChatCompletionChunk, ChatCompletionTokenLogprob
from openai.types.chat.chat_completion_token_logprob import TopLogprob
from openai.types.completion_choice import Logprobs

from components.engine.events import ChosenToken, PromptRead, TokenLogprob
from components.sampling.kept import StepScores


@dataclass(frozen=True)
class Part:
    """One chunk.

    Attributes:
        text: often a token's, sometimes none.
        tokens: those that the text came from, where log probabilities were asked for.
        end: the server's reason why the reply ends here, if it does.
        usage: the server's count of tokens, in the last chunk of a server that counts.
        fingerprint: what the server calls its own version.
        ids: the ids of the tokens, from a server that was given the prompt's.
        scores: what is kept of each of these tokens' scores, where that was asked for.
        reused: how many of the prompt's tokens it knew from before, in a last chunk that tells.
        without_id: how many more tokens were written than there are ids; less than none where ids stand for fewer.
    """

    text: str
    tokens: tuple[ChosenToken, ...]
    end: str | None
    usage: CompletionUsage | None
    fingerprint: str | None
    ids: tuple[int, ...] = ()
    scores: tuple[StepScores, ...] = ()
    reused: int | None = None
    without_id: int = 0


def read_chat_chunk(chunk: ChatCompletionChunk) -> Part:
    """A chunk of a chat completion."""
    text, end = "", None
    tokens: tuple[ChosenToken, ...] = ()
    for choice in chunk.choices:
        text = choice.delta.content or ""
        end = choice.finish_reason
        if choice.logprobs and choice.logprobs.content:
            tokens = tuple(map(_chosen, choice.logprobs.content))
    return Part(text, tokens, end, chunk.usage, chunk.system_fingerprint)


def read_completion_chunk(chunk: Completion, top: int | None) -> Part:
    """A chunk of a plain completion; ``top`` is how many likeliest tokens were asked for."""
    text, end = "", None
    tokens: tuple[ChosenToken, ...] = ()
    for choice in chunk.choices:
        text, end = choice.text, choice.finish_reason
        if choice.logprobs:
            tokens = tuple(_chosen_of_completion(choice.logprobs, top or 0))
    return Part(text, tokens, end, chunk.usage, chunk.system_fingerprint)


def read_prompt(completion: Completion, top: int) -> PromptRead | None:
    """The prompt of a completion that echoes it and has no text of its own; None where its tokens are not told.

    Args:
        completion: all of it.
        top: how many likeliest tokens were asked for.
    """
    told = completion.choices[0].logprobs if completion.choices else None
    if told is None or not told.tokens or not told.token_logprobs or told.token_logprobs[0] is not None:
        return None
    likeliest = told.top_logprobs and told.top_logprobs[1:]
    others = Logprobs(tokens=told.tokens[1:], token_logprobs=told.token_logprobs[1:], top_logprobs=likeliest)
    return PromptRead(told.tokens[0].encode(), tuple(_chosen_of_completion(others, top)))


def _chosen(token: ChatCompletionTokenLogprob) -> ChosenToken:
    return ChosenToken(
        _bytes(token), token.logprob, tuple(TokenLogprob(_bytes(t), t.logprob) for t in token.top_logprobs)
    )


def _bytes(token: ChatCompletionTokenLogprob | TopLogprob) -> bytes:
    return bytes(token.bytes) if token.bytes is not None else token.token.encode()


def _chosen_of_completion(logprobs: Logprobs, top: int) -> Iterable[ChosenToken]:
    tokens = logprobs.tokens or []
    likeliest = logprobs.top_logprobs or [{}] * len(tokens)
    for token, logprob, others in zip(tokens, logprobs.token_logprobs or [], likeliest, strict=False):
        yield ChosenToken(token.encode(), logprob, tuple(_sorted(others or {}))[:top])


def _sorted(logprobs: Mapping[str, float]) -> Iterable[TokenLogprob]:
    pairs = sorted(logprobs.items(), key=lambda pair: -pair[1])
    return (TokenLogprob(token.encode(), logprob) for token, logprob in pairs)
