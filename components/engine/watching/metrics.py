"""What a Prometheus server reads: an engine's activity, how full it is, and the process's memory."""

import sys
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from components.engine.interface import Engine


class LoadCollector(Collector):
    """Reads an engine's load at each scrape."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """The gauges, as they are now."""
        load = self._engine.load()
        yield GaugeMetricFamily("baichuan_replies_active", "Replies being written", load.active)
        yield GaugeMetricFamily("baichuan_replies_waiting", "Replies waiting in line", load.waiting)
        cache = GaugeMetricFamily("baichuan_cache_tokens", "Tokens of the key-value caches", labels=["state"])
        cache.add_metric(["used"], load.used_tokens)
        cache.add_metric(["idle"], load.idle_tokens)
        cache.add_metric(["capacity"], load.capacity_tokens)
        yield cache
        if (memory := device_memory_bytes()) is not None:
            yield GaugeMetricFamily("baichuan_device_memory_bytes", "Memory of the GPU that is in use", memory)


def device_memory_bytes() -> int | None:
    """Memory in use on the current GPU; None without one."""
    torch = sys.modules.get("torch")  # a server whose model runs elsewhere never imports it
    if torch is None or not torch.cuda.is_available():
        return None
    try:
        free, total = torch.cuda.mem_get_info()
    except RuntimeError:  # after a device-side error nothing answers; the other figures still count
        return None
    return int(total - free)


def exposition(engine: Engine) -> bytes:
    """All metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(LoadCollector(engine))
    ProcessCollector(registry=registry)
    return generate_latest(engine.activity.registry) + generate_latest(registry)
