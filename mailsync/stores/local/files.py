"""Files as they are read: only regular ones, never through a link that leads in a circle, and none
that changes unseen.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeAlias

from mailsync.stores.local.folder import Unreadable, words_of

Parts: TypeAlias = tuple[str, ...]
"""The names that lead to a file or directory."""

Stamp: TypeAlias = tuple[int, int, int]
"""What changes with a file: its time of change (ns), size and inode."""


def stamp(path: Path) -> Stamp:
    """Return a file's stamp. Raises OSError."""
    told = path.stat()
    return told.st_mtime_ns, told.st_size, told.st_ino


class OpenFile:
    """A regular file, open for reading at any offset; a context manager. Raises OSError."""

    def __init__(self, path: Path) -> None:
        # A pipe that somebody put there would be waited for for ever.
        how = os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_BINARY", 0)
        try:
            # Some programs tell new mail by the time at which its file was last read.
            self._fd = os.open(path, how | getattr(os, "O_NOATIME", 0))
        except PermissionError:
            # That is the owner's to ask for.
            self._fd = os.open(path, how)
        told = os.fstat(self._fd)
        if not stat.S_ISREG(told.st_mode):
            os.close(self._fd)
            raise OSError(errno.EINVAL, "is no regular file", str(path))
        self.size = told.st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._fd)

    def read(self, offset: int, length: int) -> bytes:
        """Return octets from an offset on; fewer at the end of the file."""
        pieces = []
        while length > 0:
            piece = os.pread(self._fd, min(length, 1 << 30), offset)
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
            length -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def extents(self) -> Iterator[tuple[int, int]]:
        """Yield the parts of the file that were written, in order; the rest is holes of NULs. Where
        the file system does not tell, all of it is one part.
        """
        seek_data, seek_hole = getattr(os, "SEEK_DATA", None), getattr(os, "SEEK_HOLE", None)
        at = 0
        while at < self.size and seek_data is not None and seek_hole is not None:
            try:
                begin = os.lseek(self._fd, at, seek_data)
                end = os.lseek(self._fd, begin, seek_hole)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    return
                break
            yield begin, min(end, self.size)
            at = end
        if at < self.size:
            yield at, self.size


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A regular file below a directory, or in an archive of files; `parts` are the names that lead
    to it.
    """

    path: Path
    parts: Parts
    stamp: Stamp
    place: int = 0

    @property
    def size(self) -> int:
        """Its octets."""
        return self.stamp[1]


class Tree(Protocol):
    """Directories and their files, on disk or in one file that holds many."""

    def directories(self) -> Sequence[Parts]:
        """Return every directory by the names that lead to it, from the top. Raises OSError."""

    def listed(self, parts: Parts) -> Sequence[TreeFile]:
        """Return the regular files of one directory, in the order in which they are best read.
        Raises OSError.
        """

    def troubles(self) -> Sequence[Unreadable]:
        """Return what could not be listed."""

    def read(self, file: TreeFile, most: int) -> bytes:
        """Return a file's octets, `most` of them and one more where it has more. Raises OSError."""


class Directory:
    """The files below a directory; links are followed, and each directory is looked into once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._troubles: list[Unreadable] = []

    def directories(self) -> Sequence[Parts]:
        """Return them by name; one that cannot be looked into is a trouble, but for the first."""
        self._troubles = []
        found: list[Parts] = []
        seen: set[tuple[int, int]] = set()
        waiting: list[Parts] = [()]
        while waiting:
            parts = waiting.pop()
            place = self._root.joinpath(*parts)
            told = place.stat()
            if (told.st_dev, told.st_ino) in seen:
                continue
            seen.add((told.st_dev, told.st_ino))
            try:
                with os.scandir(place) as listed:
                    below = [(entry.is_symlink(), entry.name) for entry in listed if entry.is_dir()]
            except OSError as error:
                if not parts:
                    raise
                self._troubles.append(Unreadable("/".join(parts), words_of(error)))
                continue
            found.append(parts)
            # What a directory is called itself counts more than what a link to it is called.
            waiting += [(*parts, name) for _, name in sorted(below, reverse=True)]
        return found

    def listed(self, parts: Parts) -> Sequence[TreeFile]:
        """Return files by name."""
        with os.scandir(self._root.joinpath(*parts)) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name)
        return [
            TreeFile(Path(entry.path), (*parts, entry.name), told)
            for entry in entries
            if not entry.is_dir() and (told := _regular(entry)) is not None
        ]

    def troubles(self) -> Sequence[Unreadable]:
        """Return the directories that could not be looked into."""
        return self._troubles

    def read(self, file: TreeFile, most: int) -> bytes:
        """Read a file from its beginning."""
        with OpenFile(file.path) as opened:
            return opened.read(0, most + 1)


def _regular(entry: os.DirEntry[str]) -> Stamp | None:
    """Return the stamp of a regular file; None for a pipe and the like, or a link to nowhere."""
    try:
        told = entry.stat()
    except FileNotFoundError:
        if entry.is_symlink():
            return None
        raise
    if not stat.S_ISREG(told.st_mode):
        return None
    return told.st_mtime_ns, told.st_size, told.st_ino
