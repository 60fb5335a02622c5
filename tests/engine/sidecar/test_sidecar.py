"""Servers that this application starts: real processes, which start, fail and end in every way."""

import errno
import http.client
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from components.engine.errors import EngineError
from components.engine.sidecar import process as process_module
from components.engine.sidecar.process import Endpoint, Launch
from components.engine.sidecar.sidecar import Sidecar, answers
from tests.conftest import ROOT

SERVER = Path(__file__).with_name("small_server.py")
NAME = "small server"

Make = Callable[..., Sidecar]


@pytest.fixture
def make(caplog: pytest.LogCaptureFixture) -> Iterator[Make]:
    """Makes sidecars of the small server, which does what a word says; they are ended with the test."""
    caplog.set_level(logging.INFO, logger="components")
    sidecars: list[Sidecar] = []

    def make_one(word: str = "serves", **options: Any) -> Sidecar:
        sidecars.append(Sidecar(NAME, lambda endpoint: launch(endpoint, word), **{"patience": 60, **options}))
        return sidecars[-1]

    yield make_one
    for sidecar in sidecars:
        sidecar.close()


def launch(endpoint: Endpoint, word: str) -> Launch:
    arguments = [sys.executable, str(SERVER), str(endpoint.port), word]
    return Launch(arguments, {"KEY": endpoint.key.get_secret_value()})


def pids(text: str) -> list[int]:
    """Of the servers and of their children, as their lines in the log tell them."""
    return [int(pid) for line in re.findall(r"pids (\d+ \d+)", text) for pid in line.split()]


def told(caplog: pytest.LogCaptureFixture) -> list[int]:
    """The same of our log, which a thread writes: the line may come a moment after the server is ready."""
    wait_until(lambda: pids(caplog.text))
    return pids(caplog.text)


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it has not come true in a minute"
        time.sleep(0.02)


def assert_gone(*processes: int) -> None:
    assert processes
    wait_until(lambda: not any(map(lives, processes)))


def lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def crash(endpoint: Endpoint) -> None:
    """Have the server die in the middle of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=60)
    connection.request("GET", "/crash", headers={"Authorization": f"Bearer {endpoint.key.get_secret_value()}"})
    with pytest.raises(http.client.IncompleteRead):
        connection.getresponse().read()
    connection.close()


def test_a_server_is_waited_for_and_asks_for_a_key_that_nobody_else_sees(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    sidecar = make()
    endpoint = sidecar.start()

    assert answers(endpoint)
    assert not answers(Endpoint(endpoint.port, Endpoint.new().key))
    assert sidecar.endpoint == endpoint
    assert sidecar.trouble is None
    guard, server = psutil.Process(told(caplog)[0]).parent(), psutil.Process(told(caplog)[0])
    assert guard is not None
    assert endpoint.key.get_secret_value() not in " ".join([*guard.cmdline(), *server.cmdline()])


def test_its_log_is_in_ours_with_its_name_in_front(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    make().start()

    wait_until(lambda: re.search(rf"{NAME}: pids \d+ \d+", caplog.text))


def test_a_server_that_is_ended_leaves_nothing(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    sidecar = make()
    endpoint = sidecar.start()
    sidecar.close()

    assert not any(map(lives, told(caplog)))
    assert not answers(endpoint)
    assert sidecar.endpoint is None


def test_a_server_that_does_not_want_to_end_has_no_choice(
    make: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "GRACE_SECONDS", 0.1)
    sidecar = make("deaf")
    sidecar.start()
    sidecar.close()

    assert_gone(*told(caplog))


def test_a_server_that_dies_at_once_is_quoted(make: Make) -> None:
    sidecar = make("dies", advice=lambda lines: f"Fetch it ({len(lines)} lines).")

    with pytest.raises(EngineError) as error:
        sidecar.start()

    assert str(error.value) == (
        f"{NAME} ended before it was ready (exit code 1). Its last lines: loading the model / there is no such model: "
        "***. Fetch it (2 lines)."
    )
    assert sidecar.endpoint is None


def test_a_program_that_is_not_there_is_named() -> None:
    sidecar = Sidecar(NAME, lambda _: Launch(["/nowhere/at-all"]), patience=60)

    with pytest.raises(EngineError, match=r"/nowhere/at-all cannot be started: No such file or directory"):
        sidecar.start()


@pytest.mark.parametrize("word", ["never", "sleeps"])
def test_a_server_that_never_gets_ready_is_ended(make: Make, caplog: pytest.LogCaptureFixture, word: str) -> None:
    started: list[Endpoint] = []

    def ready(endpoint: Endpoint) -> bool:
        started.append(endpoint)
        return answers(endpoint)

    sidecar = make(word, ready=ready, patience=3)
    with pytest.raises(EngineError, match=rf"{NAME} was not ready after 3 seconds\. .*The log says more"):
        sidecar.start()

    assert started
    assert_gone(*told(caplog))


def test_a_server_that_is_ended_while_it_starts_is_no_longer_waited_for(make: Make) -> None:
    def ready(endpoint: Endpoint) -> bool:
        sidecar.close()
        return False

    sidecar = make(ready=ready)
    with pytest.raises(EngineError, match="was ended before it was ready"):
        sidecar.start()


def test_a_server_that_crashes_is_started_again_elsewhere(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    sidecar = make(pauses=(0, 0, 0))
    first = sidecar.start()
    crash(first)
    wait_until(lambda: sidecar.endpoint not in (None, first))

    again = sidecar.endpoint
    assert again is not None
    assert answers(again)
    assert again.key != first.key
    assert f"{NAME} has crashed (signal 6, SIGABRT)" in caplog.text
    assert_gone(*told(caplog)[:2])
    crash(again)
    wait_until(lambda: sidecar.endpoint not in (None, first, again))


def test_while_it_is_down_the_reason_is_told(make: Make) -> None:
    sidecar = make(pauses=(600,))
    crash(sidecar.start())
    wait_until(lambda: sidecar.trouble)

    assert sidecar.trouble == f"{NAME} has crashed and is being started again. Ask again in a moment."
    assert sidecar.endpoint is None
    assert not sidecar.has_given_up


def test_a_server_that_crashes_again_and_again_is_given_up(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    sidecar = make("falls", pauses=(0, 0))
    sidecar.start()
    wait_until(lambda: sidecar.has_given_up)

    assert sidecar.trouble is not None
    assert sidecar.trouble.startswith(f"{NAME} has crashed again and again, and is not started any more.")
    assert "exit code 4" in sidecar.trouble
    assert "start the application again" in sidecar.trouble
    assert len(set(told(caplog))) == 2 * 3
    assert_gone(*told(caplog))


FAULTS: list[tuple[Any, str, Exception]] = [
    (Endpoint, "new", OSError(errno.EMFILE, "Too many open files")),
    (threading.Thread, "start", RuntimeError("can't start new thread")),
    (subprocess, "Popen", OSError(errno.ENOMEM, "Cannot allocate memory")),
]
"""What the system may refuse at a start: a descriptor, a thread, memory."""
REFUSED = pytest.mark.parametrize(("where", "name", "fault"), FAULTS, ids=["descriptor", "thread", "memory"])


def refuse(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, fault: Exception) -> list[str]:
    """Have the system refuse this to the thread that watches, or to this one; the list grows each time."""
    refused: list[str] = []
    usual = getattr(where, name)

    def fail(*arguments: Any, **options: Any) -> Any:
        if threading.current_thread().name not in ("MainThread", f"{NAME}-watch"):
            return usual(*arguments, **options)
        refused.append(name)
        raise fault

    monkeypatch.setattr(where, name, fail)
    return refused


@REFUSED
def test_a_start_that_the_system_refuses_is_tried_again(
    make: Make, monkeypatch: pytest.MonkeyPatch, where: Any, name: str, fault: Exception
) -> None:
    sidecar = make(pauses=(0, 0.5, 0.5, 600))
    first = sidecar.start()
    with monkeypatch.context() as refusing:
        refused = refuse(refusing, where, name, fault)
        crash(first)
        wait_until(lambda: refused)

    wait_until(lambda: sidecar.endpoint not in (None, first))


@REFUSED
def test_starts_that_the_system_keeps_refusing_are_given_up(
    make: Make,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    where: Any,
    name: str,
    fault: Exception,
) -> None:
    sidecar = make(pauses=(0, 0))
    first = sidecar.start()
    refused = refuse(monkeypatch, where, name, fault)
    crash(first)
    wait_until(lambda: sidecar.has_given_up)

    assert len(refused) == 2
    assert sidecar.trouble is not None
    assert sidecar.trouble.startswith(f"{NAME} has crashed again and again, and is not started any more.")
    assert f"{NAME} cannot be started" in sidecar.trouble
    assert str(getattr(fault, "strerror", fault)) in sidecar.trouble
    assert_gone(*told(caplog))


@REFUSED
def test_a_first_start_that_the_system_refuses_leaves_nothing(
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    where: Any,
    name: str,
    fault: Exception,
) -> None:
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    sidecar = make()
    refuse(monkeypatch, where, name, fault)

    with pytest.raises(EngineError, match=rf"{NAME} cannot be started: "):
        sidecar.start()

    wait_until(lambda: {process.pid for process in psutil.Process().children(recursive=True)} <= before)
    assert not sidecar.endpoint


def test_a_server_that_nobody_could_watch_is_ended(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    start = threading.Thread.start

    def refuse_to_watch(thread: threading.Thread) -> None:
        if thread.name == f"{NAME}-watch":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_to_watch)
    sidecar = make()

    with pytest.raises(EngineError, match=rf"{NAME} cannot be started: can't start new thread"):
        sidecar.start()

    assert {process.pid for process in psutil.Process().children(recursive=True)} <= before
    assert not sidecar.endpoint


def test_a_port_that_somebody_else_took_is_left_to_them(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoints = [Endpoint(taken.getsockname()[1], Endpoint.new().key), Endpoint.new()]
        monkeypatch.setattr(Endpoint, "new", lambda: endpoints.pop(0))
        sidecar = make(ready=lambda endpoint: not endpoints and answers(endpoint))

        assert sidecar.start().port != taken.getsockname()[1]


PARENT = f"""
import logging, sys, time
sys.path.insert(0, {str(ROOT)!r})
logging.basicConfig(stream=sys.stdout, level=logging.INFO)
from components.engine.sidecar.sidecar import Sidecar
from tests.engine.sidecar.test_sidecar import launch
sidecar = Sidecar("server", lambda endpoint: launch(endpoint, sys.argv[1]), patience=60, ready=lambda _: False)
sidecar.start()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_server_ends_with_the_application_however_that_ends(how: signal.Signals) -> None:
    command = [sys.executable, "-c", PARENT, "serves"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        assert parent.stdout is not None
        found = next(pids(line) for line in parent.stdout if pids(line))
        assert all(map(lives, found))
        parent.send_signal(how)

    assert_gone(*found)


def test_a_guard_that_is_killed_takes_the_server_with_it(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    sidecar = make(pauses=(0,))
    first = sidecar.start()
    server, child = told(caplog)
    guard = psutil.Process(server).parent()
    assert guard is not None
    guard.kill()
    wait_until(lambda: sidecar.endpoint not in (None, first))

    assert_gone(server, child)
    assert os.getpid() != guard.pid
