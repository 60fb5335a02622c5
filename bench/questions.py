"""What the readers ask: a fixed list, and texts of a wanted length for long conversations."""

from transformers import PreTrainedTokenizerBase

from bench.apps.replies import TEXT
from components.model.chat_format import Message

CHARACTERS_PER_TOKEN = 16
"""At the most, on the average of a text."""

LONG = (
    "Write a long and detailed story about a lighthouse keeper who finds a letter in a bottle.",
    "Explain in great detail how a river changes the land that it flows through.",
    "Write a long travel report about a journey by train from Lisbon to Beijing.",
    "Describe at length how bread is made, from the field to the table.",
    "Tell the whole history of the bicycle in as much detail as you can.",
    "Write a long dialogue between a teacher and a pupil about why the sky is blue.",
    "Describe a year in the life of a beekeeper, month by month, in detail.",
    "Explain thoroughly how a sailing ship can sail against the wind.",
    "Write a long letter from a grandmother to her grandson who moves to a big city.",
    "Explain in detail what happens in a computer when somebody opens a web page.",
    "Write a detailed plan for a garden with vegetables, fruit trees and a pond.",
    "Tell a long fairy tale about a clockmaker and a dragon.",
    "Describe in detail how a city is supplied with water.",
    "Write a long essay about the use of silence in music.",
    "Explain at length how volcanoes are made and why they erupt.",
    "Write a detailed biography of an imaginary explorer of the Antarctic.",
)
"""Answers to these run longer than any limit here, so that all replies are equally long."""

SHORT = (
    "What is the capital of France? Answer in one word.",
    "Name three colours.",
    "How many days does a week have?",
    "Say hello in one sentence.",
)
"""Answers to these end by themselves."""


def question(number: int, occasion: str, questions: tuple[str, ...] = LONG) -> list[Message]:
    """A conversation that consists of one question, which was not asked like this before.

    ``occasion`` comes first, so that no server finds the rest in its cache of prefixes.
    """
    return [{"role": "user", "content": f"{occasion}, reader {number}. {questions[number % len(questions)]}"}]


def passage(tokenizer: PreTrainedTokenizerBase, tokens: int) -> str:
    """Prose of about so many tokens."""
    prose = " ".join(TEXT.read_text(encoding="utf-8").split())[: tokens * CHARACTERS_PER_TOKEN]
    ids: list[int] = tokenizer.encode(prose, add_special_tokens=False)
    if tokens > len(ids):
        raise ValueError(f"There is prose for {len(ids)} tokens only, not for {tokens}.")
    text = tokenizer.decode(ids[:tokens])
    assert isinstance(text, str)
    return text
