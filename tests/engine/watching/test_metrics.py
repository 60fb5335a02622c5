"""What Prometheus reads of an engine: every figure under its own name."""

import sys
from types import SimpleNamespace

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from components.engine.events import Delta, Finished
from components.engine.interface import Load
from components.engine.watching.metrics import device_memory_bytes, exposition
from tests.conftest import Clock
from tests.scripted_engine import ScriptedEngine

BUSY = Load(active=3, waiting=2, used_tokens=500, idle_tokens=70, capacity_tokens=4096)


@pytest.fixture
def engine() -> ScriptedEngine:
    engine = ScriptedEngine()
    engine.busy = BUSY
    return engine


def read(engine: ScriptedEngine) -> dict[str, float]:
    """Every sample by its name and labels, such as ``baichuan_cache_tokens{state=used}``."""
    values: dict[str, float] = {}
    for family in text_string_to_metric_families(exposition(engine).decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            key = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert key not in values, "two samples of one name"
            values[key] = sample.value
    return values


def with_gpu(monkeypatch: pytest.MonkeyPatch, free: int, total: int) -> None:
    cuda = SimpleNamespace(is_available=lambda: True, mem_get_info=lambda: (free, total))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))


def test_the_load_is_told_as_it_is(engine: ScriptedEngine) -> None:
    values = read(engine)

    assert values["baichuan_replies_active"] == 3
    assert values["baichuan_replies_waiting"] == 2
    assert values["baichuan_cache_tokens{state=used}"] == 500
    assert values["baichuan_cache_tokens{state=idle}"] == 70
    assert values["baichuan_cache_tokens{state=capacity}"] == 4096


def test_each_scrape_reads_the_load_anew(engine: ScriptedEngine) -> None:
    read(engine)
    engine.busy = Load(active=1, waiting=0, used_tokens=8, idle_tokens=9, capacity_tokens=4096)
    values = read(engine)

    assert (values["baichuan_replies_active"], values["baichuan_replies_waiting"]) == (1, 0)
    assert values["baichuan_cache_tokens{state=used}"] == 8


def test_what_was_read_and_written_is_told(engine: ScriptedEngine, clock: Clock) -> None:
    engine.activity.clock = clock
    running = engine.activity.begin("v1", "anna", lambda: None)
    engine.activity.note(running, Delta("a", count=4))
    clock.now += 0.5
    engine.activity.note(running, Delta("b"))
    engine.activity.note(running, Finished("length", 30, 6, 2.0, 1.5, reused_tokens=20))
    values = read(engine)

    assert values["baichuan_requests_total{origin=v1,outcome=length}"] == 1
    assert values["baichuan_prompt_tokens_total"] == 30
    assert values["baichuan_prompt_tokens_reused_total"] == 20
    assert values["baichuan_completion_tokens_total"] == 6
    assert values["baichuan_time_to_first_token_seconds_sum"] == 1.5
    assert values["baichuan_time_to_first_token_seconds_count"] == 1
    assert values["baichuan_time_between_tokens_seconds_sum"] == 0.5
    assert values["baichuan_time_between_tokens_seconds_count"] == 1


def test_memory_is_the_processs(engine: ScriptedEngine) -> None:
    process = psutil.Process()
    values = read(engine)

    assert values["process_resident_memory_bytes"] == pytest.approx(process.memory_info().rss, rel=0.5)
    assert values["process_start_time_seconds"] == pytest.approx(process.create_time(), abs=2)


def test_the_memory_of_a_gpu_is_what_is_in_use(engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpu(monkeypatch, free=5_000, total=24_000)

    assert device_memory_bytes() == 19_000
    assert read(engine)["baichuan_device_memory_bytes"] == 19_000


@pytest.mark.parametrize("torch", [None, SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: False))])
def test_without_a_gpu_there_is_no_such_figure(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch, torch: object
) -> None:
    monkeypatch.setitem(sys.modules, "torch", torch)

    assert device_memory_bytes() is None
    assert "baichuan_device_memory_bytes" not in read(engine)
