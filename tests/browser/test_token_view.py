"""The view of a reply's tokens by itself, in a real browser: every number it shows is worked out here once more."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from mimetypes import guess_type
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from components.engine.interface import Piece
from components.sampling.filters import filter_scores
from components.sampling.kept import KeptScores, StepScores
from components.sampling.parameters import SamplingParams
from components.sampling.what_if import Seen
from components.ui.chat.inside import SLIDERS
from components.ui.components import mounting
from components.ui.components.packing import pack_answer, pack_for_view, tokens_of
from components.ui.texts import EN
from tests.browser.chat_page import PATIENCE_MS
from tests.browser.conftest import NewBrowser
from tests.sampling.steps import Case, exactly, keep, penalized, real_stages, scores_of

SITE = "http://view.test/"
PAGE = """<!doctype html><link rel=stylesheet href=style.css><div id=parent style="width: 20rem"></div>"""

PLAIN = dict.fromkeys(SLIDERS, 0.0) | {"temperature": 1.0, "top_p": 1.0, "repetition_penalty": 1.0}
VOCABULARY = 24
CONTROL, HTML, EMOJI = 7, 8, (9, 10)
PIECES = [Piece(f" w{id_}".encode(), is_control=id_ == CONTROL) for id_ in range(VOCABULARY)]
PIECES[HTML] = Piece(b"<img src=x onerror=alert(1)>", is_control=False)
PIECES[EMOJI[0]], PIECES[EMOJI[1]] = (Piece(part, is_control=False) for part in (b"\xf0\x9f", b"\x98\x80"))

SCORES = scores_of([8 - id_ / 4 for id_ in range(VOCABULARY)])
"""Of every step, unless a test says otherwise: numbers that bfloat16 has, so that they are sent as they are."""

LEVELS = [0.9, 0.7, 0.5, 0.35, 0.2, 0.1, 0.05, 0.02, 0.005]


def level_of(odds: float) -> str:
    return f"o{sum(odds < bound for bound in LEVELS)}"


class View:
    """What is mounted."""

    def __init__(self, page: Page, steps: Sequence[StepScores], settings: dict[str, float], **told: Any) -> None:
        self.page = page
        page.set_default_timeout(PATIENCE_MS)
        page.route(f"{SITE}**", _serve)
        page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        page.goto(SITE)
        sliders = [
            {"name": name, "label": name, "low": low, "high": high, "step": step, "problem": ""}
            for name, (low, high, step) in SLIDERS.items()
        ]
        header = {"view": "1", "version": "1", "texts": asdict(EN.inside), "canBranch": True, "canAsk": True, **told}
        self.settings = PLAIN | settings
        self.steps = steps
        packed = pack_for_view(
            KeptScores(VOCABULARY, steps),
            frozenset(),
            lambda ids: [PIECES[id_] for id_ in ids],
            {**header, "settings": self.settings, "sliders": sliders},
        )
        page.evaluate(
            """async (bytes) => {
                window.sent = [];
                window.view = (await import("./view.js")).default;
                window.show = (data) => window.leave = view({
                    data, parentElement: document.getElementById("parent") ?? document.createElement("div"),
                    setTriggerValue: (name, value) => sent.push([name, value]),
                });
                window.packed = new Uint8Array(bytes);
                show(packed);
            }""",
            list(packed),
        )
        self.tokens = page.get_by_role("option")
        self.rows = page.locator(".row")
        self.summary = page.locator(".summary")
        self.selected = page.locator("[aria-selected]")
        self.numbers = page.locator(".numbers")

    @property
    def sent(self) -> list[tuple[str, Any]]:
        return [(name, value) for name, value in self.page.evaluate("sent")]

    def move(self, name: str, value: float) -> None:
        self.page.locator(f"input[data-name={name}]").fill(str(value))
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def stage(self, name: str) -> Locator:
        return self.page.get_by_role("group", name=EN.inside.stages).get_by_role("button", name=name)

    def odds(self) -> list[float]:
        """Of the bars, from above."""
        return [float(odds) for odds in self.rows.evaluate_all("rows => rows.map(row => row.dataset.odds)")]

    def widths(self, kind: str) -> list[float]:
        """Of the bars, in percent."""
        of_bars = self.page.locator(f".row .{kind}").evaluate_all("bars => bars.map(bar => bar.style.width)")
        return [float(width.rstrip("%px")) for width in of_bars]

    def answer(self, settings: dict[str, float], places: Sequence[int]) -> None:
        """Let the model answer."""
        sampling = SamplingParams.model_validate(settings)
        tokens = tokens_of(KeptScores(VOCABULARY, self.steps))
        answers = []
        for place in places:
            seen = Seen(frozenset(), Counter(step.token for step in self.steps[:place]))
            step = exactly(Case(SCORES, self.steps[place], sampling, seen))
            answers.append(pack_answer(place, step, tokens, PIECES[step.likeliest]))
        self.page.evaluate("data => void show(data)", {"view": "1", "settings": settings, "answers": answers})
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def focused(self) -> Locator:
        return self.page.locator(":focus")

    def colours(self) -> list[str]:
        names = self.tokens.evaluate_all("tokens => tokens.map(token => token.className)")
        return [name.removesuffix(" greedy") for name in names]


def _serve(route: Route) -> None:
    name = route.request.url.removeprefix(SITE)
    if not name:
        route.fulfill(body=PAGE, content_type="text/html")
    elif (file := Path(mounting.__file__).with_name("token_view") / name).is_file():
        route.fulfill(body=file.read_bytes(), content_type=guess_type(name)[0])
    else:
        route.fulfill(status=404)


Open = Callable[..., View]


@pytest.fixture
def open_view(new_browser: NewBrowser) -> Open:
    def open_one(
        tokens: Sequence[int], settings: dict[str, float] | None = None, *, kept: int = VOCABULARY, **options: Any
    ) -> View:
        told = {name: options.pop(name) for name in ("canBranch", "canAsk") if name in options}
        context = new_browser(viewport={"width": 900, "height": 900}, **options)
        steps = [keep(SCORES, kept, token) for token in tokens]
        return View(context.new_page(), steps, settings or {}, **told)

    return open_one


def behind(temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0) -> np.ndarray[Any, Any]:
    """The odds of each token, behind these filters."""
    filtered = filter_scores(SCORES.astype(np.float64), temperature, top_k, top_p, min_p)
    odds = np.zeros(VOCABULARY)
    odds[filtered.order] = filtered.odds
    return odds


def penalized_behind(view: View, place: int) -> list[str | None]:
    """Of every token which of top_k and top_p cut it at a place, behind the penalties."""
    sampling = SamplingParams.model_validate(view.settings)
    seen = Seen(frozenset(), Counter(step.token for step in view.steps[:place]))
    case = Case(SCORES, view.steps[place], sampling, seen)
    stages = real_stages(case)
    return [next((str(cut) for cut, odds in stages if odds[token] == 0), None) for token in range(VOCABULARY)]


def test_the_bars_show_what_each_filter_leaves_and_what_it_cuts(open_view: Open) -> None:
    view = open_view([0, 3], {"temperature": 0.8, "top_k": 9, "top_p": 0.9, "min_p": 0.15})
    view.page.get_by_role("button", name="Show all 24").click()
    stages = {
        EN.inside.before: behind(0.8),
        "top_k": behind(0.8, 9),
        "top_p": behind(0.8, 9, 0.9),
        "min_p": behind(0.8, 9, 0.9, 0.15),
    }
    cut_by = {"min_p": "by-4", "top_p": "by-3", "top_k": "by-2"}
    expect(view.stage("min_p")).to_have_attribute("aria-pressed", "true")  # behind all of them, at first
    for name in ("top_k", EN.inside.before, "min_p", "top_p"):
        view.stage(name).click()
        expect(view.stage(name)).to_have_attribute("aria-pressed", "true")
        assert view.odds() == pytest.approx(stages[name].tolist(), abs=1e-6)
        assert view.widths("solid") == pytest.approx((100 * stages[name]).tolist(), abs=0.01)
        assert view.widths("pale") == pytest.approx((100 * behind(0.8)).tolist(), abs=0.01)
    names = [EN.inside.before, "top_k", "top_p", "min_p"]
    for rank in range(VOCABULARY):
        first = next((name for name in names if stages[name][rank] == 0), None)
        classes = (view.rows.nth(rank).get_attribute("class") or "").split()
        assert [one for one in classes if one.startswith("by-")] == ([cut_by[first]] if first else [])
        label = view.rows.nth(rank).get_attribute("aria-label") or ""
        assert (f"cut by {first}" in label) == (first is not None)
    # What the reader chose stays as long as there is such a filter.
    view.move("temperature", 1.2)
    expect(view.stage("top_p")).to_have_attribute("aria-pressed", "true")
    assert view.odds() == pytest.approx(behind(1.2, 9, 0.9).tolist(), abs=1e-6)
    view.move("top_p", 1)
    expect(view.stage("min_p")).to_have_attribute("aria-pressed", "true")
    assert view.odds() == pytest.approx(behind(1.2, 9, 1.0, 0.15).tolist(), abs=1e-6)


def test_before_the_filters_the_tokens_that_were_not_kept_weigh_too(open_view: Open) -> None:
    view = open_view([0], {"top_k": 5}, kept=10)
    view.stage(EN.inside.before).click()
    assert view.odds() == pytest.approx(behind()[:10].tolist(), abs=1e-4)
    assert sum(view.odds()) < 0.95


def test_on_the_logarithmic_scale_a_millionth_is_nothing(open_view: Open) -> None:
    view = open_view([0], {"temperature": 0.4})
    view.page.get_by_role("button", name="Show all 24").click()
    view.page.get_by_role("checkbox").check()
    wanted = [100 * max(0.0, 1 + math.log10(odds) / 6) for odds in behind(0.4)]
    assert min(wanted) == 0 < max(wanted)
    assert view.widths("solid") == pytest.approx(wanted, abs=0.01)
    view.page.get_by_role("checkbox").uncheck()
    assert view.widths("solid") == pytest.approx((100 * behind(0.4)).tolist(), abs=0.01)


def test_before_the_filters_odds_that_are_known_only_roughly_say_so(open_view: Open) -> None:
    view = open_view([0], {"top_k": 5}, kept=10)
    before = view.stage(EN.inside.before)

    def numbers() -> list[str]:
        return view.page.locator(".number").all_inner_texts()

    about = view.page.get_by_text(EN.inside.approximate)
    assert not any("≈" in number for number in numbers())
    before.click()
    assert not any("≈" in number for number in numbers()), "at temperature 1 all is known of the hidden tokens"
    expect(about).to_be_hidden()
    view.move("temperature", 1.6)
    assert all("≈" in number for number in numbers())
    expect(before).to_contain_text("≈")
    expect(before).to_have_attribute("title", EN.inside.approximate)
    expect(about).to_be_visible()
    label = view.rows.nth(2).get_attribute("aria-label") or ""
    assert "before the filters ≈ " in label
    assert "Σ ≈ " in label
    view.stage("top_k").click()
    assert not any("≈" in number for number in numbers())
    assert view.odds() == pytest.approx(behind(1.6, 5)[:10].tolist(), abs=1e-4)
    assert "before the filters ≈ " in (view.rows.nth(2).get_attribute("aria-label") or "")
    expect(about).to_be_visible()  # the pale bars are those before the filters


def test_behind_a_filter_hidden_tokens_that_it_leaves_weigh_too(open_view: Open) -> None:
    view = open_view([0], {"top_p": 0.99, "min_p": 0.3}, kept=10)
    view.stage("top_p").click()
    real = behind(1.0, 0, 0.99)
    assert real[10:].sum() > 0.02
    assert view.odds() == pytest.approx(real[:10].tolist(), abs=0.02)
    assert all("≈" in number for number in view.page.locator(".number").all_inner_texts())
    view.stage("min_p").click()
    assert view.odds() == pytest.approx(behind(1.0, 0, 0.99, 0.3)[:10].tolist(), abs=1e-4)
    assert not any("≈" in number for number in view.page.locator(".number").all_inner_texts())


@pytest.mark.parametrize("opened_at", [0.0, 1.7])
def test_at_temperature_0_the_odds_before_are_those_of_temperature_1(open_view: Open, opened_at: float) -> None:
    view = open_view([0, 20], {"temperature": opened_at}, kept=10)
    view.tokens.nth(1).click()
    view.tokens.nth(0).click()
    view.move("temperature", 0)
    view.stage(EN.inside.before).click()
    assert view.odds() == pytest.approx(behind()[:10].tolist(), abs=1e-4)
    view.stage("temperature").click()
    assert view.odds() == [1.0] + [0.0] * 9


def test_the_line_of_top_p_adds_up_what_top_k_left(open_view: Open) -> None:
    view = open_view([0], {"temperature": 2.0, "top_k": 5, "top_p": 0.85})
    points = (view.page.locator(".cumulative polyline").get_attribute("points") or "").split()
    sums = [float(point.split(",")[0]) for point in points]
    assert sums[:5] == pytest.approx(np.cumsum(behind(2.0, 5))[:5].tolist(), abs=1e-6)
    assert sums[4:] == pytest.approx([1.0] * 8)
    kept = int((behind(2.0, 5, 0.85) > 0).sum())
    assert sums[kept - 2] < 0.85 <= sums[kept - 1], "what top_p cuts lies beyond its line"
    for row, told in enumerate(sums[:5]):
        assert f"Σ {100 * told:.1f} %" in (view.rows.nth(row).get_attribute("aria-label") or "")
    legend = EN.inside.cumulative.replace("{stage}", EN.inside.behind.replace("{filter}", "top_k"))
    expect(view.page.get_by_text(legend)).to_be_visible()
    view.move("top_k", 0)
    expect(view.page.get_by_text(EN.inside.cumulative.replace("{stage}", EN.inside.before))).to_be_visible()


def test_the_line_of_top_p_adds_up_the_odds(open_view: Open) -> None:
    view = open_view([0], {"top_p": 0.75})
    points = (view.page.locator(".cumulative polyline").get_attribute("points") or "").split()
    sums = [float(point.split(",")[0]) for point in points]
    assert sums == pytest.approx(np.cumsum(behind())[:12].tolist(), abs=1e-6)
    assert view.page.locator(".cumulative line").get_attribute("x1") == "0.75"
    view.move("top_p", 1)
    expect(view.page.locator(".cumulative")).to_have_count(0)


def test_a_reply_goes_on_with_a_token_that_is_clicked_and_with_none_that_cannot(open_view: Open) -> None:
    view = open_view([0, 20], kept=10)
    view.tokens.nth(1).click()
    expect(view.rows).to_have_count(11)  # the ten that are kept, and the one that came

    def row_of(token: int) -> Locator:
        return view.page.locator(f".row[data-token='{[*range(10), 20].index(token)}']")

    for token in (20, CONTROL):  # it came; nobody can write it
        expect(row_of(token)).to_have_attribute("aria-disabled", "true")
        row_of(token).click(force=True)  # a finger does not look whether it can
    assert view.sent == []
    view.move("temperature", 1.5)
    row_of(4).click()
    assert view.sent == [("branch", {"place": 1, "rank": 4, "settings": view.settings | {"temperature": 1.5}})]
    # Where the first token is not kept, it is no place to go on with, either: its score is known of that reply alone.
    view.tokens.nth(0).click()
    expect(view.rows).to_have_count(10)


def test_where_nobody_knows_ids_nothing_can_be_gone_on_with(open_view: Open) -> None:
    view = open_view([0], canBranch=False)
    expect(view.rows.nth(3)).to_have_attribute("aria-disabled", "true")
    view.rows.nth(3).click(force=True)
    assert view.sent == []


def test_a_finger_reads_first_and_goes_on_with_the_second_tap(open_view: Open) -> None:
    view = open_view([0], has_touch=True)
    view.rows.nth(2).tap()
    expect(view.numbers).to_contain_text("w2")
    assert view.sent == []
    view.rows.nth(3).tap()
    assert view.sent == []
    view.rows.nth(3).tap()
    assert [value["rank"] for _, value in view.sent] == [3]


def test_text_of_a_model_is_no_html(open_view: Open) -> None:
    view = open_view([HTML, 0])
    expect(view.tokens.first).to_have_text("<img src=x onerror=alert(1)>")
    expect(view.page.locator(".heading strong")).to_contain_text("<img")
    expect(view.page.locator(".row.chosen .text")).to_contain_text("<img")
    expect(view.page.locator("img")).to_have_count(0)


def test_what_was_set_can_be_had_again(open_view: Open) -> None:
    view = open_view([0, 5, 15], {"temperature": 0.7, "top_k": 12})
    before = view.colours()
    assert before[2] == "forbidden"
    expect(view.summary).to_contain_text("Of the tokens, 1 could not have been written")
    view.move("top_k", 0)
    view.move("temperature", 2)
    assert view.colours() == [level_of(behind(2.0)[token]) for token in (0, 5, 15)]
    expect(view.summary).not_to_contain_text("could not have been written")
    view.page.get_by_role("button", name=EN.inside.reset).click()
    expect(view.tokens.nth(2)).to_have_class(before[2])
    assert view.colours() == before
    assert view.page.locator("input[data-name=temperature]").input_value() == "0.7"
    assert view.page.locator("label", has_text="temperature").locator("output").inner_text() == "0.7"


def test_the_token_under_the_pointer_is_shown_until_the_pointer_leaves(open_view: Open) -> None:
    view = open_view([0, 5, 15])
    view.tokens.nth(1).click()
    view.tokens.nth(2).hover()
    expect(view.page.locator(".row.chosen .text, .heading strong").first).to_have_text("␣w15")
    expect(view.selected).to_have_text(" w5")
    view.page.mouse.move(890, 890)
    expect(view.page.locator(".heading strong")).to_have_text("␣w5")


def test_the_view_stays_as_high_whatever_is_pointed_at(open_view: Open) -> None:
    """The page follows its end: what grows moves what is pointed at away, and shrinks again."""
    view = open_view([0, HTML, *EMOJI, 15], {"top_k": 9, "top_p": 0.8})
    box = view.page.locator(".view")
    height = box.evaluate("view => view.offsetHeight")
    for row in range(12):
        view.rows.nth(row).hover()
        assert box.evaluate("view => view.offsetHeight") == height
        assert view.numbers.inner_text() == view.rows.nth(row).get_attribute("aria-label")


def test_arrows_go_to_the_line_above_and_below(open_view: Open) -> None:
    view = open_view([index % 7 for index in range(60)])
    view.tokens.nth(13).click()
    boxes = [view.tokens.nth(number).bounding_box() for number in range(60)]
    lines = sorted({box["y"] for box in boxes if box})
    line = next(number for number, y in enumerate(lines) if boxes[13] and abs(boxes[13]["y"] - y) < 2)

    def nearest_on(number: int) -> int:
        on_it = [index for index, box in enumerate(boxes) if box and abs(box["y"] - lines[number]) < 2]
        return min(on_it, key=lambda index: abs(boxes[index]["x"] - boxes[13]["x"]))  # type: ignore[index]

    view.page.get_by_role("listbox").press("ArrowDown")
    expect(view.selected).to_have_attribute("id", f"t{nearest_on(line + 1)}")
    view.tokens.nth(13).click()
    view.page.get_by_role("listbox").press("ArrowUp")
    expect(view.selected).to_have_attribute("id", f"t{nearest_on(line - 1)}")


def test_a_character_of_several_tokens_is_as_likely_as_all_of_them(open_view: Open) -> None:
    view = open_view([0, *EMOJI], {"temperature": 2})
    expect(view.tokens).to_have_count(2)
    expect(view.tokens.nth(1)).to_have_text("😀")
    odds = behind(2.0)
    assert level_of(odds[9] * odds[10]) != level_of(odds[10])
    assert view.colours()[1] == level_of(odds[9] * odds[10])
    view.move("top_k", 10)  # its second token is forbidden
    assert view.colours()[1] == "forbidden"
    view.tokens.nth(1).click()
    expect(view.page.locator(".part")).to_have_count(2)
    expect(view.page.locator(".row.chosen")).to_have_attribute("data-rank", "9")
    view.page.locator(".part").nth(1).click()
    expect(view.page.locator(".row.chosen")).to_have_attribute("data-rank", "10")


def test_of_a_long_reply_every_token_gets_its_colour(open_view: Open) -> None:
    tokens = [(7 * index) % 6 for index in range(1500)]
    view = open_view(tokens)
    view.page.get_by_role("listbox").evaluate("box => { box.scrollTop = box.scrollHeight / 2; }")
    view.move("top_k", 4)
    expect(view.summary).to_contain_text(str(sum(token >= 4 for token in tokens)))
    odds = behind(1.0, 4)
    assert view.colours() == [level_of(odds[token]) if odds[token] else "forbidden" for token in tokens]


def test_the_model_is_asked_once_for_what_the_kept_scores_do_not_tell(open_view: Open) -> None:
    view = open_view([0, 3], kept=4)
    asked = {"places": [0, 1]}
    view.move("temperature", 2)
    expect(view.summary).to_contain_text("the model is asked")
    view.page.wait_for_function("sent.length > 0")
    settings = view.settings | {"temperature": 2}
    assert view.sent == [("ask", {**asked, "settings": settings})]
    assert all(colour.endswith(" unknown") for colour in view.colours())
    odds = behind(2.0)
    view.answer(settings, [0, 1])
    expect(view.summary).not_to_contain_text("the model is asked")
    assert view.colours() == [level_of(odds[0]), level_of(odds[3])]
    view.page.wait_for_timeout(1000)
    assert len(view.sent) == 1


def test_what_the_model_answered_says_which_filter_cut_a_token(open_view: Open) -> None:
    settings = PLAIN | {"temperature": 1.8, "top_k": 20, "top_p": 0.8, "min_p": 0.3}
    view = open_view([0], settings, kept=16)
    view.answer(settings, [0])
    view.page.get_by_role("button", name="Show all 16").click()
    stages = {
        "top_k": behind(1.8, 20),
        "top_p": behind(1.8, 20, 0.8),
        "min_p": behind(1.8, 20, 0.8, 0.3),
    }
    for name, real in {EN.inside.before: behind(1.8), **stages}.items():
        view.stage(name).click()
        assert view.odds() == pytest.approx(real[:16].tolist(), abs=1e-4)
    assert not any("≈" in number for number in view.page.locator(".number").all_inner_texts())
    for rank in range(16):
        first = next((name for name, odds in stages.items() if odds[rank] == 0), None)
        label = view.rows.nth(rank).get_attribute("aria-label") or ""
        assert (f"cut by {first}" in label) == (first is not None)
        assert "temperature" not in label
    assert {"top_p", "min_p"} == {
        next((name for name, odds in stages.items() if odds[rank] == 0), None) for rank in range(16)
    } - {None}


def test_where_it_is_not_known_which_filter_cut_a_token_it_is_said_that_one_did(open_view: Open) -> None:
    view = open_view([0, 0, 1, 2, 3], {"repetition_penalty": 1.5, "top_k": 8, "top_p": 0.5}, kept=9, canAsk=False)
    view.tokens.nth(4).click()
    labels = [row.get_attribute("aria-label") or "" for row in view.rows.all()]
    real = penalized_behind(view, 4)
    for label, row in zip(labels, view.rows.all(), strict=True):
        cut = real[int(row.get_attribute("data-token") or 0)]
        assert "cut by" not in label or (cut and (f"cut by {cut}" in label or "cut by the filters" in label))
    assert any("cut by the filters" in label for label in labels)


def test_answers_to_the_last_few_settings_are_remembered(open_view: Open) -> None:
    view = open_view([0, 3], kept=4)
    asked = []
    for temperature in (2.0, 1.5, 2.0, 1.5):
        view.move("temperature", temperature)
        if temperature not in asked:
            asked.append(temperature)
            view.page.wait_for_function(f"sent.length == {len(asked)}")
            view.answer(view.settings | {"temperature": temperature}, [0, 1])
        expect(view.summary).not_to_contain_text("the model is asked")
        odds = behind(temperature)
        assert view.colours() == [level_of(odds[0]), level_of(odds[3])]
    view.page.wait_for_timeout(1000)
    assert len(view.sent) == 2


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_what_greedy_decoding_would_do_is_asked_and_told_where_the_kept_scores_do_not_say(
    open_view: Open, temperature: float
) -> None:
    # Behind the penalties any of the hidden tokens may be the likeliest.
    view = open_view([0, 1, 0, 2], {"temperature": temperature, "repetition_penalty": 2.0}, kept=2)
    expect(view.summary).to_contain_text(EN.inside.greedy_asking.replace("{place}", "2"))
    view.page.wait_for_function("sent.length > 0")
    [(name, value)] = view.sent
    assert name == "ask"
    assert 1 in value["places"]
    view.answer(view.settings, value["places"])
    scores = penalized(
        Case(SCORES, view.steps[2], SamplingParams.model_validate(view.settings), Seen(frozenset(), Counter([0, 1])))
    )
    likeliest = int(scores.argmax())
    assert likeliest >= 2, "a token that was not kept there"
    expect(view.summary).to_contain_text(f"first differs at token 3, with ␣w{likeliest}")
    expect(view.page.locator(".greedy")).to_have_text(" w0")
    view.page.wait_for_timeout(1000)
    assert len(view.sent) == 1


def test_a_control_that_is_used_keeps_the_focus(open_view: Open) -> None:
    view = open_view([0, *EMOJI, 3], {"top_k": 12, "top_p": 0.9})
    stage = view.stage("top_k")
    stage.focus()
    stage.press("Enter")
    expect(stage).to_have_attribute("aria-pressed", "true")
    expect(stage).to_be_focused()
    box = view.page.get_by_role("checkbox")
    box.focus()
    box.press("Space")
    expect(box).to_be_checked()
    expect(box).to_be_focused()
    more = view.page.get_by_role("button", name="Show all 24")
    more.focus()
    more.press("Enter")
    expect(view.rows).to_have_count(24)
    fewer = view.page.get_by_role("button", name=EN.inside.fewer)
    expect(fewer).to_be_focused()
    fewer.press("Space")
    expect(view.rows).to_have_count(12)
    expect(more).to_be_focused()
    view.tokens.nth(1).click()
    part = view.page.locator(".part").nth(1)
    part.focus()
    part.press("Enter")
    expect(part).to_have_attribute("aria-pressed", "true")
    expect(part).to_be_focused()


def test_a_bar_keeps_the_focus_and_says_the_new_numbers_when_an_answer_comes(open_view: Open) -> None:
    settings = PLAIN | {"temperature": 2.0}
    view = open_view([0, 3], settings, kept=10)
    bar = view.rows.nth(4)
    bar.focus()
    expect(view.numbers).to_contain_text("after ≈")
    view.answer(settings, [0, 1])
    expect(bar).to_be_focused()
    expect(view.numbers).not_to_contain_text("≈")
    assert view.numbers.inner_text() == bar.get_attribute("aria-label")


def test_the_token_that_came_is_always_shown_with_its_odds(open_view: Open) -> None:
    view = open_view([0, 15, 20], {"temperature": 2.0, "top_k": 18})
    odds, where = behind(2.0, 18), view.page.locator(".where")
    height = view.page.locator(".view").evaluate("view => view.offsetHeight")
    expect(where).to_have_text(f"token 1 of 3 · {100 * odds[0]:.1f} %")
    view.tokens.nth(1).click()
    expect(where).to_have_text(f"token 2 of 3 · {100 * odds[15]:.1f} %")
    expect(view.rows).to_have_count(12)
    expect(view.page.locator(".row.chosen")).to_be_visible()
    expect(view.rows.last).to_have_attribute("data-rank", "15")
    assert view.odds() == pytest.approx([*odds[:11], odds[15]], abs=1e-6)
    assert view.page.locator(".view").evaluate("view => view.offsetHeight") == height
    view.tokens.nth(2).click()
    expect(where).to_have_text("token 3 of 3 · 0 % · cut by top_k")
    view.page.get_by_role("button", name="Show all 24").click()
    expect(view.page.locator(".row.chosen")).to_have_attribute("data-rank", "20")
    assert view.odds() == pytest.approx(odds.tolist(), abs=1e-6)


def test_the_selected_token_says_its_odds_and_what_cut_it(open_view: Open) -> None:
    view = open_view([0, 20], {"temperature": 2.0, "top_k": 18})
    expect(view.tokens.nth(0)).to_have_accessible_name(f"␣w0 · {100 * behind(2.0, 18)[0]:.1f} %")
    view.page.get_by_role("listbox").press("ArrowRight")
    expect(view.tokens.nth(1)).to_have_accessible_name("␣w20 · 0 % · cut by top_k")
    expect(view.tokens.nth(0)).to_have_accessible_name("w0")
    view.move("top_k", 0)
    expect(view.tokens.nth(1)).to_have_accessible_name(f"␣w20 · {100 * behind(2.0)[20]:#.2g} %")


def test_keys_that_are_the_browsers_own_stay_so(open_view: Open) -> None:
    view = open_view([0, 1, 2])
    box = view.page.get_by_role("listbox")
    box.press("ArrowRight")
    view.page.evaluate("addEventListener('keydown', event => void (window.taken = event.defaultPrevented))")
    for held in ("altKey", "ctrlKey", "metaKey"):
        for key in ("ArrowLeft", "End", "Enter"):
            box.dispatch_event("keydown", {"key": key, held: True})
            assert view.page.evaluate("taken") is False
    expect(view.selected).to_have_text(" w1")
    expect(box).to_be_focused()
    box.press("Shift+ArrowRight")
    expect(view.selected).to_have_text(" w2")
    assert view.page.evaluate("taken") is True


def test_while_a_slider_moves_tokens_out_of_sight_get_their_colours_too(open_view: Open) -> None:
    tokens = [(7 * index) % 6 for index in range(1500)]
    view = open_view(tokens)
    seen = view.page.evaluate(
        """async () => {
            const input = document.querySelector("input[data-name=top_k]"), seen = [];
            const summary = document.querySelector(".summary");
            const last = document.querySelector(".tokens").lastElementChild;
            for (let move = 0; move < 40; move++) {
                input.value = 4 + move % 2;
                input.dispatchEvent(new Event("input"));
                await new Promise(requestAnimationFrame);
                seen.push([summary.textContent, last.className]);
            }
            return seen;
        }"""
    )
    assert tokens[-1] == 5
    assert any("could not have been written" in summary for summary, _ in seen)
    assert "forbidden" in {name for _, name in seen}
    assert len({summary for summary, _ in seen}) > 2
    # And where it rests at last, all are as there.
    view.move("top_k", 3)
    odds = behind(1.0, 3)
    expect(view.summary).to_contain_text(str(sum(token >= 3 for token in tokens)))
    assert view.colours() == [level_of(odds[token]) if odds[token] else "forbidden" for token in tokens]


def test_a_view_that_is_taken_away_is_forgotten_and_comes_back_as_it_was(open_view: Open) -> None:
    view = open_view([0, 3], kept=4)
    view.move("temperature", 1.5)
    view.page.evaluate(
        """() => {
            window.gone = document.querySelector(".view");
            document.getElementById("parent").remove();
            leave();
        }"""
    )
    before = view.page.evaluate("gone.querySelector('.summary').textContent")
    assert "the model is asked" in before
    view.answer(view.settings | {"temperature": 1.5}, [0, 1])
    assert view.page.evaluate("gone.querySelector('.summary').textContent") == before
    view.page.wait_for_timeout(1000)
    assert view.sent == [], "nobody looks at it any more"
    view.page.evaluate(
        """() => {
            const parent = document.createElement("div");
            parent.id = "parent";
            document.body.append(parent);
            show(packed);
        }"""
    )
    expect(view.page.locator("input[data-name=temperature]")).to_have_value("1.5")


def test_where_the_model_cannot_be_asked_it_is_said_that_the_scores_do_not_suffice(open_view: Open) -> None:
    view = open_view([0, 3], kept=4, canAsk=False)
    view.move("temperature", 2)
    expect(view.summary).to_contain_text("do not suffice")
    view.page.wait_for_timeout(1000)
    assert view.sent == []
