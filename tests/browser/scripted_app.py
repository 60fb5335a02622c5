"""The page over an engine that follows a script, for what a real model cannot be told to do."""

import gc
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import streamlit as st
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from streamlit.runtime import Runtime

from components.access.identity import identity_of
from components.api.health import health
from components.api.metrics import metrics
from components.api.middleware import build_middleware
from components.api.sub_path import with_base_path
from components.engine import host
from components.engine.errors import EngineError
from components.engine.events import Delta, Waiting
from components.engine.interface import GenerationRequest
from components.engine.watching.recorder import Recorder
from components.ui.startup import show_crash
from components.web.routes import build_pages
from tests.markdown.replies import REPLIES
from tests.scripted_engine import ScriptedEngine

RICH = r"""# Sorting, briefly

**注意：**请看下面的例子。Costs are between $5 and $6; at 12:30:45 use `std::vector`, not std::vector :red[x] :smile:.

1. Choose a *pivot*
2. Split the list

   ```python
   small = [x for x in items if x < pivot]
   ```

3. Sort both halves

```python
def quicksort(items: list[int]) -> list[int]:
    if len(items) < 2:
        return items

    pivot, *rest = items
    return quicksort([x for x in rest if x < pivot]) + [pivot] + quicksort([x for x in rest if x >= pivot])
```

The mean cost is \(O(n \log n)\), because

\[
T(n) = 2\,T\!\left(\frac{n}{2}\right) + n
\]

| Case | Comparisons | Memory |
|:-----|------------:|:------:|
| best | $n \log_2 n$ | $\log n$ |
| worst | $n^2 / 2$ | $n$ |

> Sorting is not searching.

<script>window.hacked = true</script><b onclick="alert(1)">html</b> 3~5天，每天2~3次
"""


REPLIES_IN_ONE = "".join(f"Case {number}:\n\n{reply.says}\n\n" for number, reply in enumerate(REPLIES)) + "The end."

go_on = threading.Semaphore(0)
"""Released by ``/test/go_on``: somebody in line was served, or a reply that waits goes on."""


def script(request: GenerationRequest) -> Iterator[str | Delta | Waiting | EngineError]:
    """The first word of the newest question says what to answer."""
    question = [message["content"] for message in request.messages if message["role"] == "user"][-1]
    word = question.split()[0]
    match word:
        case "rich":
            for start in range(0, len(RICH), 7):
                time.sleep(0.005)
                yield RICH[start : start + 7]
        case "everything":
            for start in range(0, len(REPLIES_IN_ONE), 9):
                time.sleep(0.002)
                yield REPLIES_IN_ONE[start : start + 9]
        case "long":
            for number in range(120):
                time.sleep(0.02)
                yield f"Paragraph {number} of a long reply, which says nothing much but says it in one full line.\n\n"
            yield "The end."
        case "lines":
            for number in range(35):
                time.sleep(0.02 if number < 25 else 0.3)
                yield f"Line {number} comes at the speed of a large model.\n\n"
            yield "The end."
        case "code":
            yield "```python\n"
            for number in range(300):
                time.sleep(0.005)
                yield f"value_{number} = compute({number})  # line {number}\n"
            yield "```\n"
        case "slow":
            for number in range(2000):
                time.sleep(0.05)
                yield f"word{number} "
        case "held":
            yield from (f"word{number} " for number in range(10))
            while True:  # until it is stopped, however small the longest reply is
                time.sleep(0.2)
                yield Delta("")
        case "wait":
            yield Waiting(2)
            go_on.acquire(timeout=120)
            yield Waiting(1)
            go_on.acquire(timeout=120)
            yield "My turn."
        case "halves":
            yield "First half. "
            go_on.acquire(timeout=120)
            yield "Second half."
        case "fail":
            yield "Half of "
            yield EngineError("The device ran out of memory for this reply.")
        case "settings":
            yield f"`{request.sampling.model_dump_json()}`"
        case "messages":
            yield "\n".join(f"- {message['role']}: {message['content']}" for message in request.messages)
        case _:
            yield from ("You ", "said: ", question)


class ScriptedHost:
    """Stands in for the engine host; ``/test/state`` says how far it is."""

    def __init__(self) -> None:
        self.engine = ScriptedEngine(script)
        self._state: host.State | None = host.Ready(self.engine, 1.0)
        self.recorder = Recorder(self.engine)

    @property
    def state(self) -> host.State:
        """How far it is; None stands for a fault in the page."""
        if self._state is None:
            raise RuntimeError("a fault for a test")
        return self._state

    @state.setter
    def state(self, state: host.State | None) -> None:
        self._state = state

    def start(self) -> None:
        """What the retry button does."""
        self.state = host.Ready(self.engine, 1.0)


scripted = ScriptedHost()
setattr(host, "engine_host", lambda: scripted)  # noqa: B010


async def set_state(request: Request) -> JSONResponse:
    """How far the model is loaded: loading, failed or ready."""
    states: dict[str, host.State | None] = {
        "broken": None,
        "loading": host.Loading("weights", time.monotonic() - 3),
        "failed": host.Failed("No checkpoint was found in models/. Fetch one: python download.py"),
        "ready": host.Ready(scripted.engine, 1.0),
    }
    scripted.state = states[request.query_params["is"]]
    return JSONResponse("ok")


async def set_info(request: Request) -> JSONResponse:
    """Whether the model calls itself a demo, and how long its context is."""
    changes: dict[str, Any] = {"is_demo": "demo" in request.query_params}
    changes["context_length"] = int(request.query_params.get("context", "40000"))
    scripted.engine.with_info(**changes)
    return JSONResponse("ok")


async def was_cancelled(request: Request) -> JSONResponse:
    """Whether a reply to ``question`` was cancelled."""
    questions = [cancelled.messages[-1]["content"] for cancelled in scripted.engine.cancelled]
    return JSONResponse(request.query_params["question"] in questions)


async def serve_one(_: Request) -> JSONResponse:
    """One less stands before the reply that waits in line."""
    go_on.release()
    return JSONResponse("ok")


async def get_now(_: Request) -> JSONResponse:
    """How many pages are connected, how many replies are being written, and how often all memory was looked through."""
    return JSONResponse(
        {
            "pages": _sessions().num_active_sessions(),
            "replies": len(scripted.engine.activity.running()),
            "collections": gc.get_stats()[-1]["collections"],
        }
    )


async def end_replies(_: Request) -> JSONResponse:
    """What no reader waits for any more would be written on, and be seen by whoever comes next."""
    for running in scripted.engine.activity.running():
        running.cancel()
    return JSONResponse("ok")


async def forget_sessions(_: Request) -> JSONResponse:
    """What Streamlit does with the session of a page that was not connected for two minutes."""
    _sessions()._session_storage._cache.clear()
    return JSONResponse("ok")


def _sessions() -> Any:
    return Runtime.instance()._session_mgr


async def get_caller(request: Request) -> JSONResponse:
    """Who the access middleware says is calling."""
    identity = identity_of(request)
    return JSONResponse(asdict(identity) | {"account": identity.account})


async def get_visitors(_: Request) -> JSONResponse:
    """Whose replies the page asked for, the newest last."""
    return JSONResponse([asked.visitor for asked in scripted.engine.requests])


async def get_addresses(_: Request) -> JSONResponse:
    """Which networks the replies count for that the page asked for, the newest last."""
    return JSONResponse([asked.address for asked in scripted.engine.requests])


async def die(_: Request) -> JSONResponse:
    """End as a machine does that loses its power."""
    os.kill(os.getpid(), signal.SIGKILL)
    return JSONResponse("never said")


# Streamlit finds the application only when it is made right here.
app = st.App(
    "../../components/ui/page.py",
    routes=with_base_path(
        [
            Route("/health", health),
            Route("/metrics", metrics),
            Route("/test/state", set_state),
            Route("/test/info", set_info),
            Route("/test/cancelled", was_cancelled),
            Route("/test/go_on", serve_one),
            Route("/test/die", die),
            Route("/test/now", get_now),
            Route("/test/forget", forget_sessions),
            Route("/test/end", end_replies),
            Route("/test/caller", get_caller),
            Route("/test/visitors", get_visitors),
            Route("/test/addresses", get_addresses),
            *build_pages(),
        ]
    ),
    middleware=build_middleware(),
    on_script_error=show_crash,
)
