"""A tar archive, compressed or not, as a tree of files that is read where it lies: nothing is ever
unpacked onto a disk, so that no name in it leads anywhere.
"""

from __future__ import annotations

import lzma
import tarfile
import weakref
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final, cast

from mailsync.stores.local.files import Parts, TreeFile, stamp
from mailsync.stores.local.folder import CannotRead, Unreadable, mark_of

_TIMES: Final = 200
_AT_LEAST: Final = 1024 * 1024 * 1024
"""An archive that unpacks to more than this, and to so many times its own size, is a trap."""

_BROKEN: Final = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError, OSError)


class Tarball:
    """The files of a tar archive. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = stamp(path)
        self._troubles: list[Unreadable] = []
        self._directories: dict[Parts, list[TreeFile]] = {(): []}
        try:
            self._tar = tarfile.open(path)  # noqa: SIM115
            self._octets = cast("BinaryIO", self._tar.fileobj)
        except _BROKEN as error:
            raise CannotRead(f"{path} is no tar archive that can be read: {error}") from None
        # Whoever holds the last folder of it closes it.
        weakref.finalize(self, self._tar.close)
        self._index()

    def directories(self) -> Sequence[Parts]:
        """Return directories in the order of their first files."""
        return list(self._directories)

    def listed(self, parts: Parts) -> Sequence[TreeFile]:
        """Return files in the order in which they lie there: going back means unpacking anew."""
        if stamp(self._path) != self._stamp:
            raise OSError(f"{self._path} was changed while it was read")
        return self._directories.get(parts, [])

    def troubles(self) -> Sequence[Unreadable]:
        """Return what of the archive is broken, or was not looked at."""
        return self._troubles

    def read(self, file: TreeFile, most: int) -> bytes:
        """Read a file where it lies."""
        try:
            self._octets.seek(file.place)
            content: bytes = self._octets.read(min(file.size, most + 1))
        except _BROKEN as error:
            raise CannotRead(f"{self._path} is broken there: {error}") from None
        if len(content) < min(file.size, most + 1):
            raise CannotRead(f"{self._path} ends within {'/'.join(file.parts)}")
        return content

    def _index(self) -> None:
        limit = max(_AT_LEAST, _TIMES * self._stamp[1])
        places: dict[str, tuple[int, int]] = {}
        end = 0
        try:
            while (member := self._tar.next()) is not None:
                # The library would keep every member in memory.
                self._tar.members = []  # type: ignore[attr-defined]
                end = member.offset_data + member.size
                if end > limit:
                    self._trouble(
                        member.offset, "unpacks to far more than it can hold: not read on"
                    )
                    return
                self._take(member, places)
        except _BROKEN as error:
            self._trouble(end, f"the archive is broken or ends there ({error})")

    def _take(self, member: tarfile.TarInfo, places: dict[str, tuple[int, int]]) -> None:
        parts = tuple(part for part in member.name.split("/") if part not in {"", "."})
        if ".." in parts:
            self._trouble(member.offset, f"{member.name} leads out of the archive: left out")
            return
        if member.issparse():
            self._trouble(member.offset, f"{member.name} is stored with holes (sparse): left out")
        if member.isdir():
            self._directories.setdefault(parts, [])
        place = places.get(member.linkname) if member.islnk() else None
        if place is None and not (member.isfile() and not member.issparse()):
            return
        place = place or (member.offset_data, member.size)
        places[member.name] = place
        for depth in range(len(parts)):
            self._directories.setdefault(parts[:depth], [])
        told = (int(member.mtime), place[1], mark_of(self._stamp, place))
        self._directories[parts[:-1]].append(TreeFile(self._path, parts, told, place[0]))

    def _trouble(self, at: int, why: str) -> None:
        self._troubles.append(Unreadable(f"byte {at:,} of {self._path.name} (unpacked)", why))


def looks_like_tar(path: Path) -> bool:
    """Return whether a file is a tar archive. Raises OSError."""
    try:
        with tarfile.open(path) as opened:
            return opened.next() is not None
    except _BROKEN:
        return False
