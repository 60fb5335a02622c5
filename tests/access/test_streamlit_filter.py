"""What one browser can do to the others over Streamlit's protocol, against the real server: nothing."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from components.access import streamlit_filter
from components.access.identity import AccessLevel, Identity
from components.access.streamlit_filter import BURST_MESSAGES, MESSAGES_PER_SECOND, Pace, StreamlitFilter
from components.api.refusals import refuse
from components.settings import Settings
from tests.access.conftest import OWNER_CODE, VISITOR_CODE

MEGABYTE = 1_000_000
OWNER = {"Authorization": f"Bearer {OWNER_CODE}"}


@contextmanager
def tab(server: str) -> Iterator[ClientConnection]:
    """What a browser with this page has open, for a visitor who has signed in."""
    session = requests.Session()
    session.post(server + "/login", data={"code": VISITOR_CODE}, timeout=30)
    cookie = "; ".join(f"{name}={value}" for name, value in session.cookies.items())
    with connect(
        server.replace("http", "ws") + "/_stcore/stream",
        additional_headers={"Cookie": cookie},
        origin=Origin(server),
        subprotocols=[Subprotocol("streamlit")],
        max_size=None,
    ) as stream:
        yield stream


def rerun(question: str = "", **fields: Any) -> bytes:
    message = BackMsg()
    message.rerun_script.SetInParent()
    for name, value in fields.items():
        setattr(message.rerun_script, name, value)
    if question:
        message.rerun_script.widget_states.widgets.add(id="question").chat_input_value.data = question
    data: bytes = message.SerializeToString()
    return data


def runs_the_page(stream: ClientConnection) -> bool:
    """Whether the page is drawn from the first to the last for who asks."""
    stream.send(rerun())
    while True:
        data = stream.recv(timeout=60)
        assert isinstance(data, bytes)
        message = ForwardMsg()
        message.ParseFromString(data)
        if message.WhichOneof("type") == "script_finished":
            return message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY


def closing_code(stream: ClientConnection) -> int:
    with suppress(ConnectionClosed):
        while True:
            stream.recv(timeout=60)
    assert stream.close_code is not None
    return stream.close_code


def figures(server: str) -> dict[str, float]:
    text = requests.get(server + "/metrics", headers=OWNER, timeout=30).text
    return {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}


def test_nobody_has_the_engine_loaded_again(locked_server: str) -> None:
    call: dict[str, Any] = {"prompt": "你是谁", "max_new_tokens": 4}
    assert requests.post(locked_server, json=call, headers=OWNER, timeout=60).ok
    before = figures(locked_server)
    with tab(locked_server) as stream:
        assert runs_the_page(stream)
        for _ in range(3):
            stream.send(BackMsg(clear_cache=True).SerializeToString())
        assert runs_the_page(stream)
    assert requests.get(locked_server + "/ready", headers=OWNER, timeout=30).status_code == 200
    # A new engine would have counted nothing yet.
    assert figures(locked_server)["baichuan_prompt_tokens_total"] == before["baichuan_prompt_tokens_total"] > 0


@pytest.mark.parametrize(
    ("field", "size"),
    [("question", 20 * MEGABYTE), *((field, MEGABYTE) for field in ("question", "query_string", "fragment_id"))],
)
def test_what_is_too_large_is_refused_before_it_fills_the_memory(locked_server: str, field: str, size: int) -> None:
    with tab(locked_server) as other:
        assert runs_the_page(other)
        before = figures(locked_server)["process_resident_memory_bytes"]
        for _ in range(3):
            with tab(locked_server) as sender:
                sender.send(rerun(**{field: "x" * size}))
                assert closing_code(sender) == 1009
        assert figures(locked_server)["process_resident_memory_bytes"] - before < 40 * MEGABYTE
        assert runs_the_page(other)


def test_a_question_that_only_unpacks_to_too_much_is_refused(locked_server: str) -> None:
    with tab(locked_server) as stream:
        assert "permessage-deflate" in str(stream.response and stream.response.headers)
        stream.send(rerun("0" * 30 * MEGABYTE))
        assert closing_code(stream) == 1009


def test_a_message_in_many_pieces_is_refused(locked_server: str) -> None:
    with tab(locked_server) as stream:
        with suppress(ConnectionClosed):
            stream.send(b"x" * MEGABYTE for _ in range(20))
        # The server hangs up while the rest still comes, and its reason may get lost.
        assert closing_code(stream) in (1009, 1006)


def test_text_is_no_message(locked_server: str) -> None:
    with tab(locked_server) as stream:
        stream.send("hello")
        assert closing_code(stream) == 1003


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/_stcore/upload_file/session/file"),
        ("POST", f"/_stcore/upload_file/{UUID(int=1)}/{UUID(int=2)}"),
        ("POST", "/_stcore/agent/interact"),
        ("GET", "/_stcore/metrics"),
        ("GET", "/component/some/index.html"),
        ("GET", "/_stcore/bidi-components/some/index.html"),
        ("GET", "/app/static/file.txt"),
        ("GET", "/auth/login"),
        ("OPTIONS", "/media/file.png"),
    ],
)
def test_what_the_page_does_not_use_is_not_there_for_those_who_are_in(
    locked_server: str, method: str, path: str
) -> None:
    answer = requests.request(method, locked_server + path, headers=OWNER, data=b"x" * MEGABYTE, timeout=30)
    assert answer.status_code == 404
    assert "does not offer this part of Streamlit" in answer.json()["error"]


# What follows needs no server: the filter alone, with a clock and events of the test's.


def scope(identity: Identity, path: str = "/_stcore/stream") -> Scope:
    return {"type": "websocket", "path": path, "headers": [], "state": {"identity": identity}}


class Browser:
    """The server's side of one connection, through the filter, to an application that keeps what it gets."""

    def __init__(self, *messages: bytes) -> None:
        self.events: list[Message] = [{"type": "websocket.receive", "bytes": message} for message in messages]
        self.sent: list[Message] = []
        self.seen: list[Message] = []
        self.inside: Callable[[], None] = lambda: None

    async def receive(self) -> Message:
        return self.events.pop(0) if self.events else {"type": "websocket.disconnect", "code": 1000}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def app(self, _: Scope, receive: Receive, send: Send) -> None:
        self.inside()
        while True:
            self.seen.append(await receive())
            if self.seen[-1]["type"] == "websocket.disconnect":
                break
        if self.sent:
            with pytest.raises(OSError, match="closed"):
                await send({"type": "websocket.send", "bytes": b"too late"})


def filter_over(browser: Browser) -> StreamlitFilter:
    return StreamlitFilter(browser.app, refuse, Settings.model_validate({"max_question_chars": 100}))


def test_a_message_that_the_page_never_sends_is_left_out_and_the_page_works_on() -> None:
    browser = Browser(BackMsg(clear_cache=True).SerializeToString(), rerun("hello"))
    stream = filter_over(browser)(scope(Identity("owner", "me")), browser.receive, browser.send)
    asyncio.run(stream)
    assert [event.get("bytes") for event in browser.seen] == [rerun("hello"), None]
    assert not browser.sent


def test_after_a_violation_streamlit_hears_and_says_nothing_more() -> None:
    browser = Browser(rerun("x" * 1000), rerun("hello"))
    stream = filter_over(browser)(scope(Identity("owner", "me")), browser.receive, browser.send)
    asyncio.run(stream)
    assert [event["type"] for event in browser.seen] == ["websocket.disconnect"]
    assert [(event["type"], event["code"]) for event in browser.sent] == [("websocket.close", 1009)]


def test_the_setting_decides_how_long_a_question_is() -> None:
    browser = Browser(rerun("x" * 400), rerun("x" * 401))
    stream = filter_over(browser)(scope(Identity("owner", "me")), browser.receive, browser.send)
    asyncio.run(stream)
    assert [event["type"] for event in browser.seen] == ["websocket.receive", "websocket.disconnect"]


def test_there_is_one_websocket() -> None:
    browser = Browser()
    elsewhere = scope(Identity("owner", "me"), "/v1/realtime")
    asyncio.run(filter_over(browser)(elsewhere, browser.receive, browser.send))
    assert [event["type"] for event in browser.sent] == ["websocket.close"]
    assert not browser.seen


@pytest.mark.parametrize(("level", "limited"), [("visitor", True), ("key", True), ("local", False), ("owner", False)])
def test_visitors_from_one_network_have_so_many_tabs_open(
    monkeypatch: pytest.MonkeyPatch, level: AccessLevel, limited: bool
) -> None:
    monkeypatch.setattr(streamlit_filter, "MAX_STREAMS_PER_NETWORK", 2)
    address = "192.0.2.9" if level == "visitor" else ""

    async def open_tabs() -> int:
        tabs = Tabs()
        names = [f"name{number if level == 'visitor' else 0}" for number in range(5)]
        filtered = StreamlitFilter(tabs.app, refuse, Settings())
        open_now = [asyncio.create_task(tabs.open(filtered, Identity(level, name, address))) for name in names]
        elsewhere = asyncio.create_task(tabs.open(filtered, Identity(level, "another", address and "198.51.100.4")))
        await asyncio.sleep(0)
        served = tabs.served
        tabs.close.set()
        await asyncio.gather(*open_now, elsewhere)
        again = asyncio.create_task(tabs.open(filtered, Identity(level, "name0", address)))
        await again
        assert tabs.served == served + 1, "a tab that was closed still counts"
        return served

    assert asyncio.run(open_tabs()) == (3 if limited else 6)


class Tabs:
    """An application that holds its connections until it is told to let them go."""

    def __init__(self) -> None:
        self.served = 0
        self.close = asyncio.Event()

    async def app(self, _: Scope, __: Receive, ___: Send) -> None:
        self.served += 1
        await self.close.wait()

    async def open(self, filtered: StreamlitFilter, identity: Identity) -> None:
        browser = Browser()
        await filtered(scope(identity), browser.receive, browser.send)


def test_a_browser_that_sends_without_end_waits_for_its_turn() -> None:
    now = 1000.0
    pace = Pace(lambda: now)
    waits = [pace.delay() for _ in range(BURST_MESSAGES + 20)]
    assert not any(waits[:BURST_MESSAGES])
    assert waits[-1] == pytest.approx(20 / MESSAGES_PER_SECOND)
    now += 3600
    assert not pace.delay()


def test_the_filter_keeps_to_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    browser = Browser(*[rerun()] * (BURST_MESSAGES + 40))
    asyncio.run(filter_over(browser)(scope(Identity("owner", "me")), browser.receive, browser.send))
    assert slept
    assert len(browser.seen) == BURST_MESSAGES + 41, "messages wait, and none is lost"
