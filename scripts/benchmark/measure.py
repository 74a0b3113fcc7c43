"""One run of one program, measured alone: wall time, CPU, memory, octets on the wire and waits."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from scripts.benchmark.record import Sample
from tests.servers.wan import Proxy

_LOOK = 0.05
_LIMIT = 900.0  # seconds after which a program hangs


class ProgramFailed(RuntimeError):
    """A measured program ended badly; the message holds the end of what it said."""


def run(command: Sequence[str], folder: Path, proxy: Proxy | None = None) -> Sample:
    """Run a program to its end in `folder` and measure it, children included. Raises ProgramFailed.

    `proxy` is the one the program talks through, if any, for what passed there.
    """
    # What the caller told Python (to write no bytecode, say) is not what an installed program lives
    # with.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    log = folder / "output.log"
    with log.open("wb") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        with _Memory(process.pid) as memory:
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said = log.read_text(errors="replace").strip()[-2000:]
        raise ProgramFailed(f"{Path(command[0]).name} ended with {process.returncode}:\n{said}")
    passed = proxy.traffic() if proxy else []
    return Sample(
        seconds,
        usage.ru_utime + usage.ru_stime,
        memory.peak / 1024,
        *(
            (
                sum(t.to_server for t in passed),
                sum(t.from_server for t in passed),
                max(t.turns for t in passed),
            )
            if passed
            else ()
        ),
    )


class _Memory:
    """Watches a process and its descendants while they run; `peak` in kB is the most that the
    high-water marks of those alive summed to.

    The kernel's ru_maxrss would count the memory of this script, which a child shares until it
    begins.
    """

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        begun = time.monotonic()
        # Short programs first, then seldom: looking costs CPU that the measured program wants.
        pause = 0.002
        while not self._over.wait(pause):
            self.peak = max(self.peak, sum(map(_high_water, _family(self._pid))))
            pause = min(_LOOK, pause * 1.5)
            if time.monotonic() - begun > _LIMIT:
                os.kill(self._pid, signal.SIGKILL)


def _family(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        try:
            tasks = list(Path(f"/proc/{one}/task").iterdir())
            found += [
                int(child) for task in tasks for child in (task / "children").read_text().split()
            ]
        except OSError:
            continue
    return found


def _high_water(pid: int) -> int:
    """Tell the most memory a process ever held, in kB; 0 once it is gone, or where the system does
    not tell.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
