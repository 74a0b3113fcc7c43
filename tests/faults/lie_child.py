"""A process that has imported the command once and runs it as often as asked, each time in a forked
child with a clock of its own, so that a thousand runs cost no start-up and no waiting.

Waiting moves the clock of the shared `Meter` on instead. Imports nothing that is needed for tests
only. Speaks JSON, one line each way.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final, SupportsIndex

from tests.faults.lie_meter import Meter

MEMORY: Final = 3 << 30
PROCESSOR: Final = 15
"""Seconds of processor time a run may take, however long that is; an honest one takes 0.1."""

_real = (time.sleep, time.time, time.monotonic)


def _serve(asked: dict[str, Any]) -> None:
    """Run one command; never returns."""
    os.setsid()
    os.chdir(asked["home"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR, PROCESSOR + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number, name in ((0, "/dev/null"), (1, "out"), (2, "err")):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(name, flags), number)
    code = 99
    sys.argv = ["mailsync", *asked["arguments"]]
    try:
        from mailsync.cli.main import main  # noqa: PLC0415  imported long since

        main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(asked: dict[str, Any], meter: Meter) -> int | None:
    """Fork, wait for the end; returns the code, None for a run that had to be stopped."""
    began = _real[2]()
    pid = os.fork()
    if not pid:
        _serve(asked)
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return None if code == -signal.SIGXCPU else code
        # A run that neither computes nor is told anything: the last of the limits.
        if meter.endless or _real[2]() - began > asked["bound"]:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
        _real[0](0.01)


def main() -> None:
    """Answer until the parent closes the pipe."""
    meter = Meter(Path(sys.argv[1]))

    def sleep(seconds: float | SupportsIndex) -> None:
        meter.waited(float(seconds))
        _real[0](min(float(seconds), 0.002))

    time.sleep = sleep
    time.time = lambda: _real[1]() + meter.ahead
    time.monotonic = lambda: _real[2]() + meter.ahead
    import importlib  # noqa: PLC0415  the clock first

    for name in ("pull", "push", "restore", "migrate", "verify"):
        importlib.import_module(f"mailsync.cli.commands.{name}")
    for line in sys.stdin:
        print(json.dumps(_run(json.loads(line), meter)), flush=True)


if __name__ == "__main__":
    main()
