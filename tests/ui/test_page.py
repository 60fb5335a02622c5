from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from components.engine.errors import ContextFullError, EngineError, LimitError, QueueFullError
from components.engine.events import Finished
from components.engine.host import Failed, Loading, Ready
from components.engine.interface import GenerationRequest
from components.engine.receipts import Receipt
from components.sampling.parameters import SamplingParams
from components.ui.texts import EN, ZH, ErrorKind
from tests.scripted_engine import ScriptedEngine
from tests.ui.conftest import OpenPage, StillHost


def ask(page: AppTest, question: str) -> AppTest:
    page.chat_input(key="question").set_value(question).run()
    assert not page.exception
    return page


def bubbles(page: AppTest) -> list[str]:
    """What stands in the bubbles, without what stands below a reply."""
    return [
        "\n".join(str(element.value) for element in [*bubble.text, *bubble.markdown]) for bubble in page.chat_message
    ]


def contents(request: GenerationRequest) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in request.messages]


def test_a_question_is_answered(page: AppTest) -> None:
    ask(page, "hello")
    assert bubbles(page) == ["hello", "You said: hello"]


def test_the_second_question_brings_the_history(page: AppTest, engine: ScriptedEngine) -> None:
    ask(ask(page, "one"), "two")
    assert contents(engine.requests[1]) == [("user", "one"), ("assistant", "You said: one"), ("user", "two")]


@pytest.mark.parametrize(("tokens", "about"), [((1, 2), ""), ((), "≈ ")], ids=["counted", "not counted"])
def test_only_what_was_counted_is_told_as_such_and_can_be_compared(
    page: AppTest, engine: ScriptedEngine, tokens: tuple[int, ...], about: str
) -> None:
    receipt = Receipt([], None, tokens, SamplingParams(), False, 0, "M", "", "", "", "", {})
    engine.script = lambda _: ["hi", Finished("stop", 5, 2, 1.0, 0.5, receipt=receipt, approximate=not tokens)]
    ask(page, "hello")

    summary = next(caption.value for caption in page.caption if "context" in caption.value and "·" in caption.value)
    assert f" · {about}2 tokens · {about}context 7" in summary
    assert summary.startswith(f"{about}2.0 tokens/s")
    page.session_state[f"icon_menu_{page.session_state['chat'].last.id}"] = True
    page.run()
    assert any(str(button.key).startswith("replay_") for button in page.button) == bool(tokens)


def test_sampling_starts_with_the_checkpoints_defaults(open_page: OpenPage, engine: ScriptedEngine) -> None:
    defaults = SamplingParams(temperature=1, top_k=17, max_new_tokens=160)
    engine.with_info(defaults=defaults)
    ask(open_page(StillHost(Ready(engine, 1.0))).run(), "hello")
    assert engine.requests[0].sampling == defaults


def test_the_sliders_decide_how_the_reply_is_sampled(page: AppTest, engine: ScriptedEngine) -> None:
    page.slider(key="temperature").set_value(0.75)
    page.slider(key="top_k").set_value(40)
    page.number_input(key="seed").set_value(7)
    ask(page, "hello")
    assert engine.requests[0].sampling == SamplingParams(temperature=0.75, top_k=40, seed=7)


def test_reset_brings_the_defaults_back(page: AppTest, engine: ScriptedEngine) -> None:
    page.slider(key="temperature").set_value(0.75)
    page.number_input(key="seed").set_value(7)
    page.button(key="reset").click().run()
    ask(page, "hello")
    assert engine.requests[0].sampling == SamplingParams()


def test_a_regenerated_reply_uses_what_the_sliders_show_then(page: AppTest, engine: ScriptedEngine) -> None:
    ask(page, "hello")
    page.slider(key="temperature").set_value(1.25)
    page.button(key="regenerate").click().run()
    assert engine.requests[1].sampling.temperature == 1.25
    assert contents(engine.requests[1]) == [("user", "hello")]
    assert bubbles(page) == ["hello", "You said: hello"]


def test_the_longest_reply_leaves_room_for_a_question(open_page: OpenPage, engine: ScriptedEngine) -> None:
    engine.with_info(context_length=512, defaults=SamplingParams(max_new_tokens=256))
    page = open_page(StillHost(Ready(engine, 1.0))).run()
    assert page.slider(key="max_new_tokens").max == 496


def test_the_system_prompt_comes_first(page: AppTest, engine: ScriptedEngine) -> None:
    page.text_area(key="system").set_value("  Be brief.  ").run()
    ask(page, "hello")
    assert contents(engine.requests[0]) == [("system", "Be brief."), ("user", "hello")]


def test_a_new_chat_forgets_the_old_one(page: AppTest, engine: ScriptedEngine) -> None:
    ask(page, "one")
    page.button(key="new_chat").click().run()
    assert not page.chat_message
    ask(page, "two")
    assert contents(engine.requests[1]) == [("user", "two")]


def test_an_example_is_asked(page: AppTest, engine: ScriptedEngine) -> None:
    page.button(key="example_0").click().run()
    assert contents(engine.requests[0]) == [("user", EN.examples[0])]


def test_an_error_keeps_the_question_and_can_be_tried_again(page: AppTest, engine: ScriptedEngine) -> None:
    def failing(_: GenerationRequest) -> Iterator[str | EngineError]:
        yield "Half of it"
        yield EngineError("The device ran out of memory.")

    good, engine.script = engine.script, failing
    ask(page, "hello")
    assert bubbles(page) == ["hello", "Half of it"]
    assert page.warning[0].value == EN.errors["other"]
    assert "The device ran out of memory." in [caption.value for caption in page.caption]
    engine.script = good
    assert page.button(key="regenerate").label == EN.retry
    page.button(key="regenerate").click().run()
    assert bubbles(page) == ["hello", "You said: hello"]
    assert not page.warning


@pytest.mark.parametrize(
    ("error", "kind"),
    [(QueueFullError("64 replies wait.", 10), "queue"), (LimitError("60 requests within a minute.", 30), "limit")],
)
def test_a_refusal_is_explained(page: AppTest, engine: ScriptedEngine, error: EngineError, kind: ErrorKind) -> None:
    engine.script = lambda _: [error]
    ask(page, "hello")
    assert page.warning[0].value == EN.errors[kind]
    assert str(error) in [caption.value for caption in page.caption]


def test_a_reply_that_is_not_written_on_stays_and_the_page_says_why(page: AppTest, engine: ScriptedEngine) -> None:
    engine.script = lambda _: ["Hi", Finished("length", 5, 2, 1.0, 0.5)]
    ask(page, "hello")
    error = ContextFullError("The context is full.")
    engine.script = lambda _: [error]
    page.button(key="resume").click().run()
    assert bubbles(page) == ["hello", "Hi"]
    assert [warning.value for warning in page.warning] == [EN.errors["full"]]
    captions = [caption.value for caption in page.caption]
    assert str(error) in captions
    assert any(caption.startswith(EN.ends["length"]) for caption in captions)
    assert page.button(key="regenerate").label == EN.regenerate


def test_a_message_that_is_too_long_is_explained(open_page: OpenPage, engine: ScriptedEngine) -> None:
    engine.with_info(context_length=300, defaults=SamplingParams(max_new_tokens=160))
    page = open_page(StillHost(Ready(engine, 1.0))).run()
    ask(page, "long " * 100)
    assert page.warning[0].value == EN.errors["prompt"]
    assert bubbles(page)[0].startswith("long long")
    ask(page, "short")
    assert bubbles(page)[3] == "You said: short"
    assert contents(engine.requests[-1]) == [("user", "short")]


def test_a_reply_that_was_cut_off_can_be_continued(page: AppTest, engine: ScriptedEngine) -> None:
    engine.script = lambda _: ["a "] * 40
    page.slider(key="max_new_tokens").set_value(16)
    ask(page, "hello")
    assert any(EN.ends["length"] in caption.value for caption in page.caption)
    page.button(key="resume").click().run()
    assert contents(engine.requests[1]) == [("user", "hello"), ("assistant", "a " * 16)]
    assert bubbles(page)[1] == ("a " * 32).strip()


def test_a_reply_whose_tokens_are_known_is_continued_from_them(page: AppTest, engine: ScriptedEngine) -> None:
    """The text may have ended inside a character, of which only the tokens tell."""
    receipt = Receipt([], None, (5, 6, 7), SamplingParams(), False, 0, engine.info.model, "w", "d", "t", "e", {})
    engine.script = lambda _: ["今天", Finished("length", 3, 3, 1.0, 0.5, receipt=receipt)]
    ask(page, "hello")
    page.button(key="resume").click().run()

    assert contents(engine.requests[1]) == [("user", "hello")]
    assert engine.requests[1].continues == (5, 6, 7)
    assert bubbles(page)[1] == "今天今天"


def test_speed_and_context_stand_below_a_reply(page: AppTest) -> None:
    ask(page, "hello")
    caption = next(caption.value for caption in page.caption if "first token" in caption.value)
    assert "2 tokens" in caption
    assert "context 7 of 40,000" in caption


@pytest.mark.parametrize(("prompt", "end"), [(39_996, "length"), (39_997, "full")])
def test_a_reply_that_filled_the_context_says_so(page: AppTest, engine: ScriptedEngine, prompt: int, end: str) -> None:
    engine.script = lambda _: ["Hi", Finished("length", prompt, 3, 1.0, 0.5)]
    ask(page, "hello")
    assert any(caption.value.startswith(EN.ends[end]) for caption in page.caption)


def test_what_no_longer_fits_is_marked(open_page: OpenPage, engine: ScriptedEngine) -> None:
    engine.with_info(context_length=240, defaults=SamplingParams(max_new_tokens=160))
    page = open_page(StillHost(Ready(engine, 1.0))).run()
    ask(page, "a question that takes a part of the room")
    captions = [caption.value for caption in page.caption]
    assert EN.forgotten_above in captions
    assert EN.forgotten.format(length=240) in captions


def test_nothing_is_marked_while_everything_fits(page: AppTest) -> None:
    ask(page, "hello")
    assert EN.forgotten_above not in [caption.value for caption in page.caption]


def test_a_demo_model_says_so(open_page: OpenPage, engine: ScriptedEngine) -> None:
    engine.with_info(is_demo=True)
    page = open_page(StillHost(Ready(engine, 1.0))).run()
    assert "python download.py" in page.info[0].value


def test_what_is_running_is_shown(page: AppTest) -> None:
    assert "Scripted-1B · cpu · bfloat16 · context 40,000 tokens" in [caption.value for caption in page.caption]


def test_loading_says_what_it_does_and_for_how_long(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.ui.startup.time", SimpleNamespace(monotonic=lambda: 112.4))
    page = open_page(StillHost(Loading("weights", 100.0))).run()
    assert page.caption[0].value == f"{EN.stages['weights']} · 12 s"
    assert not page.chat_input


def test_a_failed_start_says_why_and_can_be_repeated(open_page: OpenPage) -> None:
    host = StillHost(Failed("The disk is full."))
    page = open_page(host).run()
    assert page.text[0].value == "The disk is full."
    page.button(key="load_again").click().run()
    assert host.starts == 1


def test_the_language_is_switched_and_kept_in_the_link(page: AppTest) -> None:
    assert page.chat_input(key="question").placeholder == EN.ask
    page.segmented_control(key="language").set_value("zh").run()
    assert page.chat_input(key="question").placeholder == ZH.ask
    assert page.query_params["lang"] == "zh"


def test_a_chinese_browser_gets_chinese(open_page: OpenPage, engine: ScriptedEngine) -> None:
    page = open_page(StillHost(Ready(engine, 1.0)))
    page.context = {"locale": "zh-TW"}
    assert page.run().chat_input(key="question").placeholder == ZH.ask
