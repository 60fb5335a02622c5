"""How many cores there are to compute on."""

import os
from pathlib import Path

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(quota: Path = CPU_QUOTA) -> int:
    """The cores that this process may use; in a container often fewer than the machine has.

    Args:
        quota: the container's limit as Linux tells it, "MICROSECONDS PERIOD" or "max PERIOD".
    """
    cores = len(os.sched_getaffinity(0))
    try:
        allowed, period = quota.read_text(encoding="utf-8").split()
        return max(1, min(cores, round(int(allowed) / int(period))))
    except (OSError, ValueError):
        return cores
