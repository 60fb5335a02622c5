"""All targets write the same work and count it alike."""

from collections.abc import Iterator

import pytest
import torch

from bench.history import measure_later_turns
from bench.loading import load_tokenizer
from bench.targets import SAMPLING, BatchTarget, EngineTarget, OpenAITarget, PlainTarget, Target
from bench.throughput import measure_throughput, summarize
from components.checkpoints.locate import Checkpoint
from components.engine.local.loading import build_engine
from components.model.chat_format import Message
from components.model.loading import load_model
from components.sampling.parameters import SamplingParams
from components.settings import Settings
from tests.bench.openai_server import openai_server
from tests.tiny import CHATS, TINY_PATH

GREEDY = SamplingParams(temperature=0.0, repetition_penalty=1.0)
QUESTION: list[Message] = [{"role": "user", "content": "你是谁"}]


@pytest.fixture(scope="module")
def plain() -> PlainTarget:
    return PlainTarget(*load_model(TINY_PATH, dtype=torch.float32, device="cpu"), sampling=GREEDY)


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineTarget]:
    model, tokenizer = load_model(TINY_PATH, dtype=torch.float32, device="cpu")
    engine = build_engine(model, tokenizer, Settings(data_dir=tmp_path_factory.mktemp("data")), "tiny")
    yield EngineTarget(engine, GREEDY)
    engine.close()


@pytest.mark.parametrize("index", [0, 1, 2, 3])
def test_plain_generate_and_the_engine_read_and_write_the_same_tokens(
    plain: PlainTarget, application: EngineTarget, index: int
) -> None:
    one, other = (target.answer(CHATS[index]["messages"], 24, "x") for target in (plain, application))

    assert one.text == other.text == CHATS[index]["greedy_text"]
    assert (one.tokens, one.prompt_tokens) == (other.tokens, other.prompt_tokens)
    assert one.tokens == 24


def test_a_batch_of_questions_of_any_length_is_answered_as_each_alone() -> None:
    target = BatchTarget(*load_model(TINY_PATH, dtype=torch.float32, device="cpu"), sampling=GREEDY)
    seconds, answers = target.answer_at_once([chat["messages"] for chat in CHATS[:4]], 24)

    assert [answer.text for answer in answers] == [chat["greedy_text"] for chat in CHATS[:4]]
    assert {(answer.tokens, answer.first, answer.seconds) for answer in answers} == {(24, seconds, seconds)}
    assert len({answer.prompt_tokens for answer in answers}) > 1


def test_an_openai_server_is_counted_like_the_others(plain: PlainTarget, application: EngineTarget) -> None:
    with openai_server() as server:
        targets: list[Target] = [plain, application, OpenAITarget(server.url)]
        answers = [target.answer(QUESTION, 12, "x") for target in targets]

    assert {answer.tokens for answer in answers} == {12}
    assert answers[2].text == "".join(f"w{number} " for number in range(12))
    assert answers[2].prompt_tokens == 7
    assert all(0 < answer.first <= answer.seconds for answer in answers)


def test_an_openai_server_gets_the_sampling_that_all_get() -> None:
    with openai_server() as server:
        OpenAITarget(server.url, "another").answer(QUESTION, 12, "x")
        (asked,) = server.asked

    assert asked["model"] == "another"
    assert {name: asked[name] for name in ("temperature", "top_p", "top_k", "repetition_penalty")} == {
        "temperature": SAMPLING.temperature,
        "top_p": SAMPLING.top_p,
        "top_k": SAMPLING.top_k,
        "repetition_penalty": SAMPLING.repetition_penalty,
    }


def test_a_server_that_does_not_count_is_refused() -> None:
    with openai_server() as server:
        server.tells_usage = False
        with pytest.raises(ValueError, match="no usage"):
            OpenAITarget(server.url).answer(QUESTION, 3, "x")


def test_a_reply_that_fails_is_told_and_does_not_hang(plain: PlainTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ArithmeticError("boom")

    with monkeypatch.context() as patch:
        patch.setattr(plain._model, "generate", fail)
        with pytest.raises(ArithmeticError, match="boom"):
            plain.answer(QUESTION, 4, "x")

    assert plain.answer(QUESTION, 4, "x").tokens == 4


def test_everybody_in_a_crowd_gets_their_own_reply(plain: PlainTarget, application: EngineTarget) -> None:
    for target in (plain, application):
        _, answers = target.answer_at_once([chat["messages"] for chat in CHATS[:4]], 24)

        assert [answer.text for answer in answers] == [chat["greedy_text"] for chat in CHATS[:4]]


def test_each_round_asks_every_target_the_same_and_takes_turns(plain: PlainTarget, application: EngineTarget) -> None:
    crowds = list(measure_throughput([plain, application], [1, 2], 6, rounds=2))

    order = [(crowd.round, crowd.users, crowd.target) for crowd in crowds]
    one, other = plain.name, application.name
    assert order == [
        *((0, 1, one), (0, 1, other), (0, 2, one), (0, 2, other)),
        *((1, 1, other), (1, 1, one), (1, 2, other), (1, 2, one)),
    ]
    for users in (1, 2):
        counts = {
            tuple((answer.prompt_tokens, answer.tokens) for answer in crowd.answers)
            for crowd in crowds
            if crowd.users == users and crowd.round == 0
        }
        assert len(counts) == 1


def test_a_crowds_figures_follow_from_its_replies(plain: PlainTarget) -> None:
    crowds = list(measure_throughput([plain], [2], 6, rounds=3))
    summary = summarize(crowds)

    assert summary.replies == 6
    assert summary.tokens_per_second in [12 / crowd.seconds for crowd in crowds]
    firsts = sorted(answer.first for crowd in crowds for answer in crowd.answers)
    assert firsts[2] <= summary.first_median <= firsts[3]
    assert firsts[4] <= summary.first_95 <= firsts[5]


def test_a_later_turn_has_the_history_that_is_asked_for(plain: PlainTarget, application: EngineTarget) -> None:
    tokenizer = load_tokenizer(Checkpoint(TINY_PATH, "tiny", is_demo=False))
    turns = list(measure_later_turns([plain, application], tokenizer, [0, 120], rounds=1))

    fresh, new, later = (
        {turn.prompt_tokens for turn in turns if (turn.history, turn.is_known) == kind}
        for kind in ((0, True), (120, False), (120, True))
    )
    assert len(fresh) == len(new) == len(later) == 1
    assert 120 <= later.pop() - fresh.pop() < 160
    assert 100 <= new.pop() < 160
