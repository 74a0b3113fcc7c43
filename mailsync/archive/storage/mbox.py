"""The mail tree as mbox files, one a mailbox, appended to and never rewritten. Knows no catalogue.

Messages wait in memory until `settle` appends them, locked as other programs lock an mbox, and
forces the files to disk. A message is known by its base name, as in a Maildir; of two with one name
the later one counts, so that a good copy takes the place of a bad one. Flags stand in the file as
they were when the message came: the catalogue knows better ones.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from mailsync.archive.storage import dotlock
from mailsync.archive.storage.disk import make_directory, replace_file, sync_directory
from mailsync.archive.storage.maildir import Source
from mailsync.formats import maildir, mboxrd
from mailsync.formats.folders import folder_name, is_shortened, path_of
from mailsync.formats.mboxrd import Record, Stray
from mailsync.model import NO_FLAGS, MailboxPath

SUFFIX: Final = ".mbox"
_LONGEST: Final = 200
_NAME_SUFFIX: Final = ".mailbox.json"


@dataclass(frozen=True, slots=True)
class Stat:
    """What `os.stat` tells of a file, of a message within one."""

    st_size: int
    st_dev: int = 0
    st_ino: int = 0
    st_nlink: int = 1


@dataclass(frozen=True, slots=True)
class Part:
    """A message within an mbox, with as much of a path's manners as the archive needs."""

    parent: Path
    name: str
    record: Record

    def __str__(self) -> str:
        return f"{self.parent}: {self.name}"

    def exists(self) -> bool:
        """Return whether its file is there."""
        return self.parent.exists()

    def stat(self) -> Stat:
        """Tell its size."""
        return Stat(self.record.size)

    def read_bytes(self) -> bytes:
        """Read it. Raises OSError."""
        with self.parent.open("rb") as file:
            file.seek(self.record.body)
            return mboxrd.read(self.record, file.read(self.record.length))

    def open(self, mode: str = "rb") -> io.BytesIO:  # noqa: ARG002  a path's signature
        """Open it for reading. Raises OSError."""
        return io.BytesIO(self.read_bytes())


@dataclass(frozen=True, slots=True)
class _Index:
    """The messages of one file by base name, as long as its `stamp` is what it was."""

    stamp: tuple[int, int, int]
    messages: dict[str, Record]


class MboxTree:
    """The files below `root`, for one process at a time."""

    def __init__(self, root: Path, *, writing: bool) -> None:
        self.root = root
        self._writing = writing
        self._waiting: dict[str, dict[str, bytes]] = {}
        self._octets = 0
        self._indexes: dict[str, _Index] = {}
        self._unsynced = False

    def close(self) -> None:
        """Forget what was not settled."""
        self.forget()

    def folder(self, name: str) -> Path:
        """Return the file of a folder."""
        plain = name.removeprefix(".") or "INBOX"
        if len(plain) > _LONGEST:
            plain = f"{plain[:100]}\\~{sha256(plain.encode()).hexdigest()[:32]}"
        return self.root / f"{plain}{SUFFIX}"

    def place(self, folder: str, base: str) -> Path:
        """Name the place of a message for people, also of one that is not there."""
        return Path(f"{self.folder(folder)}: {base}")

    def make_folder(
        self, path: MailboxPath, *, hashed: bool = False, recorded: bool = False
    ) -> str:
        """Make the file of a mailbox and give the folder's name; its entry is on disk after
        `settle`.
        """
        name = folder_name(path, hashed=hashed)
        file = self.folder(name)
        if not file.exists():
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
            file.chmod(0o600)
            recorded = False
        # A run that was killed may have made it, and not forced its entry to disk.
        self._unsynced = self._unsynced or not recorded
        told = file.with_name(f"{file.name}{_NAME_SUFFIX}")
        if (
            is_shortened(name) or file.name != f"{name.removeprefix('.') or 'INBOX'}{SUFFIX}"
        ) and not told.exists():
            replace_file(told, json.dumps([name, *path]).encode())
        return name

    def folders(self) -> Iterator[tuple[str, MailboxPath]]:
        """Yield every folder there is, with its mailbox's path."""
        if not self.root.is_dir():
            return
        for file in sorted(self.root.glob(f"*{SUFFIX}")):
            with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
                name, *path = json.loads(file.with_name(f"{file.name}{_NAME_SUFFIX}").read_bytes())
                yield str(name), tuple(str(part) for part in path)
                continue
            plain = file.name.removesuffix(SUFFIX)
            name = "" if plain == "INBOX" else f".{plain}"
            yield name, path_of(name)

    def files(self, folder: str) -> Iterator[tuple[str, Part]]:
        """Yield every message of a folder as (base name, place)."""
        file = self.folder(folder)
        for base, record in self._index(folder).messages.items():
            yield base, Part(file, base, record)

    def leftovers(self, folder: str) -> Iterator[Path]:
        """Cut off what a killed run wrote of a message and did not end; the cut octets go to
        quarantine. Returns what else it left.
        """
        file = self.folder(folder)
        yield from self.root.glob(f"{dotlock.LOCKING}*")
        if dotlock.is_left_behind(dotlock.place(file)):
            yield dotlock.place(file)
        torn = next(
            (one for one in self._scan(file) if isinstance(one, Stray) and one.is_torn), None
        )
        if torn is not None:
            with dotlock.key(self.root) as key, dotlock.locked(file, key) as descriptor:
                rest = os.pread(descriptor, torn.end - torn.start, torn.start)
                self._keep(
                    self.root.parent / "quarantine",
                    f"{file.name}.{torn.start}",
                    rest,
                    f"the unfinished end of {file}",
                )
                os.ftruncate(descriptor, torn.start)
                os.fsync(descriptor)
            self._indexes.pop(folder, None)

    def sync(self, folder: str) -> None:
        """Force what lies in a folder to disk."""
        descriptor = os.open(self.folder(folder), os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def add(self, folder: str, base: str, content: bytes, flags: frozenset[str]) -> None:
        """Have a message appended; it is in place after `settle`."""
        name = maildir.parse(base)
        date, copy = (name.internaldate, name.copy) if name else (0, 1)
        written = mboxrd.write(content, sha256(content).digest(), date, flags, copy)
        self._waiting.setdefault(folder, {})[base] = written
        self._octets += len(written)

    def link(self, source: Source, folder: str, base: str, flags: frozenset[str]) -> None:
        """Have a message that lies elsewhere appended here too. The caller hashed it."""
        written = self._waiting.get(source.folder, {}).get(source.base)
        if written is not None:
            record = next(mboxrd.scan(written))
            assert isinstance(record, Record)  # noqa: S101  `add` wrote it
            content = mboxrd.read(record, written[record.body : record.body + record.length])
        else:
            part = self.locate(source.folder, source.base)
            if part is None:
                raise FileNotFoundError(
                    errno.ENOENT,
                    "vanished while it was being used",
                    str(self.place(source.folder, source.base)),
                )
            content = part.read_bytes()
        self.add(folder, base, content, flags)

    def reflag(
        self, folder: str, base: str, flags: frozenset[str], was: frozenset[str] = NO_FLAGS
    ) -> None:
        """Leave the file as it is."""

    def flags(self, folder: str, part: Part) -> frozenset[str]:  # noqa: ARG002  a Maildir's signature
        """Return the flags a message came with."""
        return part.record.flags

    @property
    def waiting(self) -> tuple[int, int]:
        """How many messages and octets wait to be settled."""
        return sum(map(len, self._waiting.values())), self._octets

    def settle(self) -> None:
        """Append what waits and force it to disk; a file that cannot take all of it is as long as
        before.
        """
        if self._waiting:
            with dotlock.key(self.root) as key:
                for folder, messages in self._waiting.items():
                    self._append(folder, messages, key)
        if self._unsynced:
            sync_directory(self.root)
            self._unsynced = False
        self._waiting, self._octets = {}, 0

    def _append(self, folder: str, messages: dict[str, bytes], key: Path) -> None:
        file = self.folder(folder)
        index = self._index(folder) if folder in self._indexes else None
        self._unsynced = self._unsynced or not file.exists()
        with dotlock.locked(file, key) as descriptor:
            end = os.fstat(descriptor).st_size
            # Another program may have left the last line open.
            start = b"\n" if end and os.pread(descriptor, 1, end - 1) != b"\n" else b""
            try:
                at = end + len(start)
                _write(descriptor, start + b"".join(messages.values()))
                os.fsync(descriptor)
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, end)
                raise
            if index is not None and index.stamp == self._indexes[folder].stamp:
                self._learn(folder, index, messages, at, os.fstat(descriptor))

    def forget(self) -> None:
        """Drop what was not settled."""
        self._waiting, self._octets = {}, 0

    def locate(self, folder: str, base: str, flags: frozenset[str] = NO_FLAGS) -> Part | None:  # noqa: ARG002  a Maildir's signature
        """Find a message by its base name."""
        record = self._index(folder).messages.get(base)
        return None if record is None else Part(self.folder(folder), base, record)

    def is_waiting(self, folder: str, base: str) -> bool:
        """Return whether a message was added and not settled."""
        return base in self._waiting.get(folder, {})

    def set_aside(self, part: Part, quarantine: Path, why: str) -> None:
        """Copy a damaged message to quarantine with a line that says why; what was appended stays
        where it is.
        """
        with part.parent.open("rb") as file:
            file.seek(part.record.start)
            self._keep(quarantine, part.name, file.read(part.record.end - part.record.start), why)

    def _keep(self, quarantine: Path, name: str, content: bytes, why: str) -> None:
        make_directory(quarantine)
        number = 0
        while (target := quarantine / (f"{name}.{number}" if number else name)).exists():
            if target.read_bytes() == content:
                return
            number += 1
        replace_file(target, content)
        notes = os.open(quarantine / "README.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(notes, "a", encoding="utf-8", errors="backslashreplace") as lines:
            lines.write(f"{target.name}: {why}\n")

    def _index(self, folder: str) -> _Index:
        file = self.folder(folder)
        try:
            stamp = _stamp(file.stat())
        except FileNotFoundError:
            return _Index((0, 0, 0), {})
        known = self._indexes.get(folder)
        if known is None or known.stamp != stamp:
            messages = {base_of(one): one for one in self._scan(file) if isinstance(one, Record)}
            known = self._indexes[folder] = _Index(stamp, messages)
        return known

    def _learn(
        self, folder: str, index: _Index, messages: dict[str, bytes], at: int, stat: os.stat_result
    ) -> None:
        """Take in what was appended, without looking through the whole file for it."""
        for written in messages.values():
            record = next(mboxrd.scan(written))
            assert isinstance(record, Record)  # noqa: S101  `add` wrote it
            index.messages[base_of(record)] = mboxrd.moved(record, at)
            at += len(written)
        self._indexes[folder] = _Index(_stamp(stat), index.messages)

    @staticmethod
    def _scan(file: Path) -> Iterator[Record | Stray]:
        with contextlib.suppress(FileNotFoundError), file.open("rb") as opened:
            if os.fstat(opened.fileno()).st_size:
                with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
                    yield from mboxrd.scan(content)


def base_of(record: Record) -> str:
    """Return the base name of a message, the same as in a Maildir."""
    return maildir.name(record.internaldate, record.digest, record.size, record.copy)


def _stamp(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _write(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
