"""What a container leaves of the machine, by the files in which Linux tells it."""

import os
from pathlib import Path

import psutil
import pytest

from components.model.limits import available_memory, usable_cores

GB = 10**9


def machine(root: Path, groups: str, files: dict[str, str]) -> Path:
    """A root with this ``/proc/self/cgroup``, and these files below ``/sys/fs/cgroup``."""
    for name, content in {"proc/self/cgroup": groups, **{f"sys/fs/cgroup/{k}": v for k, v in files.items()}}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.fixture(autouse=True)
def _large(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 cores and 100 GB."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("memory", (), {"available": 100 * GB}))


V1 = "11:memory:/docker/ab\n4:cpu,cpuacct:/docker/ab\n1:name=systemd:/docker/ab\n"


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        pytest.param("0::/\n", {}, 64, id="no limit"),
        pytest.param("0::/\n", {"cpu.max": "max 100000\n"}, 64, id="no limit, told"),
        pytest.param("0::/\n", {"cpu.max": "400000 100000\n"}, 4, id="a container"),
        pytest.param("0::/\n", {"cpu.max": "50000 100000\n"}, 1, id="half a core"),
        pytest.param("0::/\n", {"cpu.max": "250000 100000\n"}, 2, id="two and a half"),
        pytest.param("0::/\n", {"cpu.max": "nonsense\n"}, 64, id="nonsense"),
        pytest.param(
            "0::/system.slice/chat.service\n", {"system.slice/chat.service/cpu.max": "300000 100000"}, 3, id="a service"
        ),
        pytest.param(
            "0::/a.slice/b.service\n",
            {"a.slice/b.service/cpu.max": "max 100000", "a.slice/cpu.max": "200000 100000"},
            2,
            id="what lies above",
        ),
        pytest.param(
            V1,
            {"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"},
            4,
            id="a container, version 1",
        ),
        pytest.param(
            V1,
            {"cpu/docker/ab/cpu.cfs_quota_us": "200000\n", "cpu/docker/ab/cpu.cfs_period_us": "100000\n"},
            2,
            id="a group, version 1",
        ),
        pytest.param(V1, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 64, id="none, version 1"),
    ],
)
def test_no_more_threads_are_started_than_cores_may_be_used(
    tmp_path: Path, groups: str, files: dict[str, str], cores: int
) -> None:
    assert usable_cores(machine(tmp_path, groups, files)) == cores


@pytest.mark.parametrize(
    ("groups", "files", "gigabytes"),
    [
        pytest.param("0::/\n", {}, 100, id="no limit"),
        pytest.param("0::/\n", {"memory.max": "max\n", "memory.current": "5", "memory.stat": ""}, 100, id="none, told"),
        pytest.param(
            "0::/\n",
            {
                "memory.max": str(8 * GB),
                "memory.current": str(5 * GB),
                "memory.stat": f"anon 1\ninactive_file {3 * GB}\n",
            },
            6,
            id="a container",
        ),
        pytest.param(
            "0::/a.slice/b.service\n",
            {"a.slice/memory.max": str(2 * GB), "a.slice/memory.current": "0", "a.slice/memory.stat": "anon 0\n"},
            2,
            id="what lies above",
        ),
        pytest.param(
            V1,
            {
                "memory/memory.limit_in_bytes": str(4 * GB),
                "memory/memory.usage_in_bytes": str(3 * GB),
                "memory/memory.stat": f"inactive_file 0\ntotal_inactive_file {GB}\n",
            },
            2,
            id="a container, version 1",
        ),
        pytest.param(
            V1,
            {
                "memory/memory.limit_in_bytes": "9223372036854771712",
                "memory/memory.usage_in_bytes": "0",
                "memory/memory.stat": "",
            },
            100,
            id="none, version 1",
        ),
        pytest.param(
            "0::/\n",
            {"memory.max": str(GB), "memory.current": str(2 * GB), "memory.stat": "anon 1\n"},
            0,
            id="more than all",
        ),
    ],
)
def test_no_more_memory_is_counted_on_than_there_is(
    tmp_path: Path, groups: str, files: dict[str, str], gigabytes: int
) -> None:
    assert available_memory(machine(tmp_path, groups, files)) == gigabytes * GB


def test_where_linux_tells_nothing_the_machine_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 10)

    assert usable_cores(tmp_path) == 10
    assert available_memory(tmp_path) == 100 * GB
