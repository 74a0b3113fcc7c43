"""Files as they are read: only regular ones, never through a link that leads in a circle, and none
that changes unseen.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeAlias

Stamp: TypeAlias = tuple[int, int, int]
"""What changes with a file: its time of change (ns), size and inode."""

DEEPEST: Final = 64
"""Levels of directories that are looked into."""


def stamp(path: Path) -> Stamp:
    """Return a file's stamp. Raises OSError."""
    told = path.stat()
    return told.st_mtime_ns, told.st_size, told.st_ino


class OpenFile:
    """A regular file, open for reading at any offset; a context manager. Raises OSError."""

    def __init__(self, path: Path) -> None:
        # A pipe that somebody put there would be waited for for ever.
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_BINARY", 0))
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
    """A regular file below a directory; `parts` are the names that lead to it."""

    path: Path
    parts: tuple[str, ...]
    stamp: Stamp


def walk(root: Path) -> Iterator[TreeFile]:
    """Yield every regular file below a directory by name, links followed, each directory once.

    What cannot be looked into is raised as OSError.
    """
    yield from _walk(root, (), set())


def _walk(place: Path, parts: tuple[str, ...], seen: set[tuple[int, int]]) -> Iterator[TreeFile]:
    told = place.stat()
    if (told.st_dev, told.st_ino) in seen or len(parts) > DEEPEST:
        return
    seen.add((told.st_dev, told.st_ino))
    with os.scandir(place) as listed:
        entries = sorted(listed, key=lambda entry: entry.name)
    for entry in entries:
        try:
            here = entry.stat()
        except OSError:
            # A link that leads nowhere holds no mail.
            if entry.is_symlink():
                continue
            raise
        below = (*parts, entry.name)
        if stat.S_ISDIR(here.st_mode):
            yield from _walk(Path(entry.path), below, seen)
        elif stat.S_ISREG(here.st_mode):
            yield TreeFile(Path(entry.path), below, (here.st_mtime_ns, here.st_size, here.st_ino))
