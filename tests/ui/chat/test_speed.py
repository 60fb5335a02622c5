"""How fast a reply was written, in plots."""

import json
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, cast

import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from streamlit.testing.v1 import AppTest

from components.chats.replies import Replies
from components.engine.events import Finished
from components.engine.interface import GenerationRequest
from components.ui.texts import EN
from tests.scripted_engine import ScriptedEngine
from tests.ui.chat.test_reply_menu import ask, kept, open_menu


def plots(page: AppTest) -> list[dict[str, Any]]:
    return [json.loads(chart.proto.spec) for chart in page.get("vega_lite_chart")]


def rows(page: AppTest, number: int) -> list[dict[str, Any]]:
    """What a plot shows."""
    proto = page.get("vega_lite_chart")[number].proto
    data = proto.datasets[0].data.data if proto.datasets else proto.data.data
    return list(pa.ipc.open_stream(data).read_all().to_pylist())


def test_the_plots_are_made_when_somebody_opens_them(page: AppTest, engine: ScriptedEngine, replies: Replies) -> None:
    engine.script = lambda _: ["one ", "two ", "three", Finished("stop", 40, 3, 4.0, 1.5, reused_tokens=30, waited=1.0)]
    ask(page, "hello")
    reply = kept(page, replies)[0]
    open_menu(page, reply)
    assert not plots(page)
    page.session_state[f"speed_{reply.id}"] = True
    page.run()

    assert not page.exception
    words = EN.pace
    times = {row["part"]: row["value"] for row in rows(page, 0)}
    assert times == {words.waiting: 1.0, words.reading: 0.5, words.writing: 2.5}
    prompt = {row["part"]: row["value"] for row in rows(page, 1)}
    assert prompt == {words.reused: 30, words.read: 10}
    assert [tokens for _, tokens in kept(page, replies)[0].reply.record["pace"]] == [1, 2, 3]  # type: ignore[union-attr]


def test_the_line_is_the_tokens_a_second_between_the_points_that_are_kept(
    page: AppTest, engine: ScriptedEngine, replies: Replies
) -> None:
    def script(_: GenerationRequest) -> Iterator[str | Finished]:
        for _number in range(4):
            time.sleep(0.02)
            yield "word "
        yield Finished("stop", 40, 4, 0.1, 0.02)

    engine.script = script
    ask(page, "hello")
    reply = kept(page, replies)[0]
    open_menu(page, reply)
    page.session_state[f"speed_{reply.id}"] = True
    page.run()

    points = cast("Any", kept(page, replies)[0].reply).record["pace"]
    assert [tokens for _, tokens in points] == [1, 2, 3, 4]
    line = rows(page, 2)
    assert [row["speed"] for row in line] == pytest.approx([1000 / (b[0] - a[0]) for a, b in pairwise(points)])
    assert [row["seconds"] for row in line] == pytest.approx([(a[0] + b[0]) / 2000 for a, b in pairwise(points)])


def test_a_reply_of_which_nothing_is_known_says_so(page: AppTest, engine: ScriptedEngine, replies: Replies) -> None:
    engine.script = lambda _: ["hi", Finished("stop", 5, 1, 1.0, None)]
    ask(page, "hello")
    reply = kept(page, replies)[0]
    open_menu(page, reply)
    page.session_state[f"speed_{reply.id}"] = True
    page.run()

    assert EN.pace.unknown in [caption.value for caption in page.caption]
    assert not plots(page)
