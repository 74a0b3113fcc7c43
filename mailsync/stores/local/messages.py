"""A directory with one file a message, as a mailbox: what Maildir, MH and exported messages have in
common.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from mailsync.formats import header
from mailsync.formats.mbox import with_crlf
from mailsync.formats.packed import Unpackable, unpacked
from mailsync.model import MailboxPath
from mailsync.stores.local.files import Parts, Tree, TreeFile
from mailsync.stores.local.folder import (
    LARGEST_MESSAGE,
    CannotRead,
    Found,
    LeftOut,
    Unreadable,
    Watch,
    key_of,
    mark_of,
    proven,
    words_of,
)


@dataclass(frozen=True, slots=True)
class Named:
    """What a file's name tells. `base` is what stays of the name when its flags change, empty where
    none are in it.
    """

    flags: frozenset[str] | None = None
    internaldate: int | None = None
    base: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """A message as its file holds it; `flags` and `internaldate` None: the file does not tell.

    `left_out` says why it is not to be taken, `lacking` what of it is not there; empty `content`:
    nothing of it that could be kept. `rebuilt` is as in `model.Message`.
    """

    content: bytes
    flags: frozenset[str] | None = None
    internaldate: int | None = None
    left_out: str = ""
    lacking: str = ""
    rebuilt: bool = False


def plainly(raw: bytes, _: TreeFile) -> Opened:
    """Open a file that holds a message and nothing else."""
    return Opened(with_crlf(raw))


@dataclass(slots=True)
class MessageFiles:
    """One mailbox: the files of some directories of a tree.

    `naming` is asked anew for every look, with all files of the directories; what it returns says
    what a file's name tells, None for a file that is no message. `opened` gives a message out of a
    file; `wish` says what else is wanted of it. Raises OSError, like all it does.
    """

    tree: Tree
    path: MailboxPath
    directories: Sequence[Parts]
    naming: Callable[[Sequence[TreeFile]], Callable[[TreeFile], Named | None]]
    opened: Callable[[bytes, TreeFile], Opened] = plainly
    wish: str = ""
    clock: Callable[[], float] = time.time
    troubles: Sequence[Unreadable] = ()
    _files: list[tuple[TreeFile, bytes]] = field(default_factory=list)

    @property
    def size(self) -> int:
        """The size of the files."""
        return sum(file.size for file in self._listed())

    def mark(self) -> int:
        """Return what changes when a file does, or comes, or goes, or what is wanted of them."""
        return mark_of(self.wish, [(file.parts, file.stamp) for file in self._listed()])

    def look(self, watch: Watch) -> Iterator[Found | Unreadable | LeftOut]:
        """Read every message: a name tells nothing of what a file holds now."""
        yield from self.troubles
        listed = self._listed()
        named = self.naming(listed)
        self._files = []
        left_out = Counter[str]()
        for file in listed:
            told = named(file)
            if told is None:
                continue
            if not 0 < file.size <= LARGEST_MESSAGE:
                why = "is too large to be a message" if file.size else "is empty"
                yield Unreadable(shown(file), why)
                continue
            yield from self._read_now(file, told, left_out)
            watch(file.size)
        for why, count in left_out.items():
            yield LeftOut(count, why)

    def _read_now(
        self, file: TreeFile, told: Named, left_out: Counter[str]
    ) -> Iterator[Found | Unreadable]:
        try:
            one = self._open(file)
        except CannotRead as error:
            yield Unreadable(shown(file), str(error))
            return
        except FileNotFoundError:
            # It was removed meanwhile, and so the mark is another one.
            return
        except OSError as error:
            yield Unreadable(shown(file), words_of(error))
            return
        if one.left_out:
            left_out[one.left_out] += 1
            return
        if one.lacking:
            yield Unreadable(shown(file), one.lacking)
        if not one.content:
            return
        date = told.internaldate if one.internaldate is None else one.internaldate
        if date is None:
            date = header.received_or_date(one.content, int(self.clock()))
        flags = told.flags if one.flags is None else one.flags
        key = key_of(one.content)
        self._files.append((file, key))
        place = (len(self._files) - 1,)
        yield Found(key, place, len(one.content), flags, date, one.rebuilt)

    def read(self, place: tuple[int, ...], key: bytes) -> bytes:
        """Read one of the files; one that another program renamed meanwhile is found again."""
        if not self._files:
            # Listed by another session.
            for _ in self.look(lambda _: None):
                pass
        files = [self._files[at][0] for at in place if at < len(self._files)]
        if not files or self._files[place[0]][1] != key[:32]:
            files = [file for file, known in self._files if known == key[:32]]
        if not files:
            raise FileNotFoundError
        try:
            content = self._open(files[0]).content
        except FileNotFoundError:
            content = self._open(self._renamed(files[0])).content
        return proven(content, key, shown(files[0]))

    def _renamed(self, lost: TreeFile) -> TreeFile:
        """Find a file whose flags changed in its name. Raises FileNotFoundError."""
        listed = self._listed()
        named = self.naming([*listed, lost])
        before = named(lost)
        for file in listed:
            told = named(file)
            if told is not None and before is not None and told.base and told.base == before.base:
                return file
        raise FileNotFoundError

    def _listed(self) -> list[TreeFile]:
        return [file for directory in self.directories for file in self.tree.listed(directory)]

    def _open(self, file: TreeFile) -> Opened:
        raw = self.tree.read(file, LARGEST_MESSAGE)
        try:
            return self.opened(unpacked(raw, LARGEST_MESSAGE), file)
        except Unpackable as error:
            raise CannotRead(str(error)) from None


def shown(file: TreeFile) -> str:
    """Return the names that lead to a file, for people."""
    return "/".join(file.parts).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def text_of(name: str) -> str:
    """Return a file's name as text, whatever its octets."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
