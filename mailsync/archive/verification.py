"""Proving an archive: every file against its digest, the catalogue against the tree, both ways."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mailsync.archive.catalogue import Catalogue, FileRow
from mailsync.archive.storage.container import Container, Located, digest_of
from mailsync.archive.storage.disk import OURS
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
    path: Located | None
    size: int
    inode: tuple[int, int] = (0, 0)
    hashed: Future[bytes | OSError] | bytes | None = None


class Verification:
    """One pass over an archive; `marks` tells, after it, which files are damaged and which are
    sound again.

    Files whose rows came after `newest` are left out.
    """

    def __init__(self, catalogue: Catalogue, tree: Container, *, newest: int | None = None) -> None:
        self._catalogue = catalogue
        self._tree = tree
        self._newest = newest
        self._inodes: dict[tuple[int, int], Future[bytes | OSError] | bytes] = {}
        self.marks: list[tuple[int, bool]] = []

    def run(self, progress: Progress) -> Iterator[Damage]:
        """Yield what is wrong; files are read in parallel, an inode once."""
        progress.expect(*self._catalogue.count_files(self._newest))
        waiting: deque[_Check] = deque()
        with ThreadPoolExecutor(_READERS, thread_name_prefix="mailsync-verify") as pool:
            for file, digest in self._catalogue.all_files(self._newest):
                waiting.append(self._check(pool, file, digest))
                if len(waiting) > _AHEAD:
                    yield from self._judge(waiting.popleft(), progress)
            while waiting:
                yield from self._judge(waiting.popleft(), progress)
        yield from self._strangers()

    def _check(self, pool: ThreadPoolExecutor, file: FileRow, digest: bytes) -> _Check:
        path = self._tree.locate(file.folder, file.base, file.flags)
        if path is None:
            return _Check(file, digest, None, 0)
        try:
            stat = path.stat()
        except OSError:
            return _Check(file, digest, path, 0, hashed=pool.submit(_hash, path))
        inode = (stat.st_dev, stat.st_ino)
        hashed = self._inodes.get(inode)
        if hashed is None:
            hashed = pool.submit(_hash, path)
            if stat.st_nlink > 1:
                self._inodes[inode] = hashed
        return _Check(file, digest, path, stat.st_size, inode, hashed)

    def _judge(self, check: _Check, progress: Progress) -> Iterator[Damage]:
        progress.advance(1, check.size)
        path = check.path
        result = check.hashed.result() if isinstance(check.hashed, Future) else check.hashed
        if isinstance(result, FileNotFoundError):
            # A mail program, or the writer beside us, gave it another name meanwhile.
            path = self._tree.locate(check.file.folder, check.file.base)
            result = _hash(path) if path else None
        if isinstance(result, OSError) and result.errno in OURS:
            raise result
        if isinstance(result, bytes) and check.inode in self._inodes:
            self._inodes[check.inode] = result
        if result == check.digest:
            if check.file.damaged:
                self.marks.append((check.file.id, False))
            return
        self.marks.append((check.file.id, True))
        place = (
            self._tree.place(check.file.folder, check.file.base) if path is None else _named(path)
        )
        if path is None:
            what = "the file is missing"
        elif isinstance(result, OSError):
            what = f"the file cannot be read: {result.strerror or result}"
        else:
            what = (
                "the content is not what was stored: its SHA-256 differs from the one in its name"
            )
        yield Damage(place, check.digest, what, damaged=True, located=path)

    def _strangers(self) -> Iterator[Damage]:
        for folder, _ in self._tree.folders():
            known = self._catalogue.bases(folder)
            for base, path in self._tree.files(folder):
                if base not in known:
                    ours = maildir.parse(base) is not None
                    what = "the catalogue does not know this file" + (
                        "" if ours else " (another program's)"
                    )
                    yield Damage(_named(path), None, what, damaged=False)


def _named(located: Located) -> Path:
    return located if isinstance(located, Path) else Path(str(located))


def _hash(path: Located) -> bytes | OSError:
    try:
        return digest_of(path)
    except OSError as error:
        return error
