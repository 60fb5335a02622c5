"""Looking inside a reply of a real, small model."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from playwright.sync_api import Locator, expect
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from tests.browser.chat_page import ChatPage
from tests.browser.conftest import NewBrowser
from tests.server import running_server

Floats = NDArray[np.float32]

CAPITAL = "What is the capital of France?"
QUESTION = "Print the cat emoji 🐱 three times."
"""The model answers with emoji, each of which is several tokens of some bytes."""


@pytest.fixture(scope="module")
def server(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("inside") / "server.log"
    env = {"BAICHUAN_MODEL": str(demo_model), "BAICHUAN_DTYPE": "float32"}
    with running_server(log, env) as url:
        yield url


LEVELS = [0.9, 0.7, 0.5, 0.35, 0.2, 0.1, 0.05, 0.02, 0.005]
"""Below each of these odds a token has another colour."""


@dataclass
class PlainRun:
    """What transformers itself writes for a question, and how likely each token of it was."""

    prompt: torch.Tensor
    tokens: torch.Tensor
    logits: torch.Tensor
    texts: list[str]

    def odds(self, temperature: float, repetition_penalty: float, top_k: int, top_p: float, min_p: float) -> Floats:
        """Of all tokens of the vocabulary at each place, ``[places, vocabulary]``."""
        steps = LogitsProcessorList(
            [
                RepetitionPenaltyLogitsProcessor(float(repetition_penalty)),
                TemperatureLogitsWarper(float(temperature)),
                *([TopKLogitsWarper(top_k)] if top_k else []),
                *([TopPLogitsWarper(top_p)] if top_p < 1 else []),
                *([MinPLogitsWarper(min_p)] if min_p else []),
            ]
        )
        whole = torch.cat([self.prompt, self.tokens])
        each = [
            steps(whole[None, : len(self.prompt) + place], one[None]).softmax(-1)[0].numpy()
            for place, one in enumerate(self.logits)
        ]
        return np.stack(each)


@pytest.fixture(scope="module")
def plain(demo_model: Path) -> PlainRun:
    tokenizer = AutoTokenizer.from_pretrained(demo_model)
    model = AutoModelForCausalLM.from_pretrained(demo_model, dtype=torch.float32)
    chat = [{"role": "user", "content": CAPITAL}]
    prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    ids = prompt["input_ids"]
    with torch.no_grad():
        whole = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=24)[0]
        logits = model(whole[None]).logits[0, ids.shape[1] - 1 : -1]
    tokens = whole[ids.shape[1] :]
    return PlainRun(ids[0], tokens, logits, [tokenizer.decode([token]) for token in tokens])


@pytest.fixture
def chat(new_browser: NewBrowser, server: str) -> ChatPage:
    """A reader whose settings give the same reply every time, and who asked something."""
    chat = ChatPage(new_browser(viewport={"width": 1280, "height": 1200}).new_page(), server)
    chat.page.on("console", lambda message: pytest.fail(message.text) if message.type == "error" else None)
    chat.open("/?temperature=0&repetition_penalty=1&max_new_tokens=24")
    return chat


class Inside:
    """The view of a reply's tokens."""

    def __init__(self, chat: ChatPage, *, is_open: bool = False) -> None:
        if not is_open:
            chat.page.get_by_role("button", name="Look inside").last.click()
        self.root = chat.page.locator(".view").last
        self.root.wait_for()
        self.summary = self.root.locator(".summary")
        self.tokens = self.root.get_by_role("option")
        self.selected = self.root.locator("[aria-selected]")
        self.place = self.root.locator(".where")
        self.rows = self.root.locator(".row")

    def move(self, name: str, value: float) -> None:
        """Move a slider."""
        self.root.locator(f"input[data-name={name}]").fill(str(value))
        self.root.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def colours(self) -> set[str]:
        """Of the tokens."""
        return set(self.tokens.evaluate_all("tokens => tokens.map(token => getComputedStyle(token).backgroundColor)"))

    def levels(self) -> list[str]:
        """Of each token its colour's name, without a mark for where greedy decoding goes another way."""
        names = self.tokens.evaluate_all("tokens => tokens.map(token => token.className)")
        return [name.removesuffix(" greedy") for name in names]

    def row_of(self, text: str) -> Locator:
        """The bar of a token."""
        return self.rows.filter(has=self.root.page.get_by_text(text, exact=True))


def test_a_reply_is_shown_as_its_tokens_with_what_else_could_have_come(chat: ChatPage) -> None:
    chat.ask(QUESTION)
    reply = chat.reply.locator("p").first.inner_text()
    inside = Inside(chat)
    texts = inside.tokens.all_inner_texts()
    assert "".join(texts).strip() == reply.strip()
    assert "🐱" in texts, "its bytes are one character"
    assert len(inside.colours()) == 1, "at temperature 0 every token was certain"
    expect(inside.summary).to_contain_text("the same reply")
    inside.move("temperature", 1)
    chat.wait_until(lambda: len(inside.colours()) > 1, "some tokens were less likely than others")
    # The bytes of the character are looked at one by one.
    inside.tokens.filter(has_text="🐱").first.click()
    expect(inside.root.locator(".part")).not_to_have_count(0)
    inside.root.locator(".part").nth(1).click()
    expect(inside.root.locator(".part").nth(1)).to_have_attribute("aria-pressed", "true")
    expect(inside.rows).to_have_count(12)
    inside.root.get_by_role("button", name="Show all 50").click()
    expect(inside.rows).to_have_count(50)
    chat.page.get_by_role("button", name="Close the view inside").click()
    expect(inside.root).to_have_count(0)


def test_tokens_are_walked_through_with_the_keyboard(chat: ChatPage) -> None:
    chat.ask(CAPITAL)
    inside = Inside(chat)
    box = inside.root.get_by_role("listbox")
    box.focus()
    expect(inside.selected).to_have_text("The")
    box.press("ArrowRight")
    expect(inside.selected).to_have_text(" capital")
    expect(inside.place).to_contain_text("token 2 of")
    expect(inside.root.locator(".row.chosen .text")).to_have_text("␣capital")
    box.press("End")
    last = inside.place.inner_text()
    box.press("ArrowRight")
    expect(inside.place).to_have_text(last)
    box.press("Home")
    expect(inside.place).to_contain_text("token 1 of")
    box.press("Enter")
    expect(inside.root.locator(".numbers")).to_contain_text("before the filters")


def watch(chat: ChatPage) -> list[str | bytes]:
    """What the page sends to the server from now on: it is opened anew, so that its connection is seen."""
    sent: list[str | bytes] = []
    chat.page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    chat.open("/?temperature=0&repetition_penalty=1&max_new_tokens=24")
    return sent


def wait_until_quiet(chat: ChatPage, sent: list[str | bytes]) -> None:
    """Let the page's own runs end: on a busy machine they come late."""
    assert sent
    while sent:
        sent.clear()
        chat.page.wait_for_timeout(2000)


def level_of(odds: float) -> str:
    """The colour of a token with these odds."""
    return f"o{sum(odds < bound for bound in LEVELS)}" if odds else "forbidden"


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 1.0, "repetition_penalty": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0},
        {"temperature": 1.3, "repetition_penalty": 1.0, "top_k": 5, "top_p": 1.0, "min_p": 0.0},
        {"temperature": 0.8, "repetition_penalty": 1.3, "top_k": 20, "top_p": 0.7, "min_p": 0.0},
        {"temperature": 1.5, "repetition_penalty": 1.1, "top_k": 40, "top_p": 1.0, "min_p": 0.05},
    ],
    ids=["plain", "top_k", "top_p", "min_p"],
)
def test_moved_sliders_show_what_a_real_run_would_have_without_a_message_to_the_server(
    chat: ChatPage, plain: PlainRun, settings: dict[str, float]
) -> None:
    sent = watch(chat)
    chat.ask(CAPITAL)
    inside = Inside(chat)
    wait_until_quiet(chat, sent)
    for name, value in settings.items():
        inside.move(name, value)
    wanted = plain.odds(**settings)  # type: ignore[arg-type]
    came = [float(odds[token]) for odds, token in zip(wanted, plain.tokens, strict=True)]
    levels = inside.levels()
    assert len(levels) == len(came)
    for place, (level, odds) in enumerate(zip(levels, came, strict=True)):
        if level.endswith("unknown"):
            continue
        near = {level_of(max(odds - 1e-3, 0.0) if odds else 0.0), level_of(odds), level_of(odds + 1e-3 if odds else 0)}
        assert level in near, (place, plain.texts[place], odds)
        inside.tokens.nth(place).click()
        expect(inside.place).to_contain_text(f"token {place + 1} of")
        row = inside.root.locator(".row.chosen")
        assert float(row.get_attribute("data-odds") or "nan") == pytest.approx(odds, abs=1e-3)
        best = inside.rows.first
        assert float(best.get_attribute("data-odds") or "nan") == pytest.approx(float(wanted[place].max()), abs=1e-3)
    assert ("forbidden" in levels) == (min(came) == 0)
    assert sum(level.endswith("unknown") for level in levels) <= 2, "the kept scores suffice nearly everywhere"
    assert sent == [], "the browser works it out by itself"


def test_where_greedy_decoding_would_have_gone_another_way_is_marked(chat: ChatPage, plain: PlainRun) -> None:
    chat.ask(CAPITAL)
    inside = Inside(chat)
    expect(inside.summary).to_contain_text("the same reply")
    inside.move("repetition_penalty", 1.5)
    greedy = plain.odds(temperature=1, repetition_penalty=1.5, top_k=0, top_p=1, min_p=0).argmax(-1)
    place = int((greedy != plain.tokens.numpy()).argmax())
    expect(inside.summary).to_contain_text(f"first differs at token {place + 1}")
    expect(inside.root.locator(".greedy")).to_have_text(plain.texts[place])


def test_another_token_is_gone_on_with_beside_the_reply(chat: ChatPage) -> None:
    chat.ask(CAPITAL)
    first = chat.reply.locator("p").first.inner_text()
    inside = Inside(chat)
    inside.tokens.filter(has_text=" France").click()
    texts = inside.tokens.all_inner_texts()
    row = inside.root.locator(".row:not(.chosen)").first
    other = row.locator(".text").inner_text().replace("␣", " ")
    inside.move("temperature", 0.3)  # what the view shows is what the reply is written on with
    row.click()
    expect(chat.reply).to_contain_text("2/2")
    chat.wait_for_end()
    begin = "".join(texts[: texts.index(" France")]) + other
    expect(chat.reply.locator("p").first).to_contain_text(begin.strip())
    # The view goes on with it, from its first token on, and the first reply is still there.
    branch = Inside(chat, is_open=True)
    expect(branch.summary).to_contain_text(f"first differs at token {texts.index(' France') + 1}, with ␣France")
    expect(branch.root.locator("input[data-name=temperature]")).to_have_value("0.3")
    assert branch.tokens.all_inner_texts()[: texts.index(" France") + 1] == [*texts[: texts.index(" France")], other]
    chat.page.get_by_role("button", name="The one before").last.click()
    expect(chat.reply.locator("p").first).to_have_text(first)


def test_what_the_kept_scores_do_not_tell_the_model_is_asked_once(chat: ChatPage, plain: PlainRun) -> None:
    sent = watch(chat)
    chat.ask(CAPITAL)
    inside = Inside(chat)
    wait_until_quiet(chat, sent)
    # The temperature last: until then everything is known.
    settings = {"repetition_penalty": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "temperature": 2.0}
    for name, value in settings.items():
        inside.move(name, value)
    expect(inside.summary).to_contain_text("the model is asked")
    expect(inside.summary).not_to_contain_text("do not suffice")
    wanted = plain.odds(**settings)  # type: ignore[arg-type]
    came = [float(odds[token]) for odds, token in zip(wanted, plain.tokens, strict=True)]
    for level, odds in zip(inside.levels(), came, strict=True):
        assert level in {level_of(max(odds - 1e-3, 1e-9)), level_of(odds + 1e-3)}
    assert inside.root.locator("input[data-name=temperature]").input_value() == "2", "the view is as it was"
    # The bars take the answer, too, before the filters and behind them.
    inside.tokens.nth(3).click()
    for rank, row in enumerate(inside.rows.all()):
        odds = float(np.sort(wanted[3])[::-1][rank])
        if "chosen" not in (row.get_attribute("class") or ""):
            assert float(row.get_attribute("data-odds") or "nan") == pytest.approx(odds, abs=1e-3)
        assert "≈" not in (row.get_attribute("aria-label") or "")
    # And it is remembered.
    inside.move("temperature", 0)
    inside.move("temperature", 2)
    chat.page.wait_for_timeout(2000)
    expect(inside.summary).not_to_contain_text("the model is asked")
    [question] = [frame if isinstance(frame, bytes) else frame.encode() for frame in sent]
    assert b'"ask"' in question


def test_an_answer_of_the_model_leaves_the_focus_where_it_is(chat: ChatPage) -> None:
    chat.ask(CAPITAL)
    inside = Inside(chat)
    for name, value in {"top_k": 0, "top_p": 1, "temperature": 2}.items():
        inside.move(name, value)
    row = inside.rows.nth(3)
    row.focus()
    expect(inside.summary).to_contain_text("the model is asked")
    expect(inside.summary).not_to_contain_text("do not suffice")
    expect(row).to_be_focused()
