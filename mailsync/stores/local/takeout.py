"""What Google Takeout exports of Gmail: mbox files in which each message stands once, with its
labels; each label is a mailbox.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mailsync.formats import gmail_labels
from mailsync.model import INBOX, MailboxPath
from mailsync.stores.local.files import Directory, OpenFile, stamp
from mailsync.stores.local.folder import (
    CannotRead,
    Folder,
    Found,
    LeftOut,
    Unreadable,
    Watch,
    mark_of,
)
from mailsync.stores.local.mbox import Labelled, Look, looks_like_mbox, read_at

_LOOKED_AT: Final = 16 * 1024
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class _Index:
    """All messages by mailbox, and what could not be read; as the files were at `mark`."""

    mark: int
    mailboxes: Mapping[MailboxPath, Sequence[Found]]
    troubles: Sequence[Unreadable]


class Export:
    """The mbox files of one export, which are read together and once."""

    def __init__(
        self, files: Sequence[Path], own: Mapping[str, str], clock: Callable[[], float] = time.time
    ) -> None:
        self.files = files
        self._own = own
        self._clock = clock
        self._index: _Index | None = None

    def mark(self) -> int:
        """Return what changes when a file does. Raises OSError."""
        return mark_of(sorted(self._own.items()), [stamp(file) for file in self.files])

    def index(self) -> _Index:
        """Return all messages, read anew if a file changed. Raises OSError, CannotRead."""
        mark = self.mark()
        if self._index is None or self._index.mark != mark:
            self._index = self._read(mark)
        return self._index

    def _read(self, mark: int) -> _Index:
        mailboxes: dict[MailboxPath, list[Found]] = {INBOX: []}
        troubles: list[Unreadable] = []
        counts = Counter[str]()
        seen: set[bytes] = set()
        for number, file in enumerate(self.files):
            here: set[bytes] = set()
            for each in _looked_through(file, int(self._clock())):
                if isinstance(each, Unreadable):
                    troubles.append(replace(each, where=f"{file.name}, {each.where}"))
                elif each.found.key not in seen:
                    # An export by labels has a message in the file of each of them.
                    here.add(each.found.key)
                    labels = gmail_labels.parse(each.labels)
                    counts.update(labels)
                    self._place(each.found, labels, number, mailboxes)
            seen |= here
        self._demand_known(counts)
        return _Index(mark, mailboxes, troubles)

    def _place(
        self,
        found: Found,
        labels: list[str],
        number: int,
        mailboxes: dict[MailboxPath, list[Found]],
    ) -> None:
        told = gmail_labels.read(labels, self._own)
        one = replace(found, place=(number, *found.place), flags=told.flags)
        for path in told.mailboxes:
            mailboxes.setdefault(path, []).append(one)

    def _demand_known(self, counts: Counter[str]) -> None:
        """Raise CannotRead where no label is one of Google's own in English."""
        if not counts or self._own or not gmail_labels.KNOWN.isdisjoint(counts):
            return
        listed = ", ".join(f"{label} ({count:,})" for label, count in counts.most_common(_SHOWN))
        raise CannotRead(
            "Google's own labels are in a language that mailsync does not know. Say which they are,"
            " such as --label Posteingang=Inbox --label Ungelesen=Unread (in English: Inbox, Sent,"
            " Drafts, Trash, Spam, Unread, Starred, Archived, Opened, Important). There is:"
            f" {listed}"
        )


def _looked_through(file: Path, now: int) -> Iterator[Labelled | Unreadable]:
    with OpenFile(file) as opened:
        for each in Look(opened, True, {}, now).through(lambda _: None):
            if not isinstance(each, LeftOut):
                yield each


class LabelFolder:
    """One label."""

    def __init__(self, export: Export, path: MailboxPath, *, is_first: bool) -> None:
        self._export = export
        self._path = path
        self._is_first = is_first

    @property
    def path(self) -> MailboxPath:
        """The label, its levels parted by slashes."""
        return self._path

    @property
    def size(self) -> int:
        """Nothing: all files are read before labels are known."""
        return 0

    def mark(self) -> int:
        """Return what changes when a file of the export does."""
        return self._export.mark()

    def look(self, watch: Watch) -> Iterator[Found | Unreadable | LeftOut]:  # noqa: ARG002
        """Yield the messages that bear the label; what could not be read once."""
        index = self._export.index()
        yield from index.troubles if self._is_first else ()
        yield from index.mailboxes.get(self._path, ())

    def read(self, place: tuple[int, ...], key: bytes) -> bytes:
        """Read a message in one of the files."""
        return read_at(self._export.files[place[0]], place[1:], key)


def folders(root: Path, own: Mapping[str, str]) -> Sequence[Folder]:
    """Return the mailboxes of an export: a file, or a directory of them. Raises OSError,
    CannotRead.
    """
    export = Export(_files(root), own)
    return [LabelFolder(export, path, is_first=path == INBOX) for path in export.index().mailboxes]


def mark(root: Path, own: Mapping[str, str]) -> int:
    """Return what changes when a file of an export does, without reading any. Raises OSError."""
    return Export(_files(root), own).mark()


def _files(root: Path) -> Sequence[Path]:
    if root.is_file():
        return [root]
    tree = Directory(root)
    return [
        file.path
        for parts in tree.directories()
        for file in tree.listed(parts)
        if looks_like_mbox(file.path)
    ]


def looks_like_takeout(path: Path) -> bool:
    """Return whether an mbox file bears Gmail's labels. Raises OSError."""
    with OpenFile(path) as file:
        head = file.read(0, _LOOKED_AT).partition(b"\n")[2].lower()
    return head.startswith((b"x-gm-thrid:", b"x-gmail-labels:"))
