"""Files written and forced to disk by a few threads, in batches.

The files of a batch are all written, then all on their way to the disk, and only then waited for: most of the waits then find
that one write of the journal has served them too. That makes a batch several times as fast as one file after the other.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeAlias

from mailsync.archive.disk import create_file, fill_file, sync_directory

THREADS: Final = 3
BATCH_FILES: Final = 16
BATCH_OCTETS: Final = 1 << 20
BACKLOG: Final = 16
"""Batches that may wait for a slow disk, in memory, before the caller does."""

_File: TypeAlias = tuple[str, bytes, int | None]


class Writers:
    """Writes private files that must not exist yet; a file left under that name by a dead process is replaced."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="mailsync-writer")
        self._batch: list[_File] = []
        self._octets = 0
        self._under_way: deque[Future[None]] = deque()
        self._error: OSError | None = None

    def add(self, path: str, content: bytes, mtime: int | None) -> None:
        """Have a file written (`mtime` in epoch seconds, where the disk can hold it); it is on disk after `settle`. Raises OSError."""
        self._batch.append((path, content, mtime))
        self._octets += len(content)
        if len(self._batch) >= BATCH_FILES or self._octets >= BATCH_OCTETS:
            self._send()

    def settle(self) -> None:
        """Wait until all files added so far are on disk. Raises OSError, again and again until `forget`."""
        self._send()
        self._await(0)

    def forget(self) -> None:
        """Write nothing more of what was added; returns once nothing is under way."""
        self._batch, self._octets = [], 0
        for future in self._under_way:
            if not future.cancel():
                with contextlib.suppress(OSError):
                    future.result()
        self._under_way.clear()
        self._error = None

    def sync(self, directories: set[str]) -> None:
        """Force the entries of directories to disk, side by side. Raises OSError."""
        for _ in self._pool.map(sync_directory, directories):
            pass

    def close(self) -> None:
        """Stop the threads; what was not settled may be left undone."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _send(self) -> None:
        if self._batch:
            self._under_way.append(self._pool.submit(_write, self._batch))
            self._batch, self._octets = [], 0
        self._await(BACKLOG)

    def _await(self, backlog: int) -> None:
        try:
            while self._error is None and len(self._under_way) > backlog:
                self._under_way.popleft().result()
        except OSError as error:
            self._error = error
        if self._error is not None:
            # One file that is not whole spoils what was to be settled together.
            raise self._error


_creating: Final = threading.Lock()
"""Only one file can be made in a directory at a time: the kernel would let the others burn the time by spinning."""


def _write(batch: list[_File]) -> None:
    descriptors: list[int] = []
    try:
        with _creating:
            for path, _, _ in batch:
                descriptors.append(_create(path))
        for descriptor, (_, content, mtime) in zip(descriptors, batch, strict=True):
            fill_file(descriptor, content, mtime)
        if hasattr(os, "posix_fadvise"):
            for descriptor in descriptors:
                # On Linux this starts the writing; elsewhere it may do nothing, and `fsync` does it all.
                with contextlib.suppress(OSError):
                    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        for descriptor in descriptors:
            os.fsync(descriptor)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _create(path: str) -> int:
    try:
        return create_file(path)
    except FileExistsError:
        # Left by a process that died with our number (in containers it is always the same): the lock says that it is nobody's now.
        os.unlink(path)  # noqa: PTH108  os is what the crash seam watches
        return create_file(path)
