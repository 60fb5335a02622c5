"""How much of the machine there is to compute with: of its cores and of its memory, what a container leaves.

Linux tells it in files of control groups, of version 1 or 2 (docs.kernel.org: "Control Group v2", "Memory Resource
Controller", "CFS Bandwidth Control"). A group's limit holds for all groups below it, too.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

GROUPS, OWN = Path("sys/fs/cgroup"), Path("proc/self/cgroup")


def usable_cores(root: Path = Path("/")) -> int:
    """The cores that this process may use; in a container often fewer than the machine has.

    Args:
        root: below it Linux tells of the limits.
    """
    # macOS has no sched_getaffinity.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed = [float(cores)]
    for group in _groups(root, "cpu"):
        with contextlib.suppress(OSError, ValueError):  # "max 100000" is no limit
            quota, period = map(int, (group / "cpu.max").read_text(encoding="utf-8").split())
            allowed.append(quota / period)
        with contextlib.suppress(OSError, ValueError):
            quota, period = (_number(group / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
            if quota > 0:  # -1 is no limit
                allowed.append(quota / period)
    return max(1, round(min(allowed)))


def available_memory(root: Path = Path("/")) -> int:
    """The bytes of main memory that this process may still take.

    Args:
        root: below it Linux tells of the limits.
    """
    free: list[int] = [psutil.virtual_memory().available]
    for group in _groups(root, "memory"):
        for limit, held, cache in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            with contextlib.suppress(OSError, ValueError):  # "max" is no limit
                # The system gives up what it keeps of files before it refuses memory.
                used = _number(group / held) - _counted(group / "memory.stat", cache)
                free.append(_number(group / limit) - used)
    return max(0, min(free))


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """This process's control group of a kind, and those above; in a container the outer ones are out of sight."""
    try:
        lines = (root / OWN).read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    paths = {kinds: path for _, kinds, path in (line.split(":", 2) for line in lines if line.count(":") >= 2)}
    version_1 = next((path for kinds, path in paths.items() if controller in kinds.split(",")), "/")
    for top, path in ((root / GROUPS, paths.get("", "/")), (root / GROUPS / controller, version_1)):
        own = Path(path.lstrip("/"))
        for group in (own, *own.parents):
            yield top / group


def _number(file: Path) -> int:
    return int(file.read_text(encoding="utf-8"))


def _counted(file: Path, name: str) -> int:
    lines = (line.split() for line in file.read_text(encoding="utf-8").splitlines())
    return next((int(line[1]) for line in lines if line[0] == name), 0)
