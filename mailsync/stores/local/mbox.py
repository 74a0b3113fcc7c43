"""An mbox file as a mailbox, and a tree of them, whoever wrote them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mailsync.formats import header, mbox
from mailsync.formats.client_marks import Marks, take_off
from mailsync.model import INBOX, MailboxPath
from mailsync.stores.local.files import Directory, OpenFile, stamp
from mailsync.stores.local.folder import (
    LARGEST_MESSAGE,
    Folder,
    Found,
    LeftOut,
    Unreadable,
    Watch,
    key_of,
    mark_of,
    proven,
)

_ENDINGS: Final = (".mbox", ".mbx")
_DIRECTORIES: Final = (".sbd", ".mbox", ".directory")
_BUNDLE: Final = ".mbox"
_LOOKED_THROUGH: Final = 1024 * 1024
_COUNTED: Final = 1024 * 1024
_NO_MAIL: Final = b" \t\r\n\0"


class MboxFolder:
    """One mbox file. `with_deleted` takes messages too that wait to be removed from it; `told`
    gives flags that stand beside the file, by the offset of their message.
    """

    def __init__(
        self,
        file: Path,
        path: MailboxPath,
        *,
        with_deleted: bool = False,
        beside: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._file = file
        self._path = path
        self._with_deleted = with_deleted
        self._beside = beside
        self._clock = clock

    @property
    def path(self) -> MailboxPath:
        """The mailbox, by its file's name."""
        return self._path

    @property
    def size(self) -> int:
        """The size of the file."""
        return stamp(self._file)[1]

    def mark(self) -> int:
        """Return what changes when the file does, or what is wanted of it."""
        files = [each for each in (self._file, self._beside) if each is not None]
        return mark_of(self._with_deleted, [stamp(each) for each in files])

    def look(self, watch: Watch) -> Iterator[Found | Unreadable | LeftOut]:
        """Read the file from its beginning to its end."""
        with OpenFile(self._file) as file:
            look = Look(file, self._with_deleted, self._flags_beside(), int(self._clock()))
            for each in look.through(watch):
                yield each.found if isinstance(each, Labelled) else each

    def read(self, place: tuple[int, ...], key: bytes) -> bytes:
        """Read a message where it lies."""
        return read_at(self._file, place, key)

    def _flags_beside(self) -> Mapping[int, frozenset[str]]:
        if self._beside is None:
            return {}
        with OpenFile(self._beside) as file:
            return flags_beside(file.read(0, file.size))


@dataclass(frozen=True, slots=True)
class Labelled:
    """A message, with Gmail's labels as they are written in front of it."""

    found: Found
    labels: bytes


class Look:
    """One pass over an mbox file."""

    def __init__(
        self,
        file: OpenFile,
        with_deleted: bool,  # noqa: FBT001  private
        beside: Mapping[int, frozenset[str]],
        now: int,
    ) -> None:
        self._file = file
        self._with_deleted = with_deleted
        self._beside = beside
        self._now = now
        self._dialect = mbox.Dialect()
        self._extents = list(file.extents())
        self._told = False
        self._notes = 0
        self._found: list[tuple[Found, Marks]] = []

    def through(self, watch: Watch) -> Iterator[Labelled | Unreadable | LeftOut]:
        """Yield what is wrong as it is met, then every message in its order."""
        later: list[mbox.Span] = []
        counted = 0
        spans = mbox.split(self._file.read, self._extents, self._file.size, self._dialect)
        for span in spans:
            if span.end - counted > _COUNTED:
                watch(span.end - counted)
                counted = span.end
            if isinstance(span, mbox.Gap):
                yield from self._rubbish(span)
            elif span.quoted and not span.bare:
                # How the file quotes is known at its end.
                later.append(span)
            else:
                yield from self._take(span)
        for span in later:
            yield from self._take(span)
        watch(self._file.size - counted)
        yield from self._results()

    def _results(self) -> Iterator[Labelled | Unreadable | LeftOut]:
        """Yield every message in its order, now that the file is known as a whole."""
        # What nobody said of a message means that it was not read, where it is said of others.
        unsaid = frozenset[str]() if self._told else None
        # Where Thunderbird wrote the file it marked each message; else a sender wrote the marks.
        by_mozilla = all(marks.by_mozilla for _, marks in self._found)
        deleted = 0
        for found, marks in sorted(self._found, key=lambda each: each[0].place):
            if by_mozilla and marks.partial:
                start, length, _ = found.place
                yield _range(start, start + length, self._partly(found))
            elif by_mozilla and marks.deleted and not self._with_deleted:
                deleted += 1
            else:
                flags = unsaid if found.flags is None else found.flags
                yield Labelled(replace(found, flags=flags), marks.labels)
        if deleted:
            yield LeftOut(deleted, "deleted in the mail program, still in its file: left out")
        if self._notes:
            yield LeftOut(self._notes, "with notes of the mail program, which is no mail: left out")

    def _partly(self, found: Found) -> str:
        start, length, _ = found.place
        raw = self._file.read(start, min(length, mbox.PEEK)).partition(b"\n")[2]
        subject = header.text(header.first(raw, b"subject") or b"") or "without a subject"
        return f"the program fetched only the beginning of this message ({subject})"

    def _rubbish(self, gap: mbox.Gap) -> Iterator[Unreadable]:
        beginning = self._file.read(gap.start, min(gap.end - gap.start, mbox.CHUNK))
        if gap.end - gap.start > len(beginning) or beginning.strip(_NO_MAIL):
            why = "no message begins there" if not gap.start else "the file ends within a message"
            yield _range(gap.start, gap.end, why)

    def _take(self, span: mbox.Span) -> Iterator[Unreadable]:
        end = self._end_of_text(span)
        if end - span.start > LARGEST_MESSAGE:
            yield _range(span.start, span.end, "too large to be one message")
            return
        raw = self._file.read(span.start, end - span.start)
        text = raw.rstrip(b"\0") if raw.endswith(b"\0") else raw
        if span.start + len(text) < span.end:
            lost = span.start + len(text)
            yield _range(
                lost, span.end, "only NULs: what stood there was never written, or is lost"
            )
        quoting = mbox.quoting_of(span, self._dialect)
        content, marks = _content(text, quoting)
        if marks.internal and not span.start:
            self._notes += 1
            return
        self._keep(span, text, content, marks, quoting)

    def _keep(
        self,
        span: mbox.Span,
        text: bytes,
        content: bytes,
        marks: Marks,
        quoting: mbox.Quoting,
    ) -> None:
        self._told = self._told or marks.told
        date = header.received_or_date(content, self._now)
        if date is None:
            date = mbox.date_of(text.partition(b"\n")[0])
        place = (span.start, len(text), int(quoting is mbox.Quoting.NEVER))
        flags = marks.flags if marks.told or marks.flags else None
        flags = self._beside.get(span.start, flags)
        found = Found(key_of(content), place, len(content), flags, date)
        self._found.append((found, marks))

    def _end_of_text(self, span: mbox.Span) -> int:
        """Return where a hole begins in a message, else its end."""
        for begin, end in self._extents:
            if begin <= span.start < end:
                return min(end, span.end)
        return span.end


def read_at(path: Path, place: tuple[int, ...], key: bytes) -> bytes:
    """Read a message at (offset, octets, 1 where the file does not quote, else 0). Raises OSError,
    CannotRead.
    """
    start, length, plain = place
    with OpenFile(path) as file:
        raw = file.read(start, length)
    content, _ = _content(raw, mbox.Quoting.NEVER if plain else mbox.Quoting.REVERSIBLE)
    return proven(content, key, str(path))


def _content(raw: bytes, quoting: mbox.Quoting) -> tuple[bytes, Marks]:
    _, body = mbox.message(raw, quoting)
    content, marks = take_off(body)
    return mbox.with_crlf(content), marks


def _range(start: int, end: int, why: str) -> Unreadable:
    return Unreadable(f"bytes {start:,} to {end:,}", why)


def flags_beside(written: bytes) -> dict[int, frozenset[str]]:
    """Read the list that imap-backup keeps beside an mbox file: flags by the offset of their
    message; empty for anything else.
    """
    try:
        listed = json.loads(written)
        rows = listed["messages"] if listed.get("version") == 3 else []
        return {
            row["offset"]: frozenset(
                f"\\{flag}" if flag in _SYSTEM else str(flag)
                for flag in map(_bare, row.get("flags", []))
                if flag != "Recent"
            )
            for row in rows
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


_SYSTEM: Final = frozenset({"Seen", "Answered", "Flagged", "Deleted", "Draft"})


def _bare(flag: object) -> str:
    return str(flag).lstrip("\\:")


def looks_like_mbox(path: Path) -> bool:
    """Return whether a file holds an mbox, however it is called. Raises OSError."""
    with OpenFile(path) as file:
        head = file.read(0, mbox.PEEK)
        if mbox.holds(head):
            return True
        # What was torn, or never written, may stand in front of the first message.
        if b"\0" in head.strip(b"\0"):
            return False
        return mbox.holds(file.read(0, _LOOKED_THROUGH))


def _may_be_mbox(path: Path) -> bool:
    """Return whether a file holds an mbox, or cannot be read: then reading it will say why."""
    try:
        return looks_like_mbox(path)
    except OSError:
        return True


def folders(
    root: Path, *, with_deleted: bool = False, clock: Callable[[], float] = time.time
) -> Sequence[Folder]:
    """Return the mailboxes of an mbox file, or of a tree of them. Raises OSError."""
    if root.is_file():
        named: list[tuple[Path, tuple[str, ...]]] = [(root, (root.name,))]
    else:
        tree = Directory(root)
        # What Apple Mail exports is one mailbox, called as its directory is.
        above = (root.name,) if root.name.endswith(_BUNDLE) else ()
        named = [
            (file.path, (*above, *file.parts))
            for directory in tree.directories()
            for file in tree.listed(directory)
            if not is_other(file.parts[-1]) and _may_be_mbox(file.path)
        ]
    found = [
        MboxFolder(
            path,
            name_of(parts),
            with_deleted=with_deleted,
            beside=_beside(path),
            clock=clock,
        )
        for path, parts in named
    ]
    return sorted(found, key=lambda folder: folder.path != INBOX)


def _beside(path: Path) -> Path | None:
    """Return the list that imap-backup keeps beside a file, if there is one."""
    beside = path.with_suffix(".imap")
    return beside if beside != path and beside.is_file() else None


def is_other(name: str) -> bool:
    """Return whether a file holds one message by its name, which may quote others."""
    return name.lower().endswith((".eml", ".emlx"))


def name_of(parts: tuple[str, ...]) -> MailboxPath:
    """Return the mailbox that a file of a tree is: `Archive.sbd/2024` is Archive/2024, and what
    Apple Mail exports as `Old.mbox/mbox` is Old.
    """
    *above, last = parts
    names = [_plainly(part, _DIRECTORIES) for part in above]
    if last != "mbox" or not above or not above[-1].endswith(".mbox"):
        names.append(_plainly(last, _ENDINGS))
    shown = tuple(
        name.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for name in names
    )
    return INBOX if len(shown) == 1 and shown[0].upper() == "INBOX" else shown


def _plainly(name: str, endings: tuple[str, ...]) -> str:
    """Return a name without what says that it is a mailbox, or hides it."""
    return _without(name, endings).removeprefix(".") or name


def _without(name: str, endings: tuple[str, ...]) -> str:
    for ending in endings:
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name
