"""What other servers send of a character that is not complete."""

import random

import pytest

from components.engine.events import Delta, Finished
from components.engine.interface import Generation, GenerationRequest
from components.engine.remote.chunks import Part
from components.engine.remote.streamed_reply import StreamedReply

MARK = "\ufffd"
CASES = [
    (["a", "b"], "ab"),
    (["a", MARK], "a"),
    (["a", MARK, MARK], "a"),
    ([f"a{MARK}{MARK}"], "a"),
    ([MARK], ""),
    ([f"U+FFFD is {MARK}", ", a mark."], f"U+FFFD is {MARK}, a mark."),
    ([MARK, MARK, "a", MARK], f"{MARK}{MARK}a"),
    (["a\ud83d", "\ude00b"], "a😀b"),
    (["a\ud83d\ude00b"], "a😀b"),
    (["a\ud83d"], "a"),
    (["a\ude00"], "a"),
    (["a\ud83d", "b\ude00c"], f"a{MARK}b{MARK}c"),
    (["\ud83d", "\ud83d\ude00", "!"], f"{MARK}😀!"),
]


def read(parts: list[str], end: str) -> list[Delta]:
    generation = Generation()
    reply = StreamedReply(GenerationRequest([{"role": "user", "content": "?"}]), generation)
    for text in parts:
        reply.take(Part(text, (), None, None, None))
    reply.take(Part("", (), end, None, None))
    assert reply.end is not None
    reply.finish(Finished(reply.end, reply.prompt_tokens, reply.completion_tokens, 1.0, 0.1))
    *deltas, _ = generation
    return [event for event in deltas if isinstance(event, Delta)]


@pytest.mark.parametrize("end", ["stop", "length"])
@pytest.mark.parametrize(("parts", "text"), CASES)
def test_a_text_ends_with_its_last_whole_character(parts: list[str], text: str, end: str) -> None:
    deltas = read(parts, end)

    assert "".join(delta.text for delta in deltas) == text
    assert all(delta.text and delta.text.encode() for delta in deltas)
    assert sum(delta.count for delta in deltas) <= len(parts)


def test_how_a_text_is_cut_into_parts_makes_no_difference() -> None:
    chance = random.Random(7)
    for _ in range(500):
        text = "".join(chance.choice(["a", MARK, "\ud83d", "\ude00", "龘"]) for _ in range(8))
        at = sorted(chance.sample(range(9), 3))
        parts = [text[begin:end] for begin, end in zip([0, *at], [*at, None], strict=True)]
        assert "".join(one.text for one in read(parts, "stop")) == "".join(one.text for one in read([text], "stop"))
