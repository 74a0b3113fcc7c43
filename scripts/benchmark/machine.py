"""The circumstances of a measurement, in general terms: nothing that names a machine or its
owner.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path


def circumstances() -> dict[str, str]:
    """Tell processor, cores, memory, kernel, date and load."""
    kilobytes = _first(Path("/proc/meminfo"), r"MemTotal:\s*(\d+)") or "0"
    return {
        "processor": _first(Path("/proc/cpuinfo"), r"model name\s*:\s*(.+)") or platform.machine(),
        "cores": str(
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        ),
        "memory": f"{int(kilobytes) / 2**20:.0f} GB",
        "kernel": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "python": f"{platform.python_version()} ({sys.implementation.name})",
        "date": f"{datetime.now(tz=UTC):%Y-%m-%d}",
        "commit": commit(),
        "load": load(),
    }


def load() -> str:
    """Return how many programs wanted a core, on average over the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def commit() -> str:
    """Name the commit that is measured, with a plus sign when files have changed since."""
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    return told.stdout.strip() or "unknown"


def _first(file: Path, pattern: str) -> str | None:
    try:
        found = re.search(pattern, file.read_text())
    except OSError:
        return None
    return found[1].strip() if found else None
