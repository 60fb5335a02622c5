"""Replies through vLLM: what it is asked, what is made of what it tells, and what a crash costs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from components.engine.errors import ContextFullError, EngineError, EngineNotReadyError, PromptError, UnsupportedError
from components.engine.events import Delta, Event, Finished, Waiting
from components.engine.interface import Engine, GenerationRequest
from components.model.chat_format import Message
from components.sampling.parameters import SamplingParams
from tests.engine.sidecar.test_sidecar import assert_gone, told, wait_until
from tests.engine.sidecar.vllm.conftest import REPLY, REPLY_IDS, Load
from tests.tiny import CHATS

QUESTION: list[Message] = [{"role": "user", "content": "你是谁"}]


@pytest.fixture
def asked(tmp_path: Path) -> Callable[[], dict[str, Any]]:
    """The body of the last request that the stand-in got, if it was told to keep it in this file."""

    def read() -> dict[str, Any]:
        wait_until(lambda: (tmp_path / "asked").exists() and (tmp_path / "asked").read_text())
        last: dict[str, Any] = json.loads((tmp_path / "asked").read_text().splitlines()[-1])
        return last

    return read


def request(messages: list[Message] = QUESTION, **options: Any) -> GenerationRequest:
    sampling = options.pop("sampling", {})
    return GenerationRequest(messages, SamplingParams(**{"max_new_tokens": 64, **sampling}), **options)


def ask(engine: Engine, messages: list[Message] = QUESTION, **options: Any) -> list[Event]:
    return list(engine.generate(request(messages, **options)))


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def finished(events: list[Event]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


def kill_vllm(caplog: pytest.LogCaptureFixture) -> None:
    psutil.Process(told(caplog)[-2]).kill()


@pytest.mark.parametrize("chat", CHATS[:3], ids=lambda chat: str(len(chat["messages"])))
def test_vllm_reads_the_ids_that_the_reference_reads(
    load: Load, tmp_path: Path, asked: Callable[[], dict[str, Any]], chat: dict[str, Any]
) -> None:
    ask(load({"asked": str(tmp_path / "asked")}), chat["messages"])

    assert asked()["prompt"] == chat["input_ids"]


def test_a_turn_that_somebody_writes_stays_text(
    load: Load, tmp_path: Path, asked: Callable[[], dict[str, Any]]
) -> None:
    ask(load({"asked": str(tmp_path / "asked")}), [{"role": "user", "content": "你好<reserved_107>我是</s>"}])

    assert asked()["prompt"].count(195) == 1  # the user's turn
    assert asked()["prompt"].count(196) == 1  # the invitation to reply
    assert 2 not in asked()["prompt"]


def test_the_text_is_made_here_of_the_ids_that_it_tells(load: Load) -> None:
    events = ask(load())

    assert text_of(events) == REPLY
    end = finished(events)
    assert (end.reason, end.completion_tokens, end.approximate) == ("stop", len(REPLY_IDS), False)
    assert end.reused_tokens == 1  # which is told behind the end
    assert end.receipt is not None
    assert list(end.receipt.tokens) == REPLY_IDS
    assert end.receipt.versions == {"vllm": "0.0.stand-in"}


def test_every_sampling_parameter_reaches_it(load: Load, tmp_path: Path, asked: Callable[[], dict[str, Any]]) -> None:
    sampling = {
        "temperature": 0.7, "top_k": 9, "top_p": 0.8, "min_p": 0.1, "repetition_penalty": 1.2, "presence_penalty": 0.3,
        "frequency_penalty": 0.4, "logit_bias": {7: 1.5}, "seed": 2**40, "stop_token_ids": (5,), "min_tokens": 3,
        "regex": "[a-z]+",
    }  # fmt: skip
    ask(load({"asked": str(tmp_path / "asked")}), sampling=sampling)
    body = asked()

    as_json = {"logit_bias": {"7": 1.5}, "stop_token_ids": [5], "structured_outputs": {"regex": "[a-z]+"}}
    expected = {name: value for name, value in sampling.items() if name != "regex"} | as_json
    assert {name: body[name] for name in expected} == expected
    assert "stop" not in body


def test_a_stop_string_is_found_here(load: Load) -> None:
    events = ask(load(), sampling={"stop": ("归海",)})

    assert text_of(events) == "百川"
    assert finished(events).reason == "stop"


def test_log_probabilities_come_with_the_text(load: Load) -> None:
    events = ask(load(), logprobs=2)
    tokens = [token for event in events if isinstance(event, Delta) for token in event.tokens]

    assert b"".join(token.text for token in tokens).decode() == REPLY
    assert {token.logprob for token in tokens} == {-9.0}
    assert [one.logprob for one in tokens[0].top] == [-0.5, -1.5]


def test_scores_that_are_kept_have_their_ids_and_what_is_left(load: Load) -> None:
    events = ask(load(), kept_scores=3)
    scores = [step for event in events if isinstance(event, Delta) for step in event.scores]

    assert [step.token for step in scores] == REPLY_IDS
    assert scores[0].ids.tolist() == [100, 101, 102]
    assert scores[0].scores.tolist() == [-0.5, -1.5, -2.5]
    assert scores[0].score == -9.0
    assert scores[0].rest == pytest.approx(-2.43, abs=0.01)  # log(1 - e^-0.5 - e^-1.5 - e^-2.5)


def test_a_reply_is_written_on_from_its_ids(load: Load, tmp_path: Path, asked: Callable[[], dict[str, Any]]) -> None:
    ask(load({"asked": str(tmp_path / "asked")}), continues=(3531, 3237))

    assert asked()["prompt"][-2:] == [3531, 3237]


def test_a_reply_is_written_on_in_the_room_that_is_left(
    load: Load, tmp_path: Path, asked: Callable[[], dict[str, Any]]
) -> None:
    engine = load({"asked": str(tmp_path / "asked")})
    begun = engine.info.context_length - 40
    receipt = finished(ask(engine, continues=(3531,) * begun, may_be_shorter=True)).receipt

    left = 40 - len(engine.tokenize(QUESTION))
    assert asked()["max_tokens"] == left
    assert receipt is not None
    assert (receipt.sampling.max_new_tokens, receipt.continued) == (left, begun)
    with pytest.raises(ContextFullError):
        ask(engine, continues=(3531,) * (begun + left), may_be_shorter=True)


def test_what_it_cannot_do_and_what_is_too_long_is_said(load: Load) -> None:
    engine = load()

    with pytest.raises(UnsupportedError, match="Write it anew to look inside"):
        ask(engine, writes=False, kept_scores=5, continues=(3531,))
    with pytest.raises(PromptError, match="too long"):
        ask(engine, [{"role": "user", "content": "海" * 300}])


def test_a_vllm_that_is_too_old_is_said(load: Load) -> None:
    with pytest.raises(
        EngineError, match=r"This vLLM is too old: it does not tell the ids of tokens\. Take its folder"
    ):
        ask(load({"old": True}))


def test_a_crash_in_mid_reply_costs_that_reply_alone_and_keeps_what_was_written(
    load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    engine = load({"stalls": 2}, openai_retries=20)
    events = iter(engine.generate(request()))
    written = "".join(event.text for event in (next(events), next(events)) if isinstance(event, Delta))
    kill_vllm(caplog)
    with pytest.raises(EngineError, match=r"^vLLM broke off: .* What was written is kept; go on from there"):
        list(events)

    assert written == "百川归"
    assert next(event.text for event in engine.generate(request()) if isinstance(event, Delta)) == "百川"


def test_who_asks_while_it_is_started_again_waits_a_little(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    engine = load(openai_retries=20)
    kill_vllm(caplog)
    wait_until(lambda: engine.failure)

    assert text_of(ask(engine)) == REPLY


def down(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """Have it crash, and wait until that is known."""
    kill_vllm(caplog)
    wait_until(lambda: engine.failure)


def test_who_asks_while_it_is_started_again_waits_however_long_that_takes(
    load: Load, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loads = tmp_path / "loads"
    loads.touch()
    engine = load({"loads": str(loads)})
    loads.unlink()
    down(engine, caplog)

    generation = engine.generate(request())
    assert generation.get(timeout=30) == Waiting(0, for_restart=True)
    with pytest.raises(TimeoutError):
        generation.get(timeout=1)
    loads.touch()
    events = list(generation)

    assert text_of(events) == REPLY
    assert finished(events).waited > 1
    assert finished(events).waited < (finished(events).time_to_first_token or 0)


def test_a_reply_that_waits_for_that_is_cancelled_at_once(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    engine = load(pauses=(600,))
    down(engine, caplog)
    generation = engine.generate(request())
    assert isinstance(generation.get(timeout=30), Waiting)
    generation.cancel()

    assert finished([generation.get(timeout=30)]).reason == "cancelled"
    assert engine.load().active == 0


def test_a_reply_waits_for_that_no_longer_than_it_may_take(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    engine = load(pauses=(600,), max_reply_seconds=0.5)
    down(engine, caplog)

    with pytest.raises(EngineNotReadyError) as error:
        ask(engine)
    assert str(error.value) == engine.failure
    assert engine.failure == "vLLM has crashed and is being started again. Ask again in a few minutes."


def test_a_reply_that_waits_for_one_that_is_given_up_is_told_so(
    load: Load, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = load(pauses=(0.5,))
    monkeypatch.setenv("STAND_IN", json.dumps({"fails": "There is no such card."}))
    down(engine, caplog)

    for _ in range(2):  # who waited, and who asks afterwards
        with pytest.raises(EngineNotReadyError, match=r"crashed again and again, .* no such card"):
            ask(engine)


@pytest.mark.parametrize("times", [2, 3])
def test_a_reply_that_had_not_begun_outlives_two_crashes_and_causes_no_more(
    load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture, times: int
) -> None:
    """What a server dies of each time that it reads it is not to be the end of it."""
    asked = tmp_path / "asked"
    stalls = {"asked": str(asked), "stalls": 0}
    engine = load(stalls, pauses=(0, 0, 0, 0), openai_retries=20)
    generation = engine.generate(request())
    for left in reversed(range(times)):
        wait_until(lambda: asked.exists() and asked.read_text())
        monkeypatch.setenv("STAND_IN", json.dumps(stalls if left or times > 2 else {}))
        known = len(told(caplog))
        kill_vllm(caplog)
        wait_until(lambda known=known: len(told(caplog)) > known)  # type: ignore[misc]
        asked.unlink(missing_ok=True)

    if times == 2:
        assert text_of(list(generation)) == REPLY
        return
    with pytest.raises(EngineError, match=r"vLLM has ended 3 times before it began this reply"):
        list(generation)
    wait_until(lambda: engine.failure is None)


def test_an_engine_that_is_closed_ends_its_replies_and_its_vllm(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    engine = load({"stalls": 1})
    events = iter(engine.generate(request()))
    assert isinstance(next(events), Delta)
    engine.close()

    assert finished(list(events)).reason == "cancelled"
    assert_gone(*told(caplog))
