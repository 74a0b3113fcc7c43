"""Server processes on loopback: start, wait until they answer, stop, and never outlive the test
run.

A child is bound to its parent by a pipe: the child's standard input ends when the parent closes it
or dies, however it dies, and the child then ends itself. So a killed test run leaves no server
behind, and nothing is ever stopped by name.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final, Self

ROOT: Final = Path(__file__).resolve().parents[2]
HOST: Final = "127.0.0.1"
_START: Final = 30.0
_STOP: Final = 10.0


class ServerFailed(RuntimeError):
    """A server did not start; the message holds what it said."""


def free_ports(count: int) -> list[int]:
    """Find so many different ports nobody listens on now; another program may still take one before
    it is used.
    """
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind((HOST, 0))
        return [sock.getsockname()[1] for sock in sockets]


class Child:
    """A running server process; use it as a context manager, or call `stop`.

    The command must end when its standard input ends: `end_with_parent` does that in Python, `kept`
    for any other program.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed in stop()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            start_new_session=True,  # a Ctrl-C is for the tests; they stop their servers themselves
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process to look at, should a test want to."""
        return self._process.pid

    def first_line(self) -> str:
        """Wait for the first line the child prints, which tells that it is ready.

        Raises ServerFailed.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self.failure("ended before it was ready")
        return line.decode().strip()

    def wait_for(self, port: int) -> None:
        """Wait until something greets on `port`.

        Raises ServerFailed when the child ends first, or takes too long.
        """
        deadline = time.monotonic() + _START
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise self.failure(f"ended with {self._process.returncode}")
            with (
                contextlib.suppress(OSError),
                socket.create_connection((HOST, port), timeout=5) as sock,
            ):
                if sock.recv(1):
                    return
            time.sleep(0.02)
        raise self.failure(f"did not greet on port {port} in {_START:g} s")

    def failure(self, what: str) -> ServerFailed:
        """Stop, and make the error that tells `what` happened and what the child said."""
        self.stop(close=False)
        self._said.seek(0)
        said = self._said.read()[-4000:].decode(errors="replace")
        self._said.close()
        return ServerFailed(f"{self._process.args!r} {what}\n{said}")

    def stop(self, *, close: bool = True) -> None:
        """Let the child end, by force when it does not listen; idempotent."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        if close:
            self._said.close()


def end_with_parent() -> None:
    """Bind this process to its parent: it ends when its standard input does."""

    def watch() -> None:
        # A plain read: the interpreter's own stdin object is locked at exit while another thread
        # reads from it.
        while os.read(0, 4096):
            pass
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def kept(command: Sequence[str]) -> list[str]:
    """Wrap any foreground program so that it ends with its parent."""
    return [sys.executable, "-m", "tests.servers.processes", *command]


@contextlib.contextmanager
def workplace(prefix: str) -> Iterator[Path]:
    """Make a short-named temporary directory that server processes of other users can reach, and
    remove it.

    Short, because the path of a Unix socket ends at 107 bytes; reachable, which pytest's own
    temporary directories are not.
    """
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def _keep(command: Sequence[str]) -> int:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def watch() -> None:
        while os.read(0, 4096):
            pass
        process.terminate()
        try:
            process.wait(_STOP / 2)
        except subprocess.TimeoutExpired:
            process.kill()

    threading.Thread(target=watch, daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: process.terminate())
    return process.wait()


if __name__ == "__main__":
    sys.exit(_keep(sys.argv[1:]))
