"""Replies of a wanted length, the same each time, and the speed at which they come."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

TEXT = Path(__file__).parent.parent.parent / "LICENSE"
"""Prose that is always at hand, and repeats itself no more than prose does."""

TOKENS_PER_SECOND = 60

Kind = Literal["prose", "code"]
"""Paragraphs of some 80 words, or a single block of code that ends with the reply."""

WORDS_PER_PARAGRAPH = 80
TOKEN = re.compile(r"\s*(?:\w{1,10}|[^\w\s])")
"""About what a tokenizer makes of English: a word, a part of a long one, or a mark, with the space before. The demo
model's makes 2,053 tokens of the text, this 2,034."""


def reply(kind: Kind, tokens: int) -> list[str]:
    """The reply's tokens."""
    words = TEXT.read_text(encoding="utf-8").split()
    if kind == "code":
        text = "\n".join(f'    print("{" ".join(words[at : at + 8])}", {at})' for at in range(0, len(words), 8))
        pieces = ["```python\n", "def", " recite():\n", *TOKEN.findall(text)]
    else:
        paragraphs = (words[at : at + WORDS_PER_PARAGRAPH] for at in range(0, len(words), WORDS_PER_PARAGRAPH))
        pieces = TOKEN.findall("\n\n".join(" ".join(paragraph) for paragraph in paragraphs))
    if tokens > len(pieces):
        raise ValueError(f"There is text for {len(pieces)} tokens only, not for {tokens}.")
    return pieces[:tokens]


def stream(kind: Kind, tokens: int) -> Iterator[str]:
    """The same, at ``TOKENS_PER_SECOND``."""
    began = time.monotonic()
    for number, token in enumerate(reply(kind, tokens)):
        time.sleep(max(0.0, began + number / TOKENS_PER_SECOND - time.monotonic()))
        yield token


def read_question(question: str) -> tuple[Kind, int]:
    """What "prose 500" asks for."""
    kind, tokens = question.split()
    return ("code" if kind == "code" else "prose"), int(tokens)
