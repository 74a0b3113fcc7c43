"""The few ways the archive touches the disk: private, durable, and with errors a person
understands.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Concatenate, Final, ParamSpec, Protocol, TypeAlias, TypeVar

from mailsync.archive.storage import write_worker
from mailsync.errors import ArchiveError, DiskFull, IntegrityError

RLock: TypeAlias = AbstractContextManager[bool]
P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", bound="Rooted")
ROOM: Final = 1 << 20
"""With less than this left, an I/O error of SQLite is a full disk: it cannot always tell."""


OURS: Final = frozenset({errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Failures to read that say nothing about the file."""

REINDEX: Final = "`mailsync reindex ACCOUNT` builds the catalogue again from it"
"""What helps an archive without a catalogue that can be used."""


class translated:  # noqa: N801  reads as the word it is, and is used for every message: a generator would cost ten times as much
    """Turn what disk and SQLite raise in this block into ours, with the path in question."""

    __slots__ = ("_place",)

    def __init__(self, place: Path) -> None:
        self._place = place

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, OSError):
            raise _disk_error(error, self._place) from error
        if isinstance(error, sqlite3.Error):
            raise _catalogue_error(error, self._place) from error


def _disk_error(error: OSError, place: Path) -> ArchiveError:
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


def _catalogue_error(error: sqlite3.Error, place: Path) -> ArchiveError:
    text = str(error)
    # Without room for its journal SQLite only says that it cannot open the file.
    if "full" in text or (("I/O" in text or "unable to open" in text) and _is_full(place)):
        return DiskFull(
            f"no space left for the catalogue in {place}: make room and run it again; everything"
            " stored is safe"
        )
    if "malformed" in text or "not a database" in text:
        return IntegrityError(
            f"the catalogue of {place} is damaged ({text}); the mail itself lies in"
            f" {place / 'mail'}: {REINDEX}"
        )
    return ArchiveError(f"cannot use the catalogue of {place}: {text}")


def _is_full(place: Path) -> bool:
    try:
        disk = os.statvfs(place)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < ROOM


class Rooted(Protocol):
    """Something that lives in an archive at `_root` and takes its turn there, since a pull and a
    push may share it.
    """

    _root: Path
    _turn: RLock


def guarded(method: Callable[Concatenate[R, P], T]) -> Callable[Concatenate[R, P], T]:
    """Make a method wait for its turn, and raise as `translated` does."""

    @functools.wraps(method)
    def wrapper(self: R, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self._turn, translated(self._root):
            return method(self, *args, **kwargs)

    return wrapper


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


def sync_directory(path: Path | str) -> None:
    """Force a directory's entries to disk."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot sync a directory; they promise order instead.
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(descriptor)


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
