"""A reply that a server could not end goes on by its token ids: the same as if nothing had happened."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
import torch

from components.chats.chat import Chat
from components.chats.controls import Controls
from components.engine.errors import EngineError
from components.engine.events import Delta, Waiting
from components.engine.interface import GenerationRequest
from components.engine.local.engine import LocalEngine
from components.engine.local.loading import build_engine
from components.model.loading import load_model
from components.sampling.parameters import SamplingParams
from components.settings import Settings
from components.store.rows import Message
from tests.chats.helpers import Start, finish, wait_until
from tests.scripted_engine import Script, ScriptedEngine
from tests.tiny import TINY_PATH

LONG = Controls(SamplingParams(temperature=1.0, seed=3, repetition_penalty=1.2, max_new_tokens=120))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    """The tiny Baichuan checkpoint, whose replies are of any tokens, parts of characters among them."""
    model, tokenizer = load_model(TINY_PATH, dtype=torch.float32, device="cpu")
    engine = build_engine(model, tokenizer, Settings(data_dir=tmp_path_factory.mktemp("tiny")), "tiny")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def pieces(tiny: LocalEngine) -> list[Delta]:
    """The whole reply as it comes from the engine."""
    request = GenerationRequest([{"role": "user", "content": "你好"}], LONG.sampling, "visitor:one")
    return [event for event in tiny.generate(request) if isinstance(event, Delta)]


def first(pieces: list[Delta], after: Iterable[EngineError] = ()) -> Script:
    """An engine that says these pieces and then no more, as one that is killed there."""

    def script(_: GenerationRequest) -> Iterator[Delta | EngineError | Waiting]:
        yield from pieces
        yield from after
        while True:
            time.sleep(0.005)
            yield Waiting(0)

    return script


def last(chat: Chat) -> Message:
    assert chat.last is not None
    return chat.last


def interrupted(chat: Chat, script: Script, text: str) -> None:
    chat.ask(ScriptedEngine(script).with_info(model="tiny"), "你好", LONG)
    wait_until(lambda: chat.now(last(chat)).text == text, "the pieces do not come")


def text_of(pieces: list[Delta]) -> str:
    return "".join(piece.text for piece in pieces)


def test_pieces_tell_their_token_ids(tiny: LocalEngine, pieces: list[Delta]) -> None:
    assert any(piece.count > 1 for piece in pieces), "no character of several tokens: nothing is proven"
    assert all(len(piece.ids) == piece.count for piece in pieces)
    ids = [token for piece in pieces for token in piece.ids]
    assert tiny.detokenize(ids).strip() == text_of(pieces).strip()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_cut_reply_goes_on_as_if_it_had_not_been_cut(
    chat: Chat, start: Start, tiny: LocalEngine, pieces: list[Delta], share: float
) -> None:
    begun = pieces[: max(1, int(len(pieces) * share))]
    interrupted(chat, first(begun), text_of(begun))
    chat.replies.close()  # what was written is kept, and the reply marked as cut
    chat.stop()
    again = Chat.open(chat.asker, start(), chat.conversation.id)
    assert last(again).text == text_of(begun)
    left = LONG.sampling.max_new_tokens - sum(piece.count for piece in begun)
    again.resume(tiny, last(again), replace(LONG, sampling=LONG.sampling.model_copy(update={"max_new_tokens": left})))
    finish(again)
    assert last(again).text == text_of(pieces)


def test_a_failed_reply_goes_on_by_its_tokens(chat: Chat, tiny: LocalEngine, pieces: list[Delta]) -> None:
    begun = pieces[:5]
    interrupted(chat, first(begun, [EngineError("The device ran out of memory.")]), text_of(begun))
    finish(chat)
    assert list(chat.replies.tokens(last(chat))) == [token for piece in begun for token in piece.ids]
    chat.resume(tiny, last(chat), LONG)
    finish(chat)
    assert last(chat).text.startswith(text_of(pieces)[:20])


def test_another_model_is_not_given_ids_that_mean_other_words_to_it(chat: Chat, pieces: list[Delta]) -> None:
    begun = pieces[:5]
    interrupted(chat, first(begun, [EngineError("The device ran out of memory.")]), text_of(begun))
    finish(chat)
    other = ScriptedEngine().with_info(model="other")
    chat.resume(other, last(chat), LONG)
    finish(chat)
    assert not other.requests[-1].continues
    assert other.requests[-1].messages[-1] == {"role": "assistant", "content": text_of(begun)}


def test_what_went_on_by_text_is_not_taken_for_its_last_tokens(chat: Chat, tiny: LocalEngine) -> None:
    def known_by_text(_: GenerationRequest) -> Iterator[str | EngineError]:
        yield "床前"
        yield EngineError("The server did not answer.")

    chat.ask(ScriptedEngine(known_by_text).with_info(model="tiny"), "你好", LONG)
    finish(chat)
    chat.resume(tiny, last(chat), LONG)
    finish(chat)
    assert last(chat).text.startswith("床前")
    assert not chat.replies.tokens(last(chat))
