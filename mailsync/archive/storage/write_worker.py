"""Private files written and forced to disk in batches, by threads of this process or by a process
of their own.

As a program it reads files from its standard input, a header, a path and the content each, and
writes them; asked to, it answers on its standard output once all of them are on disk, or with what
went wrong first. It imports nothing of this package, so that it starts at once.

The files of a batch are all written, then all on their way to the disk, and only then waited for:
most of the waits then find that one write of the journal has served them too. That makes a batch
several times as fast as one file after the other.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import struct
import sys
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, Final, TypeAlias

THREADS: Final = 3
BATCH_FILES: Final = 16
BATCH_OCTETS: Final = 1 << 20
BACKLOG: Final = 16
"""Batches that may wait for a slow disk, in memory, before the caller does."""

HEADER: Final = struct.Struct("=IQq?")
"""Octets of the path, octets of the content, mtime in epoch seconds and whether there is one; no
path asks for an answer.
"""

ANSWER: Final = struct.Struct("=iI")
"""Error number (0: none) and octets of the path that follows it."""

PIPE: Final = 1 << 20

File: TypeAlias = tuple[str | bytes, bytes, int | None]

_creating: Final = threading.Lock()
"""Only one file can be made in a directory at a time: the kernel would let the others burn the time
by spinning.
"""


class Crew:
    """A few threads that write batches; a file left under the name of a new one by a dead process
    is replaced.
    """

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(THREADS, thread_name_prefix="mailsync-writer")
        self._batch: list[File] = []
        self._octets = 0
        self._under_way: deque[Future[None]] = deque()
        self._error: OSError | None = None

    def add(self, path: str | bytes, content: bytes, mtime: int | None) -> None:
        """Have a file written (`mtime` in epoch seconds, where the disk can hold it); it is on disk
        after `sync`. Raises OSError.
        """
        self._batch.append((path, content, mtime))
        self._octets += len(content)
        if len(self._batch) >= BATCH_FILES or self._octets >= BATCH_OCTETS:
            self._send()

    def sync(self) -> None:
        """Wait until all files added so far are on disk.

        Raises OSError, again and again until `discard`.
        """
        self._send()
        self._await(0)

    def discard(self) -> None:
        """Write nothing more of what was added; returns once nothing is under way."""
        self._batch, self._octets = [], 0
        for future in self._under_way:
            if not future.cancel():
                with contextlib.suppress(OSError):
                    future.result()
        self._under_way.clear()
        self._error = None

    def close(self) -> None:
        """Stop the threads; what was not synced may be left undone."""
        self.pool.shutdown(wait=True, cancel_futures=True)

    def _send(self) -> None:
        if self._batch:
            self._under_way.append(self.pool.submit(write, self._batch))
            self._batch, self._octets = [], 0
        self._await(BACKLOG)

    def _await(self, backlog: int) -> None:
        try:
            while self._error is None and len(self._under_way) > backlog:
                self._under_way.popleft().result()
        except OSError as error:
            self._error = error
        if self._error is not None:
            # One file that is not whole spoils what was to be durable together.
            raise self._error


def write(batch: list[File]) -> None:
    """Write new private files and force them to disk together. Raises OSError."""
    descriptors: list[int] = []
    try:
        with _creating:
            for path, _, _ in batch:
                descriptors.append(_replace(path))
        for descriptor, (_, content, mtime) in zip(descriptors, batch, strict=True):
            fill(descriptor, content, mtime)
        if hasattr(os, "posix_fadvise"):
            for descriptor in descriptors:
                # On Linux this starts the writing; elsewhere it may do nothing, and `fsync` does it
                # all.
                with contextlib.suppress(OSError):
                    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        for descriptor in descriptors:
            os.fsync(descriptor)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def create(path: str | bytes | os.PathLike[str]) -> int:
    """Make a new private file and give its descriptor; fails when it exists."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)


def fill(descriptor: int, content: bytes, mtime: int | None = None) -> None:
    """Write all of a file; `mtime` (epoch seconds) is set where the disk can hold it."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
    if mtime is not None:
        with contextlib.suppress(OverflowError, OSError):
            os.utime(descriptor, (mtime, mtime))


def _replace(path: str | bytes) -> int:
    try:
        return create(path)
    except FileExistsError:
        # Left by a process that died with our number (in containers it is always the same): the
        # lock says that it is nobody's now.
        os.unlink(path)  # noqa: PTH108  os is what the crash seam watches
        return create(path)


def serve(files: BinaryIO, answers: int) -> None:
    """Write what comes in until it ends; after an error nothing more is written, and every answer
    tells of it.

    What nobody heard of as being on disk is removed at the end: whoever sent it has died, or wants
    none of it.
    """
    crew = Crew()
    error: OSError | None = None
    unsynced: list[bytes] = []
    while len(header := files.read(HEADER.size)) == HEADER.size:
        path_octets, octets, mtime, dated = HEADER.unpack(header)
        try:
            if not path_octets:
                if error is None:
                    crew.sync()
            else:
                path, content = files.read(path_octets), files.read(octets)
                if error is None and len(content) == octets:
                    unsynced.append(path)
                    crew.add(path, content, mtime if dated else None)
        except OSError as trouble:
            error = trouble
        if not path_octets:
            try:
                os.write(answers, _answer(error))
            except BrokenPipeError:
                break
            if error is None:
                unsynced.clear()
    crew.discard()
    crew.close()
    for path in unsynced:
        with contextlib.suppress(OSError):
            os.unlink(path)  # noqa: PTH108  this program imports little


def _answer(error: OSError | None) -> bytes:
    if error is None:
        return ANSWER.pack(0, 0)
    path = os.fsencode(error.filename or b"")
    return ANSWER.pack(error.errno or errno.EIO, len(path)) + path


if __name__ == "__main__":
    # Ctrl-C is for the process that sends the files; its end is the end of our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with os.fdopen(0, "rb", buffering=PIPE) as source:
        serve(source, 1)
    sys.exit(0)
