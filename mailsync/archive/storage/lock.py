"""One writer an archive: an flock, which the kernel lets go when a process dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from mailsync.archive.storage.disk import disk_errors_translated
from mailsync.errors import ArchiveLocked


class Lock:
    """The lock of an archive, held from construction to `release`."""

    def __init__(
        self, directory: Path, wait: float = 0.0, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Take the lock, waiting up to `wait` seconds.

        Raises ArchiveLocked, which names who holds it.
        """
        self._path = directory / "lock"
        with disk_errors_translated(directory):
            self._descriptor = os.open(
                self._path,
                os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0),
                0o600,
            )
        try:
            with disk_errors_translated(directory):
                self._wait(time.monotonic() + wait, sleep)
                os.ftruncate(self._descriptor, 0)
                os.pwrite(
                    self._descriptor,
                    f"host {socket.gethostname()}, process {os.getpid()}\n".encode(),
                    0,
                )
        except BaseException:
            os.close(self._descriptor)
            self._descriptor = -1
            raise

    def close(self) -> None:
        """Do as `release` does, for `contextlib.closing`."""
        self.release()

    def release(self) -> None:
        """Let go; idempotent."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1

    def _wait(self, deadline: float, sleep: Callable[[float], None]) -> None:
        while not self._try():
            if time.monotonic() >= deadline:
                holder = self._path.read_text("utf-8", "replace").strip() or "unknown process"
                raise ArchiveLocked(
                    f"another mailsync is writing {self._path.parent} ({holder}); try again later,"
                    " or use --wait SECONDS"
                )
            sleep(min(0.2, max(0.01, deadline - time.monotonic())))

    def _try(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
