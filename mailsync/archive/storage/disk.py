"""The few ways the archive touches the disk: private, durable, and with errors a person
understands.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mailsync.archive.durability import sync_directory
from mailsync.archive.storage import write_worker
from mailsync.errors import ArchiveError, DiskFull

_OF_THE_READER: Final = frozenset(
    {errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
)


def is_of_the_reader(error: OSError) -> bool:
    """Return whether a failure to read is of the reader's rights and limits, and so says nothing
    about the file.
    """
    return error.errno in _OF_THE_READER


@contextlib.contextmanager
def disk_errors_translated(place: Path) -> Iterator[None]:
    """Raise as `disk_error` has it what the disk raises in this block."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, place) from error


def disk_error(error: OSError, place: Path) -> ArchiveError:
    """Return the error a person understands for one of the disk, which names the path in question:
    the one that failed, else `place`.
    """
    where = error.filename or place
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull(
            f"no space left for {where}: make room and run it again; everything stored so far is"
            " safe"
        )
    if error.errno in {errno.EMFILE, errno.ENFILE}:
        return ArchiveError(
            f"too many open files while at {where}: raise the limit (ulimit -n) and run it again"
        )
    return ArchiveError(f"cannot use {where}: {error.strerror or error}")


def make_directory(path: Path, *, sync: bool = True) -> bool:
    """Make a private directory and its parents, durably unless the caller syncs; returns whether it
    was not there before.
    """
    if path.is_dir():
        return False
    if not path.parent.is_dir():
        make_directory(path.parent, sync=sync)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
        path.chmod(0o700)
    if sync:
        sync_directory(path.parent)
    return True


def write_file(path: Path, content: bytes, mtime: int | None = None) -> None:
    """Write a new private file and force it to disk; fails when it exists."""
    descriptor = write_worker.create(path)
    try:
        write_worker.fill(descriptor, content, mtime)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` in the place of a file, whole or not at all, durably."""
    temporary = path.with_name(f"{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    write_file(temporary, content)
    temporary.replace(path)
    sync_directory(path.parent)
