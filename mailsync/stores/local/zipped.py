"""A zip archive as a tree of files that is read where it lies: nothing is ever unpacked onto a
disk, so that no name in it leads anywhere.
"""

from __future__ import annotations

import weakref
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mailsync.stores.local.files import Parts, TreeFile, stamp
from mailsync.stores.local.folder import CannotRead, Unreadable, mark_of

_BROKEN: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OSError,
)
"""What the library raises for broken archives: among them places that are none."""


class Zipped:
    """The files of a zip archive. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = stamp(path)
        self._troubles: list[Unreadable] = []
        self._directories: dict[Parts, list[TreeFile]] = {(): []}
        try:
            self._zip = zipfile.ZipFile(path)
        except _BROKEN as error:
            raise CannotRead(f"{path} is no zip archive that can be read: {error}") from None
        # Whoever holds the last folder of it closes it.
        weakref.finalize(self, self._zip.close)
        self._members = self._zip.infolist()
        for number, member in enumerate(self._members):
            self._take(number, member)

    def directories(self) -> Sequence[Parts]:
        """Return directories in the order of their first files."""
        return list(self._directories)

    def listed(self, parts: Parts) -> Sequence[TreeFile]:
        """Return files in their order in the archive."""
        if stamp(self._path) != self._stamp:
            raise OSError(f"{self._path} was changed while it was read")
        return self._directories.get(parts, [])

    def troubles(self) -> Sequence[Unreadable]:
        """Return what leads out of the archive."""
        return self._troubles

    def read(self, file: TreeFile, most: int) -> bytes:
        """Unpack one file, to `most` octets and one more, whatever size it says it has."""
        member = self._members[file.place]
        try:
            with self._zip.open(member) as opened:
                return opened.read(most + 1)
        except _BROKEN as error:
            name = "/".join(file.parts)
            raise CannotRead(f"{name} in {self._path.name} cannot be read: {error}") from None

    def _take(self, number: int, member: zipfile.ZipInfo) -> None:
        parts = tuple(
            part for part in member.filename.replace("\\", "/").split("/") if part not in {"", "."}
        )
        if ".." in parts:
            where = f"{member.filename} in {self._path.name}"
            self._troubles.append(Unreadable(where, "leads out of the archive: left out"))
            return
        if not parts:
            return
        for depth in range(len(parts) + member.is_dir()):
            self._directories.setdefault(parts[:depth], [])
        if not member.is_dir():
            told = (0, member.file_size, mark_of(self._stamp, member.CRC, member.header_offset))
            self._directories[parts[:-1]].append(TreeFile(self._path, parts, told, number))


def looks_like_zip(path: Path) -> bool:
    """Return whether a file is a zip archive. Raises OSError."""
    return zipfile.is_zipfile(path)
