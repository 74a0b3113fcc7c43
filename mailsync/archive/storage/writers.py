"""Who writes the files: threads of this process and, once there is much to write, a process of its
own.

Threads that write wake and sleep many times for every file, and Python lets only one thread run at
a time: a first pull from a fast server spends a fifth of its time on that. A process beside it
costs a tenth of a second to start, so small runs do without.
"""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
from collections.abc import Iterable
from typing import Final

from mailsync.archive.durability import sync_directory
from mailsync.archive.storage import write_worker

MUCH: Final = 8 << 20
"""Octets in one run after which a process of its own writes the rest."""


class Writers:
    """Writes private files; a file left under the name of a new one by a dead process is
    replaced.
    """

    def __init__(self) -> None:
        self._crew = write_worker.Crew()
        self._process: _Process | None = None
        self._alone = False
        self._octets = 0

    def add(self, path: str, content: bytes, mtime: int | None) -> None:
        """Have a file written (`mtime` in epoch seconds, where the disk can hold it); it is on disk
        after `sync`. Raises OSError.
        """
        self._octets += len(content)
        if self._process is None and self._octets > MUCH and not self._alone:
            self._process = _started()
            self._alone = self._process is None
        (self._process or self._crew).add(path, content, mtime)

    def sync(self) -> None:
        """Wait until all files added so far are on disk.

        Raises OSError, again and again until `discard`.
        """
        self._crew.sync()
        if self._process is not None:
            self._process.sync()

    def discard(self) -> None:
        """Write nothing more of what was added; returns once nothing is under way."""
        self._crew.discard()
        if self._process is not None:
            self._process.stop()
            self._process = None
        self._octets = 0

    def sync_directories(self, directories: Iterable[str]) -> None:
        """Force the entries of directories to disk, side by side. Raises OSError."""
        for _ in self._crew.pool.map(sync_directory, directories):
            pass

    def close(self) -> None:
        """Stop; what was not synced may be left undone."""
        self.discard()
        self._crew.close()


class _Process:
    """The writing process, seen from here."""

    def __init__(self, running: subprocess.Popen[bytes]) -> None:
        self._running = running
        assert running.stdin is not None  # noqa: S101  `_started` made it
        assert running.stdout is not None  # noqa: S101  `_started` made it
        self._files, self._answers = running.stdin, running.stdout
        self._error: OSError | None = None

    def add(self, path: str, content: bytes, mtime: int | None) -> None:
        """Hand a file over; waits while the process has more than enough. Raises OSError."""
        name = os.fsencode(path)
        dated = mtime is not None and abs(mtime) < 1 << 63
        self._send(
            write_worker.HEADER.pack(len(name), len(content), (mtime or 0) if dated else 0, dated)
            + name,
            content,
        )

    def sync(self) -> None:
        """Wait until all files handed over are on disk. Raises OSError."""
        self._send(write_worker.HEADER.pack(0, 0, 0, False), b"")
        number, octets = write_worker.ANSWER.unpack(self._read(write_worker.ANSWER.size))
        path = os.fsdecode(self._read(octets))
        if number:
            self._error = OSError(number, os.strerror(number), path or None)
            raise self._error

    def stop(self) -> None:
        """End the process; returns once it writes nothing more."""
        with contextlib.suppress(OSError):
            self._files.close()
        self._answers.close()
        self._running.wait()

    def _send(self, head: bytes, content: bytes) -> None:
        if self._error is not None:
            raise self._error
        try:
            rest = [memoryview(head), memoryview(content)]
            while rest[0] or rest[1]:
                sent = os.writev(self._files.fileno(), rest)
                first = min(sent, len(rest[0]))
                rest = [rest[0][first:], rest[1][sent - first :]]
        except BrokenPipeError:
            self._lost()

    def _read(self, octets: int) -> bytes:
        data = b""
        while len(data) < octets:
            more = self._answers.read(octets - len(data))
            if not more:
                self._lost()
            data += more
        return data

    def _lost(self) -> None:
        self._error = OSError(errno.EIO, "the process that writes the files has ended unexpectedly")
        raise self._error


def _started() -> _Process | None:
    """Start the writing process; None where that is not possible, which costs speed only."""
    if not sys.executable or not hasattr(os, "writev") or not os.path.isfile(write_worker.__file__):  # noqa: PTH113  of a path Python gave
        return None
    try:
        running = subprocess.Popen(  # noqa: S603  our own file by our own interpreter
            [sys.executable, "-I", "-S", write_worker.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
    except OSError:
        return None
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            import fcntl  # noqa: PLC0415  not everywhere

            fcntl.fcntl(running.stdin.fileno(), fcntl.F_SETPIPE_SZ, write_worker.PIPE)  # type: ignore[union-attr]  # a pipe was asked for
    return _Process(running)
