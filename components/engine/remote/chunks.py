"""From the chunks of a stream to what the engine tells its reader."""

from dataclasses import dataclass

from openai.types import Completion, CompletionUsage
from openai.types.chat import ChatCompletionChunk

from components.engine.events import ChosenToken, PromptRead
from components.engine.remote.logprobs import entries, field, text_of, tokens_of_chat, tokens_of_text
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


def read_chat_chunk(chunk: ChatCompletionChunk, top: int | None) -> Part:
    """A chunk of a chat completion; ``top`` is how many likeliest tokens were asked for."""
    text, end = "", None
    tokens: tuple[ChosenToken, ...] = ()
    for choice in entries(chunk.choices):
        text = text_of(field(field(choice, "delta"), "content"))
        end = text_of(field(choice, "finish_reason")) or None
        tokens = tokens_of_chat(field(choice, "logprobs"), text, top)
    return Part(text, tokens, end, usage_of(chunk.usage), chunk.system_fingerprint)


def read_completion_chunk(chunk: Completion, top: int | None) -> Part:
    """The same of a plain completion."""
    text, end = "", None
    tokens: tuple[ChosenToken, ...] = ()
    for choice in entries(chunk.choices):
        text = text_of(field(choice, "text"))
        end = text_of(field(choice, "finish_reason")) or None
        tokens = tokens_of_text(field(choice, "logprobs"), text, top)
    return Part(text, tokens, end, usage_of(chunk.usage), chunk.system_fingerprint)


def read_prompt(completion: Completion, top: int) -> PromptRead | None:
    """The prompt of a completion that echoes it and has no text of its own; None where its tokens are not told.

    Args:
        completion: all of it.
        top: how many likeliest tokens were asked for.
    """
    choices = entries(completion.choices)
    told = field(choices[0], "logprobs") if choices else None
    if not all(isinstance(token, str) for token in entries(field(told, "tokens"))):
        return None
    first, *others = tokens_of_text(told, "", top) or (None,)
    if first is None or first.logprob is not None or (others and all(one.logprob is None for one in others)):
        return None
    return PromptRead(first.text, tuple(others))


def usage_of(usage: CompletionUsage | None) -> CompletionUsage | None:
    """A server's count of tokens; None where it counts only some, or none."""
    counts = (field(usage, "prompt_tokens"), field(usage, "completion_tokens"))
    return usage if all(isinstance(count, int) for count in counts) else None
