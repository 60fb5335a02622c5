"""Scores of replies on the page: kept as they grow, found again, and read anew by the model where they are gone."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import torch

from components.chats.asker import Asker
from components.chats.chat import Chat
from components.chats.controls import Controls
from components.chats.inside import UnknownScoresError, exact_steps, kept_scores
from components.engine.errors import ContextFullError, EngineError, PromptError, UnsupportedError
from components.engine.events import ChosenToken, Delta, TokenLogprob
from components.engine.interface import GenerationRequest
from components.engine.local.engine import LocalEngine
from components.engine.local.loading import build_engine
from components.model.chat_format import Message as Turn
from components.model.loading import load_model
from components.sampling.kept import KeptScores
from components.sampling.parameters import SamplingParams
from components.settings import Settings, get_settings
from components.store.rows import Message
from components.store.scores import Scores
from tests.chats.helpers import Start, finish
from tests.scripted_engine import ScriptedEngine
from tests.tiny import TINY_PATH

LENGTH = 12
# By chance a reply of this model ends with its first token, about one in 600, and has nothing inside.
SAMPLING = SamplingParams(
    temperature=1.2, top_k=0, top_p=1.0, repetition_penalty=1.1, max_new_tokens=LENGTH, ignore_eos=True
)
CONTROLS = Controls(SAMPLING, system="Be brief.")

Model = tuple[Any, Any]


@pytest.fixture(scope="module")
def tiny() -> Model:
    return load_model(TINY_PATH, dtype=torch.float32, device="cpu")


@pytest.fixture(scope="module")
def local(tiny: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"))
    engine = build_engine(copy.deepcopy(tiny[0]), tiny[1], settings, "tiny")
    yield engine
    engine.close()


def ask(chat: Chat, engine: Any, question: str, controls: Controls = CONTROLS) -> Message:
    chat.ask(engine, question, controls)
    finish(chat)
    assert chat.last is not None
    return chat.last


def assert_are_a_plain_passs(tiny: Model, chat: Chat, engine: LocalEngine, message: Message, kept: KeptScores) -> None:
    receipt = chat.receipt(message)
    assert receipt is not None
    prompt = engine.tokenize(receipt.messages)
    assert kept.vocabulary == engine.info.vocabulary
    assert len(receipt.tokens) >= LENGTH
    assert [step.token for step in kept.steps[: len(receipt.tokens)]] == list(receipt.tokens)
    assert len(kept.steps) == len(receipt.tokens)
    with torch.no_grad():
        logits = tiny[0](torch.tensor([[*prompt, *receipt.tokens]]), use_cache=False).logits[0, len(prompt) - 1 :]
    for step, wanted in zip(kept.steps, logits, strict=False):
        assert len(step.ids) == 50
        assert step.scores == pytest.approx(wanted.topk(50).values.numpy(), abs=1e-4)
        assert step.score == pytest.approx(float(wanted[step.token]), abs=1e-4)


def test_the_scores_of_a_reply_are_found_after_a_restart(start: Start, tiny: Model, local: LocalEngine) -> None:
    chat = Chat.new(Asker("one"), start())
    reply = ask(chat, local, "你是谁")
    assert_are_a_plain_passs(tiny, chat, local, reply, kept_scores(chat, local, reply))
    again = Chat.open(Asker("one"), start(), chat.conversation.id)
    # No model is needed for what is kept.
    kept = kept_scores(again, ScriptedEngine(), reply)
    assert_are_a_plain_passs(tiny, again, local, reply, kept)


def test_the_step_that_ended_a_reply_is_kept_too(chat: Chat, tiny: Model, local: LocalEngine) -> None:
    end = tiny[0].config.eos_token_id
    ending = {"ignore_eos": False, "logit_bias": {end: 100.0}, "min_tokens": 5}
    reply = ask(chat, local, "你是谁", Controls(SAMPLING.model_copy(update=ending)))
    kept = kept_scores(chat, local, reply)
    assert len(chat.replies.tokens(reply)) == 5
    assert [step.token for step in kept.steps] == [*chat.replies.tokens(reply), end]


def test_a_reply_written_on_keeps_its_scores_and_adds_to_them(start: Start, tiny: Model, local: LocalEngine) -> None:
    chat = Chat.new(Asker("one"), start())
    first = ask(chat, local, "你是谁")
    before = kept_scores(chat, local, first)
    chat.resume(local, first, CONTROLS)
    finish(chat)
    assert chat.last is not None
    assert chat.last.id == first.id
    after = kept_scores(chat, local, chat.last)
    tokens = chat.replies.tokens(first)
    assert len(after.steps) == 2 * LENGTH
    assert after.steps[:LENGTH] == before.steps, "kept, not read anew"
    assert_are_a_plain_passs(tiny, chat, local, chat.last, after)
    # The store has the whole, too.
    with chat.replies.database.reading() as connection:
        packed = Scores(connection, chat.conversation.id).get(first.id)
    assert packed is not None
    assert len(KeptScores.unpack(packed).steps) == len(tokens) == 2 * LENGTH


def test_scores_that_are_gone_are_read_by_the_model(start: Start, tiny: Model, local: LocalEngine) -> None:
    chat = Chat.new(Asker("one"), start())
    ask(chat, local, "你是谁")
    reply = ask(chat, local, "再说一遍")
    forget(chat, reply)
    again = Chat.open(Asker("one"), start(), chat.conversation.id)
    assert again.replies.scores(reply) is None
    assert_are_a_plain_passs(tiny, again, local, reply, kept_scores(again, local, reply))


def test_what_a_reply_did_not_see_when_it_was_written_on_is_not_read(start: Start, local: LocalEngine) -> None:
    """Written on, a reply takes more room, so the model saw less of the history than at first."""
    chat = Chat.new(Asker("one"), start())
    answer = ask(chat, local, "你是谁")
    history: list[Turn] = [
        {"role": "system", "content": CONTROLS.system},
        {"role": "user", "content": "你是谁"},
        {"role": "assistant", "content": answer.text},
    ]
    # It fits beside 16 tokens of reply and does not beside 24.
    longest, question = local.info.context_length - 16, "一"
    while len(local.tokenize([*history, {"role": "user", "content": question + "一"}])) <= longest:
        question += "一"
    reply = ask(chat, local, question)
    assert reply.reply is not None
    assert reply.reply.prompt_tokens is not None
    assert reply.reply.prompt_tokens > longest - 8, "all fits at first"
    # It could have become twice as long, and ends after four tokens more.
    ending = {"stop_token_ids": (77,), "logit_bias": {77: 100.0}, "min_tokens": LENGTH + 4}
    chat.resume(local, reply, Controls(SAMPLING.model_copy(update=ending), CONTROLS.system))
    finish(chat)
    assert chat.last is not None
    assert chat.last.reply is not None
    assert (chat.last.reply.prompt_tokens or 0) < longest, "some did not when it was written on"
    kept = chat.replies.scores(chat.last)
    assert kept is not None
    forget(chat, chat.last)
    again = Chat.open(Asker("one"), start(), chat.conversation.id)
    read = kept_scores(again, local, chat.last)
    assert len(read.steps) == LENGTH + 4
    assert read.steps[-1].scores == pytest.approx(kept.steps[len(read.steps) - 1].scores, abs=1e-4)


def test_damaged_scores_are_read_anew(start: Start, tiny: Model, local: LocalEngine) -> None:
    chat = Chat.new(Asker("one"), start())
    reply = ask(chat, local, "你是谁")
    forget(chat, reply, b"damaged")
    again = Chat.open(Asker("one"), start(), chat.conversation.id)
    assert_are_a_plain_passs(tiny, again, local, reply, kept_scores(again, local, reply))


def test_exact_steps_are_what_a_run_would_choose_from(start: Start, tiny: Model, local: LocalEngine) -> None:
    chat = Chat.new(Asker("one"), start())
    reply = ask(chat, local, "你是谁")
    receipt = chat.receipt(reply)
    assert receipt is not None
    sampling = SamplingParams(temperature=0.7, top_k=0, top_p=0.4, repetition_penalty=1.0)
    places = [len(receipt.tokens), 0, 3, 0]
    steps = exact_steps(chat, local, reply, sampling, places)
    prompt = local.tokenize(receipt.messages)
    with torch.no_grad():
        logits = tiny[0](torch.tensor([[*prompt, *receipt.tokens]]), use_cache=False).logits[0, len(prompt) - 1 :]
    for place, step in zip(places, steps, strict=True):
        odds, order = (logits[place].double() / 0.7).softmax(-1).sort(descending=True)
        kept = int((odds.cumsum(0) < 0.4).sum()) + 1
        left = step.stages[-1]
        assert left.kept == kept
        assert left.lowest == pytest.approx(float(logits[place][order[kept - 1]]), abs=1e-4)
        assert left.log_total == pytest.approx(float((logits[place][order[:kept]] / 0.7).logsumexp(0)), abs=1e-4)
    with pytest.raises(PromptError, match="places 0 to"):
        exact_steps(chat, local, reply, sampling, [len(receipt.tokens) + 1])
    assert exact_steps(chat, local, reply, sampling, []) == []


def test_another_models_reply_cannot_be_read(start: Start, local: LocalEngine) -> None:
    chat = Chat.new(Asker("one"), start())
    reply = ask(chat, local, "你是谁")
    forget(chat, reply)
    again = Chat.open(Asker("one"), start(), chat.conversation.id)
    other = ScriptedEngine(lambda _: ["x"]).with_info(vocabulary=9)
    with pytest.raises(UnknownScoresError, match="written by tiny, and Scripted-1B runs now"):
        kept_scores(again, other, reply)
    assert other.requests == []


def test_a_reply_whose_tokens_nobody_knows_says_so(chat: Chat) -> None:
    engine = ScriptedEngine()
    reply = ask(chat, engine, "hello")
    with pytest.raises(UnknownScoresError, match="are not known"):
        kept_scores(chat, engine, reply)


def test_the_setting_says_how_many_and_whether(chat: Chat, local: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    for count in (0, 7):
        monkeypatch.setenv("BAICHUAN_KEPT_SCORES", str(count))
        get_settings.cache_clear()
        reply = ask(chat, local, "你是谁")
        kept = chat.replies.scores(reply)
        assert (kept is None) == (count == 0)
        if kept is not None:
            assert {len(step.ids) for step in kept.steps} == {count}
    get_settings.cache_clear()


def of_a_server(request: GenerationRequest) -> Iterable[Delta]:
    """As another server tells its tokens: by their bytes, with log probabilities."""
    for text in ("你".encode()[:2], "你".encode()[2:], b"!"):
        top = (TokenLogprob(text, -0.25), TokenLogprob(b"?", -2.0))
        shown = {b"!": "!"}.get(text, "你" if text == "你".encode()[2:] else "")
        yield Delta(shown, 1, (ChosenToken(text, -0.25, top),))


def test_what_another_server_tells_is_kept_by_its_texts(start: Start) -> None:
    engine = ScriptedEngine(of_a_server)
    chat = Chat.new(Asker("one"), start())
    reply = ask(chat, engine, "hello")
    again = Chat.open(Asker("one"), start(), chat.conversation.id)
    kept = kept_scores(again, engine, reply)
    assert kept.normalized
    assert [kept.texts[step.token] for step in kept.steps] == ["你".encode()[:2], "你".encode()[2:], b"!"]
    assert [[kept.texts[one] for one in step.ids] for step in kept.steps][2] == [b"!", b"?"]
    for step in kept.steps:
        assert step.scores.tolist() == [-0.25, -2.0]
        odds = torch.tensor([-0.25, -2.0, step.rest], dtype=torch.float64).exp().sum()
        assert float(odds) == pytest.approx(1)


def test_scores_of_a_part_are_none(start: Start) -> None:
    """Where a server tells the log probabilities of some tokens only, nothing stands beside the wrong ones."""

    def partly(_: GenerationRequest) -> Iterable[Delta]:
        yield Delta("a", 1, (ChosenToken(b"a", -0.1),))
        yield Delta("b")

    chat = Chat.new(Asker("one"), start())
    assert chat.replies.scores(ask(chat, ScriptedEngine(partly), "hello")) is None


def forget(chat: Chat, message: Message, content: bytes | None = None) -> None:
    with chat.replies.database.writing() as connection:
        Scores(connection, chat.conversation.id).put(message.id, content)


def test_a_branch_begins_with_just_these_tokens_whose_numbers_the_cache_still_has(
    start: Start, tiny: Model, local: LocalEngine
) -> None:
    chat = Chat.new(Asker("one"), start())
    long = Controls(SAMPLING.model_copy(update={"max_new_tokens": 48, "ignore_eos": True}), system="Be brief.")
    first = ask(chat, local, "你是谁", long)
    kept = kept_scores(chat, local, first)
    place = 40
    other = next(token for token in kept.steps[place].ids.tolist() if token != kept.steps[place].token)
    begin = [*(step.token for step in kept.steps[:place]), other]
    chosen = kept.before(begin)
    assert chosen is not None

    chat.branch(local, first, chosen, Controls(SAMPLING))
    finish(chat)

    assert chat.last is not None
    assert chat.siblings[chat.last.id] == [first.id, chat.last.id]
    receipt, before = chat.receipt(chat.last), chat.receipt(first)
    assert receipt is not None
    assert before is not None
    assert list(receipt.tokens[: len(begin)]) == begin
    assert len(receipt.tokens) > len(begin)
    assert receipt.messages == before.messages, "with the system prompt of the reply that it branches from"
    assert receipt.reused > len(local.tokenize(receipt.messages)), "the reply's beginning is not read again"
    assert_are_a_plain_passs(tiny, chat, local, chat.last, kept_scores(chat, local, chat.last))
    assert chat.last.text.startswith(local.reply_text(begin))


def test_a_branch_leaves_the_conversation_what_the_sidebar_shows(start: Start, local: LocalEngine) -> None:
    chat = Chat.new(Asker("one"), start())
    first = ask(chat, local, "你是谁")
    begin = kept_scores(chat, local, first).before(chat.replies.tokens(first)[:3])
    assert begin is not None
    sidebar = Controls(SAMPLING.model_copy(update={"max_new_tokens": 9}), system="Be long.")
    chat.remember(sidebar)

    chat.branch(local, first, begin, sidebar, {"temperature": 0.5})
    finish(chat)

    for one in (chat, Chat.open(Asker("one"), start(), chat.conversation.id)):
        assert one.conversation.system == sidebar.system
        assert one.conversation.sampling == sidebar.sampling.model_dump(mode="json")
    assert chat.last is not None
    receipt = chat.receipt(chat.last)
    assert receipt is not None
    assert receipt.messages[0] == {"role": "system", "content": CONTROLS.system}
    assert receipt.sampling.temperature == 0.5


HALF = Controls(SAMPLING.model_copy(update={"max_new_tokens": 128}), system="Be brief.")
"""A reply may have half of the context, as with the settings that Baichuan 2 comes with."""


def test_a_reply_as_long_as_half_of_the_context_is_written_on(start: Start, tiny: Model, local: LocalEngine) -> None:
    chat = Chat.new(Asker("one"), start())
    ask(chat, local, "今天天气")
    first = ask(chat, local, "你是谁", HALF)
    assert len(chat.replies.tokens(first)) == 128

    chat.resume(local, first, HALF)
    finish(chat)

    assert chat.last is not None
    assert chat.last.reply is not None
    assert chat.last.reply.end == "length"
    receipt = chat.receipt(chat.last)
    assert receipt is not None
    assert [turn["content"] for turn in receipt.messages] == ["Be brief.", "你是谁"], "as much as there was room for"
    prompt = len(local.tokenize(receipt.messages))
    assert prompt + len(receipt.tokens) == local.info.context_length
    assert receipt.sampling.max_new_tokens == len(receipt.tokens) - 128
    forget(chat, chat.last)
    again = Chat.open(Asker("one"), start(), chat.conversation.id)
    assert_are_a_plain_passs(tiny, again, local, chat.last, kept_scores(again, local, chat.last))


def test_a_branch_late_in_a_reply_sees_what_the_reply_has_seen(start: Start, local: LocalEngine) -> None:
    chat = Chat.new(Asker("one"), start())
    ask(chat, local, "今天天气")
    first = ask(chat, local, "你是谁", HALF)
    before = chat.receipt(first)
    assert before is not None
    assert [turn["content"] for turn in before.messages if turn["role"] == "user"] == ["今天天气", "你是谁"]
    begin = kept_scores(chat, local, first).before(before.tokens[:120])
    assert begin is not None

    chat.branch(local, first, begin, HALF)
    finish(chat)

    assert chat.last is not None
    assert chat.last.reply is not None
    receipt = chat.receipt(chat.last)
    assert receipt is not None
    assert receipt.messages == before.messages
    assert chat.last.reply.prompt_tokens == len(local.tokenize(before.messages)) + 120, "nothing was left out"
    assert len(receipt.tokens) > 120


def test_a_reply_that_fills_the_context_stays_as_it_is(start: Start, local: LocalEngine) -> None:
    chat = Chat.new(Asker("one"), start())
    first = ask(chat, local, "你是谁", HALF)
    chat.resume(local, first, HALF)
    finish(chat)
    assert chat.last is not None
    whole, receipt, scores = chat.last, chat.receipt(chat.last), chat.replies.scores(chat.last)
    assert receipt is not None
    assert scores is not None

    chat.resume(local, whole, HALF)
    assert isinstance(chat.refusal(whole), ContextFullError)
    finish(chat)

    for one in (chat, Chat.open(Asker("one"), start(), chat.conversation.id)):
        assert one.last == whole
        assert one.receipt(whole) == receipt
        again = one.replies.scores(whole)
        assert again is not None
        assert again.pack() == scores.pack()


def test_a_branch_is_not_written_by_another_model(start: Start, local: LocalEngine) -> None:
    chat = Chat.new(Asker("one"), start())
    first = ask(chat, local, "你是谁")
    begin = kept_scores(chat, local, first).before(chat.replies.tokens(first)[:3])
    assert begin is not None
    other = ScriptedEngine()
    with pytest.raises(UnsupportedError, match="Another model runs than wrote this reply"):
        chat.branch(other, first, begin, CONTROLS)
    assert chat.last == first
    assert other.requests == []


def test_of_a_reply_that_failed_the_model_reads_what_it_has(start: Start, local: LocalEngine) -> None:
    """There is no receipt, but it is kept what it answered."""
    chat = Chat.new(Asker("one"), start())
    first = ask(chat, local, "你是谁")
    begun, kept = chat.replies.tokens(first)[:5], kept_scores(chat, local, first)
    pieces: list[Delta | EngineError] = [
        Delta(local.reply_text(begun), len(begun), ids=tuple(begun)),
        EngineError("The device is lost."),
    ]
    failing = ScriptedEngine(lambda _: pieces).with_info(model=local.info.model)
    chat.regenerate(failing, first, CONTROLS)
    finish(chat)
    assert chat.last is not None
    assert chat.receipt(chat.last) is None
    read = kept_scores(chat, local, chat.last)
    assert [step.token for step in read.steps] == list(begun)
    assert read.steps[-1].scores == pytest.approx(kept.steps[4].scores, abs=1e-4)
    assert [step.likeliest for step in exact_steps(chat, local, chat.last, SAMPLING, [5])]
