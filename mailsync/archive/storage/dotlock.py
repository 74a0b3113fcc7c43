"""Locking an mbox as mail programs agree on it: fcntl on the file itself, and a dot-lock beside it
that names a process.

Only one mailsync writes an archive, and it holds the archive's lock; so a dot-lock of mailsync's
that is met is of one that died.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PATIENCE: Final = 10.0
"""Seconds to wait for another program's lock."""

LOCKING: Final = ".mailsync-lock."
"""What a dot-lock is called before it is one; no mailbox's file begins so."""

_MARK: Final = b"mailsync"
"""The second line of our dot-locks: the number of a process that died may be another's by now, in
containers it even is our own.
"""

_NAMELESS: Final = 300.0
"""Seconds after which an empty dot-lock counts as left behind, as mail programs have it: on some
disks a power cut empties files.
"""


@contextlib.contextmanager
def key(directory: Path) -> Iterator[Path]:
    """Make the file that becomes a dot-lock by another name for it. Raises OSError.

    It is on disk before it is one: a power cut would else leave a lock of which nobody could say
    whose it was.
    """
    own = directory / f"{LOCKING}{os.getpid()}"
    own.unlink(missing_ok=True)
    try:
        descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, b"%d\n%s\n" % (os.getpid(), _MARK))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        yield own
    finally:
        own.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(file: Path, own: Path) -> Iterator[int]:
    """Open a file for appending, locked in both ways; `own` is what `key` gave.

    Raises OSError, EAGAIN when another program keeps it.
    """
    deadline = time.monotonic() + PATIENCE
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        dot = place(file)
        while not (_free(descriptor) and _taken(dot, own)):
            if time.monotonic() > deadline:
                why = (
                    f"another program has locked it for {PATIENCE:.0f} s (by {dot.name}, or the"
                    " file itself)"
                )
                raise OSError(errno.EAGAIN, why, str(file))
            time.sleep(0.1)
        try:
            yield descriptor
        finally:
            dot.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def place(file: Path) -> Path:
    """Return the place of a file's dot-lock."""
    return file.with_name(f"{file.name}.lock")


def is_left_behind(dot: Path) -> bool:
    """Return whether a dot-lock is there and is of a mailsync that died; the caller holds the
    archive's lock.
    """
    with contextlib.suppress(OSError):
        return _MARK in dot.read_bytes().split()
    return False


def _free(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _taken(dot: Path, own: Path) -> bool:
    try:
        _give_name(own, dot)
    except FileExistsError:
        if is_left_behind(dot) or _is_nobodys(dot, own):
            dot.unlink(missing_ok=True)
        return False
    return True


def _is_nobodys(dot: Path, own: Path) -> bool:
    """Return whether another program's dot-lock is of a process that is no longer there, or names
    none and is old.
    """
    with contextlib.suppress(OSError, ValueError):
        said = dot.read_bytes()
        if not said:
            # By the disk's own clock, which need not be ours.
            return own.stat().st_mtime - dot.stat().st_mtime > _NAMELESS
        holder = int(said)
        return holder > 0 and not Path(f"/proc/{holder}").exists() and Path("/proc/self").exists()
    return False


def _give_name(own: Path, dot: Path) -> None:
    """Give a lock its name, unless somebody has that. Raises FileExistsError."""
    try:
        dot.hardlink_to(own)
    except FileExistsError:
        raise
    except OSError:
        # No links here (FAT, some network shares).
        os.close(os.open(dot, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        dot.write_bytes(own.read_bytes())
