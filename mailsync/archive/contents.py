"""Reading stored contents: whole and proven, or only their headers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from mailsync import identity
from mailsync.archive.catalogue import Catalogue, FileRow, FileState
from mailsync.archive.storage.base import Located, StorageReader
from mailsync.archive.storage.disk import disk_errors_translated, is_of_the_reader
from mailsync.errors import IntegrityError
from mailsync.formats import header

HEADER_READ: Final = 64 * 1024
"""Octets read at first when only the header of a file is wanted."""


class Contents:
    """The contents of an archive, each by its digest."""

    def __init__(
        self,
        directory: Path,
        catalogue: Catalogue,
        tree: StorageReader,
        mark: Callable[[Sequence[tuple[int, FileState]]], None],
    ) -> None:
        """Tell `mark` of damage that is found."""
        self._directory = directory
        self._catalogue = catalogue
        self._tree = tree
        self._mark = mark

    def read(self, digest: bytes) -> bytes:
        """Return a content, read and hashed.

        Raises IntegrityError when no file holds it any more, and remembers the damage.
        """
        with disk_errors_translated(self._directory):
            for file in self._files(digest):
                content = self._read(file)
                if content is not None and identity.digest(content) == digest:
                    return content
                if file.sound:
                    self._mark([(file.id, FileState.DAMAGED)])
        raise self._nowhere(digest)

    def header(self, digest: bytes) -> bytes:
        """Return a content's header block, unproven.

        Raises IntegrityError when no file holds it.
        """
        with disk_errors_translated(self._directory):
            for file in self._files(digest):
                head = self._read(file, HEADER_READ) or b""
                while head:
                    block = header.block(head)
                    if len(block) < len(head):
                        return block
                    more = self._read(file, 2 * len(head))
                    if more is None or len(more) == len(head):
                        return head
                    head = more
        raise self._nowhere(digest)

    def lost(self, expected: Iterable[tuple[str, str, bytes, int]]) -> frozenset[bytes]:
        """Return the digests of those files (folder, base name, digest, octets) that are not there
        with that size.
        """
        folders: dict[str, dict[str, tuple[bytes, int]]] = {}
        for folder, base, digest, octets in expected:
            folders.setdefault(folder, {})[base] = digest, octets
        lost = set()
        for folder, files in folders.items():
            for base, located in self._tree.walk(folder):
                if base in files and _octets(located) == files[base][1]:
                    del files[base]
            # A mail program may have given a file another name while its folder was read.
            lost |= {
                digest
                for base, (digest, octets) in files.items()
                if _octets(self._tree.locate(folder, base)) != octets
            }
        return frozenset(lost)

    def _files(self, digest: bytes) -> Sequence[FileRow]:
        message = self._catalogue.messages.find(digest)
        return [] if message is None else self._catalogue.files.of(message)

    def _read(self, file: FileRow, octets: int = -1) -> bytes | None:
        """Return a file's octets, or its first ones; None when it is not there or its disk cannot
        read it.
        """
        for _ in range(2):
            located = self._tree.locate(file.folder, file.base, file.flags)
            if located is None:
                return None
            try:
                with located.open() as content:
                    return content.read(octets)
            except FileNotFoundError:
                # A mail program gave it another name just now.
                continue
            except OSError as error:
                if is_of_the_reader(error):
                    raise
                return None
        return None

    def _nowhere(self, digest: bytes) -> IntegrityError:
        return IntegrityError(
            f"the file of message {digest.hex()[:12]} in {self._directory / 'mail'} is damaged or"
            " missing"
        )


def _octets(located: Located | None) -> int:
    """Return how large a file is now; -1 where it is not there, or cannot be looked at."""
    try:
        return -1 if located is None else located.stat().size
    except OSError as error:
        if is_of_the_reader(error):
            raise
        return -1
