"""Receipts, replays, and the way out of a circle."""

import time
from pathlib import Path

import pytest

from components.checkpoints.fingerprint import fingerprint
from components.engine.events import Finished
from components.engine.interface import Engine, GenerationRequest
from components.engine.local.engine import LocalEngine
from components.engine.local.loading import load_engine
from components.engine.receipts import Receipt, ReceiptError
from components.engine.replay import replay
from components.model.chat_format import Message
from components.sampling.parameters import SamplingParams
from components.settings import Settings
from tests.tiny import TINY_PATH

QUESTION: list[Message] = [{"role": "user", "content": "你是谁"}]


def write(engine: Engine, sampling: SamplingParams) -> Finished:
    *_, last = engine.generate(GenerationRequest(QUESTION, sampling))
    assert isinstance(last, Finished)
    return last


def receipt_of(engine: LocalEngine, sampling: SamplingParams) -> Receipt:
    receipt = write(engine, sampling).receipt
    assert receipt is not None
    return receipt


def test_a_receipt_says_what_the_reply_came_from(engine: LocalEngine) -> None:
    receipt = receipt_of(engine, SamplingParams(temperature=0.9, max_new_tokens=12))

    assert receipt.messages == QUESTION
    assert len(receipt.tokens) == 12
    assert receipt.sampling.seed is not None, "the seed that was drawn"
    assert not receipt.exact, "nobody asked for the same reply again"
    assert (receipt.model, receipt.dtype) == ("tiny", "float32")
    assert receipt.versions.keys() >= {"torch", "transformers"}


def test_a_replay_of_a_seeded_reply_gives_the_same_tokens_among_others_too(engine: LocalEngine) -> None:
    receipt = receipt_of(engine, SamplingParams(temperature=1.3, top_k=0, top_p=1.0, max_new_tokens=30, seed=3))
    others = [engine.generate(GenerationRequest(QUESTION, SamplingParams(max_new_tokens=200))) for _ in range(7)]
    again = replay(engine, Receipt.from_json(receipt.to_json()))
    for other in others:
        other.cancel()

    assert receipt.exact
    assert again.difference is None
    assert again.changed == ()


def test_a_replay_marks_the_first_token_that_differs(engine: LocalEngine) -> None:
    receipt = receipt_of(engine, SamplingParams(temperature=0.0, max_new_tokens=20, seed=3))
    forged = Receipt.from_json(receipt.to_json().replace('"tiny"', '"another"'))
    tokens = list(forged.tokens)
    tokens[7] += 1
    again = replay(engine, Receipt(**{**vars(forged), "tokens": tokens}))

    assert again.difference == 7
    assert again.changed == ("model",)


def test_what_is_no_receipt_is_refused() -> None:
    with pytest.raises(ReceiptError):
        Receipt.from_json("{}")
    with pytest.raises(ReceiptError):
        Receipt.from_json("[]")


def test_the_fingerprint_of_the_weights_is_on_the_receipt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(model=TINY_PATH, data_dir=tmp_path, device="cpu")
    monkeypatch.setattr("components.engine.local.loading.get_settings", lambda: settings)
    engine = load_engine(lambda _: None)
    while engine.weights is None:
        time.sleep(0.01)
    receipt = write(engine, SamplingParams(max_new_tokens=2)).receipt
    engine.close()

    assert receipt is not None
    assert receipt.weights == fingerprint(TINY_PATH, tmp_path)
    assert len(receipt.weights) == 64


def test_a_circle_ends_the_reply_and_the_mildest_penalty_that_breaks_it_is_named(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tiny model's greedy reply does go round in a circle; a guard with a shorter patience sees it in time."""
    monkeypatch.setattr("components.sampling.stopping.MIN_REPEATED", 12)
    greedy = SamplingParams(temperature=0.0, repetition_penalty=1.0, max_new_tokens=250)
    looped = None
    for text in ("你是谁", "a", "b", "你好", "1", "hello", "在", "吗", "c", "d", "e", "f"):
        *_, last = engine.generate(GenerationRequest([{"role": "user", "content": text}], greedy))
        assert isinstance(last, Finished)
        if last.reason == "loop":
            looped = text, last
            break
    assert looped is not None, "no reply went round in a circle"
    text, last = looped
    assert last.suggested_penalty is not None
    assert last.completion_tokens < 250
    penalized = greedy.model_copy(update={"repetition_penalty": last.suggested_penalty})
    *_, after = engine.generate(GenerationRequest([{"role": "user", "content": text}], penalized))
    assert isinstance(after, Finished)
    assert after.reason != "loop"
