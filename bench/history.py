"""How soon a reply begins, by the length of its prompt: of one that is new, and of a conversation that goes on."""

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
    """How soon a reply began, in seconds, whose prompt had ``prompt_tokens``.

    ``is_known``: the history had been read and written before. Else it is the question itself that is so long, and new.
    """

    target: str
    round: int
    history: int
    prompt_tokens: int
    first: float
    is_known: bool = True


def measure_later_turns(
    targets: Sequence[Target], tokenizer: PreTrainedTokenizerBase, lengths: Sequence[int], rounds: int
) -> Iterator[LaterTurn]:
    """For each length, a turn that makes the history, whose prompt is new, and the next turn; for 0 only that."""
    for number in range(rounds):
        for length in lengths:
            for target in targets if number % 2 == 0 else reversed(targets):
                occasion = f"Conversation {number}.{length}"
                history: list[Message] = []
                if length:
                    text = f"{occasion}. Sum up: {passage(tokenizer, length - PREVIOUS_REPLY_TOKENS)}"
                    history = [{"role": "user", "content": text}]
                    answer = target.answer(history, PREVIOUS_REPLY_TOKENS, occasion)
                    yield LaterTurn(target.name, number, length, answer.prompt_tokens, answer.first, is_known=False)
                    history.append({"role": "assistant", "content": answer.text})
                asked = NEXT_QUESTION if length else f"{occasion}. {NEXT_QUESTION}"
                turn: list[Message] = [*history, {"role": "user", "content": asked}]
                answer = target.answer(turn, LATER_REPLY_TOKENS, occasion)
                yield LaterTurn(target.name, number, length, answer.prompt_tokens, answer.first)
