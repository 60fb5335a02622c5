"""A reader goes on with a conversation: how soon does the next reply begin, by what has been said so far?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from bench.questions import passage
from bench.targets import Target
from components.model.chat_format import Message

PREVIOUS_REPLY_TOKENS = 16
LATER_REPLY_TOKENS = 8
NEXT_QUESTION = "And what follows from that? Explain it at length."


@dataclass(frozen=True)
class LaterTurn:
    """How soon a reply began, in seconds, whose prompt had ``prompt_tokens``; without history, it was a first turn."""

    target: str
    round: int
    history: int
    prompt_tokens: int
    first: float


def measure_later_turns(
    targets: Sequence[Target], tokenizer: PreTrainedTokenizerBase, lengths: Sequence[int], rounds: int
) -> Iterator[LaterTurn]:
    """For each length, a turn that makes the history, and the next turn, which is measured."""
    for number in range(rounds):
        for length in lengths:
            for target in targets if number % 2 == 0 else reversed(targets):
                occasion = f"Conversation {number}.{length}"
                history = _talk(target, tokenizer, length, occasion) if length else []
                asked = NEXT_QUESTION if length else f"{occasion}. {NEXT_QUESTION}"
                turn: list[Message] = [*history, {"role": "user", "content": asked}]
                answer = target.answer(turn, LATER_REPLY_TOKENS, occasion)
                yield LaterTurn(target.name, number, length, answer.prompt_tokens, answer.first)


def _talk(target: Target, tokenizer: PreTrainedTokenizerBase, length: int, occasion: str) -> list[Message]:
    """A first turn; it and its reply have about ``length`` tokens."""
    text = f"{occasion}. Sum up: {passage(tokenizer, length - PREVIOUS_REPLY_TOKENS)}"
    asked: Message = {"role": "user", "content": text}
    reply = target.answer([asked], PREVIOUS_REPLY_TOKENS, occasion)
    return [asked, {"role": "assistant", "content": reply.text}]
