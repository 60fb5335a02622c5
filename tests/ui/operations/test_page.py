"""The operations page: who sees it, and that every figure on it is the one that its label names."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from streamlit.dataframe_util import convert_arrow_bytes_to_pandas_df
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Caption

from components.access.identity import Identity
from components.engine.events import Delta, Waiting
from components.engine.host import Loading, Ready
from components.engine.interface import Load
from components.engine.watching.activity import Totals
from components.engine.watching.recorder import Sample
from components.ui.operations.page import PLOT_POINTS
from components.ui.texts import EN as TEXTS
from tests.conftest import Clock
from tests.scripted_engine import ScriptedEngine
from tests.ui.conftest import StillHost

EN = TEXTS.operations

BEGAN = datetime(2026, 1, 2, 3, 4, 0).timestamp()
NOTHING = Totals(0, 0, 0, 0, 0, 0.0, 0, 0.0, 0)
IDLE = Load(active=0, waiting=0, used_tokens=0, idle_tokens=0, capacity_tokens=1000)


def sample(number: int, load: Load = IDLE, totals: Totals = NOTHING, device: int | None = None) -> Sample:
    return Sample(BEGAN + 2 * number, load, totals, memory_bytes=3_210_000_000, device_memory_bytes=device)


class Told:
    """Stands in for the recorder: these are its samples."""

    def __init__(self, samples: list[Sample]) -> None:
        self.samples = samples


def show() -> None:
    from components.ui.operations.page import show_operations

    show_operations()


@pytest.fixture
def host(engine: ScriptedEngine) -> StillHost:
    return StillHost(Ready(engine, 1.0))


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, host: StillHost) -> AppTest:
    monkeypatch.setattr("components.ui.operations.page.engine_host", lambda: host)
    monkeypatch.setattr("components.ui.operations.page.current_reader", lambda: Identity("owner", "bo"))
    page = AppTest.from_function(show, default_timeout=60)
    page.context = {"locale": "en-US"}
    return page


def tell(host: StillHost, samples: list[Sample]) -> None:
    host.recorder = Told(samples)  # type: ignore[assignment]


def figures(page: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in page.metric}


Line = list[tuple[datetime, float]]


def charts(page: AppTest) -> Iterator[tuple[str, dict[str, Any], dict[str, Line]]]:
    """Title, Vega-Lite specification and lines of each plot."""
    title = ""
    for element in page:
        if isinstance(element, Caption):
            title = element.value
        elif element.type == "vega_lite_chart":
            frame = convert_arrow_bytes_to_pandas_df(element.proto.datasets[0].data.data)
            lines: dict[str, Line] = {}
            for time, name, value in zip(frame["time"], frame["line"], frame["value"], strict=True):
                lines.setdefault(name, []).append((time.to_pydatetime(), value))
            yield title, json.loads(element.proto.spec), lines


def plotted(page: AppTest) -> dict[str, dict[str, list[float]]]:
    """The values of each line of each plot."""
    return {
        title: {name: [value for _, value in line] for name, line in lines.items()} for title, _, lines in charts(page)
    }


def test_a_visitor_is_told_whom_the_page_is_for(
    page: AppTest, host: StillHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(host, [sample(0), sample(1)])
    monkeypatch.setattr("components.ui.operations.page.current_reader", lambda: Identity("visitor", "anna"))
    page.run()

    assert [warning.value for warning in page.warning] == [EN.not_owner]
    assert not page.info
    assert not page.metric
    assert not list(charts(page))


@pytest.mark.parametrize("samples", [None, [], [sample(0)]])
def test_the_owner_sees_that_figures_are_coming(page: AppTest, host: StillHost, samples: list[Sample] | None) -> None:
    if samples is not None:
        tell(host, samples)
    page.run()

    assert [info.value for info in page.info] == [EN.nothing_yet]
    assert not page.metric


def test_while_the_model_loads_there_are_no_figures(page: AppTest, host: StillHost) -> None:
    tell(host, [sample(0), sample(1)])
    host._state = Loading("weights", 0.0)
    page.run()

    assert [info.value for info in page.info] == [EN.nothing_yet]


def test_it_says_what_runs(page: AppTest, host: StillHost, engine: ScriptedEngine) -> None:
    engine.with_info(model="Baichuan2-7B-Chat", device="cuda:0", dtype="int8", engine="local")
    tell(host, [sample(0), sample(1)])
    page.run()

    assert "Baichuan2-7B-Chat · cuda:0 · int8 · local" in [caption.value for caption in page.caption]


LATER = Totals(
    requests=20,
    errors=5,
    prompt_tokens=4000,
    reused_tokens=1000,
    completion_tokens=700,
    first_token_seconds=12.0,
    first_tokens=8,
    between_tokens_seconds=6.0,
    between_tokens=100,
)


def test_what_is_now_is_the_last_ten_seconds(page: AppTest, host: StillHost) -> None:
    """Nothing was done before the last five of the steps, of two seconds each."""
    busy = Load(active=3, waiting=2, used_tokens=250, idle_tokens=70, capacity_tokens=1000)
    tell(host, [*(sample(number) for number in range(15)), sample(15, busy, LATER)])
    page.run()

    assert figures(page) == {
        "Writing": "3",
        "Waiting": "2",
        "Tokens/s": "70",
        "First token": "1.50 s",
        "Cache": "25 %",
        "Memory": "3.2 GB",
    }


def test_where_nothing_is_known_there_is_a_dash(page: AppTest, host: StillHost) -> None:
    tell(host, [sample(0), sample(1, replace(IDLE, capacity_tokens=0))])
    page.run()

    assert (figures(page)["First token"], figures(page)["Cache"]) == ("–", "–")
    assert figures(page)["Tokens/s"] == "0"


def test_with_a_gpu_memory_is_the_gpus(page: AppTest, host: StillHost) -> None:
    tell(host, [sample(0, device=18_000_000_000), sample(1, device=19_440_000_000)])
    page.run()

    assert figures(page)["Memory"] == "19.4 GB"


def test_those_who_are_served_stand_in_rows_of_their_own(
    page: AppTest, host: StillHost, engine: ScriptedEngine, clock: Clock
) -> None:
    engine.activity.clock = clock
    cancelled: list[str] = []
    anna = engine.activity.begin("page", "visitor:anna", lambda: cancelled.append("anna"))
    clock.now += 30
    bo = engine.activity.begin("v1", "key:a-very-long-name-of-a-program", lambda: cancelled.append("bo"))
    engine.activity.begin("own", "", lambda: cancelled.append("nobody"))
    engine.activity.note(anna, Delta("three tokens", count=3))
    engine.activity.note(bo, Waiting(2))
    caro = engine.activity.begin("tutorial", "", lambda: cancelled.append("caro"))
    engine.activity.note(caro, Waiting(0, for_restart=True))
    clock.now += 12
    tell(host, [sample(0), sample(1)])
    page.run()

    assert [row.value for row in page.markdown] == [
        "**Page** visitor:anna · 3 tokens · 42 s",
        "**/v1** key:a-very-long-name · 2 before it · 12 s",
        "**Server** – · 0 tokens · 12 s",
        "**POST /** – · waits for the restart · 12 s",
    ]
    assert EN.nobody not in [caption.value for caption in page.caption]
    page.button(key=f"cancel_{bo.number}").click().run()
    assert cancelled == ["bo"]


def test_where_nobody_is_served_it_says_so(page: AppTest, host: StillHost) -> None:
    tell(host, [sample(0), sample(1)])
    page.run()

    assert EN.nobody in [caption.value for caption in page.caption]
    assert not page.button


def test_each_plot_shows_the_figures_that_its_title_names(page: AppTest, host: StillHost) -> None:
    earlier = Totals(2, 1, 400, 100, 60, 4.0, 2, 1.0, 50)
    busy = Load(active=4, waiting=1, used_tokens=300, idle_tokens=90, capacity_tokens=1000)
    tell(host, [sample(0), sample(1, busy, earlier), sample(2, replace(busy, active=3, used_tokens=200), LATER)])
    page.run()

    assert plotted(page) == {
        "Tokens per second": {"read": [200.0, 1800.0], "written": [30.0, 320.0]},
        "Replies": {"Writing": [4.0, 3.0], "Waiting": [1.0, 1.0]},
        "Seconds until the first token, and between tokens": {
            "First token": [2.0, pytest.approx(8.0 / 6)],
            "Between tokens": [pytest.approx(0.02), pytest.approx(0.1)],
        },
        "Requests per minute": {"all": [60.0, 540.0], "failed or refused": [30.0, 120.0]},
        "Cache, in tokens": {"in use": [300.0, 200.0], "kept for later": [90.0, 90.0]},
        EN.reused: {EN.reused: [25.0, 25.0]},
    }


def test_a_plot_runs_over_the_time_of_day_from_zero_up(page: AppTest, host: StillHost) -> None:
    tell(host, [sample(0), sample(1), sample(2, totals=replace(NOTHING, completion_tokens=100))])
    page.run()
    drawn = {title: (spec["encoding"], lines) for title, spec, lines in charts(page)}

    encoding, lines = drawn["Tokens per second"]
    assert lines["written"] == [(datetime(2026, 1, 2, 3, 4, 2), 0.0), (datetime(2026, 1, 2, 3, 4, 4), 50.0)]
    assert [encoding[axis]["field"] for axis in ("x", "y", "color")] == ["time", "value", "line"]
    assert encoding["x"]["axis"]["format"] == "%H:%M:%S"
    assert encoding["y"]["scale"]["domain"] == [0, pytest.approx(52.5)]
    encoding, _ = drawn["Replies"]
    assert encoding["y"]["scale"]["domain"] == [0, 1], "nothing but zeros stand at the bottom"


def test_a_mean_that_is_missing_is_bridged_and_never_drawn_as_zero(page: AppTest, host: StillHost) -> None:
    """First tokens came in the second and the fourth step, after 2 s and after 4 s each."""
    before, after = (
        replace(NOTHING, first_token_seconds=2.0, first_tokens=1),
        replace(NOTHING, first_token_seconds=6.0, first_tokens=2),
    )
    totals = [NOTHING, NOTHING, before, before, after, after]
    tell(host, [sample(number, totals=one) for number, one in enumerate(totals)])
    page.run()
    ((_, _, lines),) = [chart for chart in charts(page) if chart[0] == EN.times]

    seconds = [((time - datetime(2026, 1, 2, 3, 4)).seconds, value) for time, value in lines[EN.first_token]]
    assert seconds == [(4, 2.0), (6, 3.0), (8, 4.0)]
    assert EN.between_tokens not in lines, "there were none"


@pytest.mark.parametrize("count", [PLOT_POINTS, PLOT_POINTS + 1, 900])
def test_a_half_hour_is_thinned_and_keeps_its_newest(page: AppTest, host: StillHost, count: int) -> None:
    tell(host, [sample(number, replace(IDLE, active=number)) for number in range(count)])
    page.run()
    writing = plotted(page)["Replies"]["Writing"]
    apart = {round(later - earlier) for earlier, later in pairwise(writing)}

    assert len(writing) < PLOT_POINTS
    assert writing[-1] == count - 1
    assert len(apart) == 1, "equally far apart"
    assert writing[0] <= 2 * apart.pop()


def test_in_chinese_the_labels_are_chinese(page: AppTest, host: StillHost) -> None:
    page.context = {"locale": "zh-CN"}
    tell(host, [sample(0), sample(1, Load(3, 2, 250, 70, 1000), LATER)])
    page.run()

    assert [figures(page)[label] for label in ("正在写", "排队", "缓存")] == ["3", "2", "25%"]
    assert plotted(page)["缓存（token）"] == {"使用中": [250.0], "留待复用": [70.0]}
