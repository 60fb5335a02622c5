"""Parts of a stream that come together say the same as one after the other."""

import pytest

from components.engine.events import ChosenToken, Delta, Event, Finished
from components.engine.interface import Generation, GenerationRequest
from components.engine.remote.chunks import Part
from components.engine.remote.reply_by_ids import END_TOKEN, ReplyByIds
from components.engine.remote.sse import joined
from components.model.token_texts import TokenTexts

TEXTS = {5: b"a", 6: b"b", 7: "海".encode()[:1], 8: "海".encode()[1:], 2: b""}
END = 2


def part(*ids: int, end: str | None = None, without_id: int = 0) -> Part:
    tokens = tuple(ChosenToken(TEXTS[id_], -1.0) for id_ in ids)
    return Part("", tokens, end, None, None, ids, without_id=without_id)


def read(*parts: Part) -> tuple[ReplyByIds, list[Event]]:
    generation = Generation()
    request = GenerationRequest([{"role": "user", "content": "?"}], logprobs=0)
    reply = ReplyByIds(request, generation, [9], TokenTexts(TEXTS.__getitem__, TEXTS.__getitem__))
    for one in parts:
        reply.take(one)
    assert reply.end is not None
    reply.finish(Finished(reply.end, reply.prompt_tokens, reply.completion_tokens, 1.0, 0.1))
    return reply, list(generation)


@pytest.mark.parametrize("together", [1, 2, 3, 4, 5])
def test_the_token_that_ends_a_reply_is_none_of_its_tokens(together: int) -> None:
    parts = [part(5), part(7), part(8), part(END), part(end=END_TOKEN)]
    reply, events = read(*parts[:-together], joined(parts[-together:]))
    *deltas, last = events

    assert reply.ids == [5, 7, 8]
    assert isinstance(last, Finished)
    assert last.completion_tokens == 3
    assert "".join(event.text for event in deltas if isinstance(event, Delta)) == "a海"
    assert [id_ for event in deltas if isinstance(event, Delta) for id_ in event.ids] == [5, 7, 8]
    assert [one.text for one in last.tokens] == [b""]


@pytest.mark.parametrize("without_id", [2, -2])
@pytest.mark.parametrize("together", [1, 3])
def test_tokens_are_counted_as_they_were_written_whatever_their_ids_are(together: int, without_id: int) -> None:
    parts = [part(5), part(6, 6, 6, 6, without_id=without_id), part(end="length")]
    _, events = read(*parts[:-together], joined(parts[-together:]))
    *deltas, last = events

    assert isinstance(last, Finished)
    assert last.completion_tokens == 5 + without_id
    assert sum(event.count for event in deltas if isinstance(event, Delta)) == 5 + without_id
