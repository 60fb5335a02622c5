"""One engine per process."""

import threading
from collections.abc import Callable

import pytest
import streamlit

from components.engine import host as host_module
from components.engine.errors import EngineNotReadyError
from components.engine.host import EngineHost, Failed, Loading, Ready, engine_host
from components.engine.interface import Engine, Stage
from components.engine.local.engine import LocalEngine


def test_many_who_ask_while_it_loads_get_one_engine(engine: LocalEngine) -> None:
    may_load = threading.Event()
    loads = []

    def load(on_stage: Callable[[Stage], None]) -> Engine:
        loads.append(1)
        on_stage("weights")
        assert may_load.wait(60)
        return engine

    host = EngineHost(load)
    found: list[Engine] = []
    threads = [threading.Thread(target=lambda: found.append(host.wait(60))) for _ in range(8)]
    for thread in threads:
        thread.start()
        host.start()
    with pytest.raises(EngineNotReadyError, match="still loading"):
        host.wait(timeout=0)
    assert isinstance(host.state, Loading)
    may_load.set()
    for thread in threads:
        thread.join()

    assert found == [engine] * 8
    assert len(loads) == 1
    assert isinstance(host.state, Ready)


def test_a_failure_says_why_and_can_be_tried_again(engine: LocalEngine) -> None:
    outcomes: list[Exception | Engine] = [RuntimeError("the disk is full: free some"), engine]

    def load(_: Callable[[Stage], None]) -> Engine:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    host = EngineHost(load)
    with pytest.raises(EngineNotReadyError, match="the disk is full: free some"):
        host.wait(timeout=60)
    assert host.state == Failed("the disk is full: free some")
    host.start()

    assert host.wait(timeout=60) is engine


def test_the_process_has_one_host_whoever_asks_first_and_whatever_becomes_of_streamlits_caches(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = []

    def load(_: Callable[[Stage], None]) -> Engine:
        loads.append(1)
        return engine

    monkeypatch.setattr(host_module, "_host", None)
    monkeypatch.setattr(host_module, "_load", load)
    together, found = threading.Barrier(8), list[EngineHost]()

    def ask() -> None:
        together.wait(60)
        found.append(engine_host())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    streamlit.cache_resource.clear()
    streamlit.cache_data.clear()

    assert {id(host) for host in found} == {id(engine_host())}
    assert engine_host().wait(60) is engine
    assert len(loads) == 1
