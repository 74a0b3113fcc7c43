"""Proving an archive: every file against its digest, the catalogue against the tree, both ways."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mailsync.archive.catalogue import Catalogue, FileRow, FileState
from mailsync.archive.storage.base import Located, StorageReader
from mailsync.archive.storage.disk import is_of_the_reader
from mailsync.formats import maildir
from mailsync.progress import Progress

_READERS: Final = 4
_AHEAD: Final = 64


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is not as it should be.

    `damaged` False: worth knowing, no message is in danger (another program's file).
    """

    path: Path
    digest: bytes | None
    what: str
    damaged: bool
    located: Located | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class _Check:
    file: FileRow
    digest: bytes
    located: Located | None
    size: int
    shared: tuple[int, int] | None = None
    hashed: Future[bytes | OSError] | bytes | None = None


class Verification:
    """One pass over an archive; `marks` tells, after it, which files are damaged and which are
    sound again.

    Files whose rows came after `newest` are left out.
    """

    def __init__(
        self, catalogue: Catalogue, tree: StorageReader, *, newest: int | None = None
    ) -> None:
        self._catalogue = catalogue
        self._tree = tree
        self._newest = newest
        self._inodes: dict[tuple[int, int], Future[bytes | OSError] | bytes] = {}
        self.marks: list[tuple[int, FileState]] = []

    def run(self, progress: Progress) -> Iterator[Damage]:
        """Yield what is wrong; files are read in parallel, an inode once."""
        progress.expect(*self._catalogue.files.count(self._newest))
        waiting: deque[_Check] = deque()
        with ThreadPoolExecutor(_READERS, thread_name_prefix="mailsync-verify") as pool:
            for file, digest in self._catalogue.files.all(self._newest):
                waiting.append(self._check(pool, file, digest))
                if len(waiting) > _AHEAD:
                    yield from self._judge(waiting.popleft(), progress)
            while waiting:
                yield from self._judge(waiting.popleft(), progress)
        yield from self._strangers()

    def _check(self, pool: ThreadPoolExecutor, file: FileRow, digest: bytes) -> _Check:
        located = self._tree.locate(file.folder, file.base, file.flags)
        if located is None:
            return _Check(file, digest, None, 0)
        try:
            stat = located.stat()
        except OSError:
            return _Check(file, digest, located, 0, hashed=pool.submit(_hash, located))
        hashed = self._inodes.get(stat.shared) if stat.shared else None
        if hashed is None:
            hashed = pool.submit(_hash, located)
            if stat.shared:
                self._inodes[stat.shared] = hashed
        return _Check(file, digest, located, stat.size, stat.shared, hashed)

    def _judge(self, check: _Check, progress: Progress) -> Iterator[Damage]:
        progress.advance(1, check.size)
        located = check.located
        result = check.hashed.result() if isinstance(check.hashed, Future) else check.hashed
        if isinstance(result, FileNotFoundError):
            # A mail program, or the writer beside us, gave it another name meanwhile.
            located = self._tree.locate(check.file.folder, check.file.base)
            result = _hash(located) if located else None
        if isinstance(result, OSError) and is_of_the_reader(result):
            raise result
        if isinstance(result, bytes) and check.shared:
            self._inodes[check.shared] = result
        if result == check.digest:
            if not check.file.sound:
                self.marks.append((check.file.id, FileState.SOUND))
            return
        self.marks.append((check.file.id, FileState.DAMAGED))
        place = (
            located.place
            if located is not None
            else self._tree.path_shown(check.file.folder, check.file.base)
        )
        if located is None:
            what = "the file is missing"
        elif isinstance(result, OSError):
            what = f"the file cannot be read: {result.strerror or result}"
        else:
            what = (
                "the content is not what was stored: its SHA-256 differs from the one in its name"
            )
        yield Damage(place, check.digest, what, damaged=True, located=located)

    def _strangers(self) -> Iterator[Damage]:
        for folder, _ in self._tree.folders():
            known = self._catalogue.files.bases(folder)
            for base, located in self._tree.walk(folder):
                if base not in known:
                    is_message = maildir.parse(base) is not None
                    what = "the catalogue does not know this file" + (
                        "" if is_message else " (another program's)"
                    )
                    yield Damage(located.place, None, what, damaged=False)


def _hash(located: Located) -> bytes | OSError:
    try:
        return located.digest()
    except OSError as error:
        return error
