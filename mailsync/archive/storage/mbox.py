"""Messages kept as mbox files, one a mailbox, appended to and never rewritten. Knows no catalogue.

Messages wait in memory until `sync` appends them, locked as other programs lock an mbox, and
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
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

from mailsync.archive.durability import sync_directory
from mailsync.archive.storage import dotlock
from mailsync.archive.storage.base import Origin, Stat
from mailsync.archive.storage.disk import replace_file
from mailsync.archive.storage.quarantine import Quarantine
from mailsync.formats import maildir, mboxrd
from mailsync.formats.folders import folder_name, is_shortened, path_of
from mailsync.formats.mboxrd import Record, Stray
from mailsync.model import NO_FLAGS, MailboxPath

SUFFIX: Final = ".mbox"
_LONGEST: Final = 200
_NAME_SUFFIX: Final = ".mailbox.json"


@dataclass(frozen=True, slots=True)
class MboxMessage:
    """A message inside an mbox file."""

    _file: Path
    _base: str
    _record: Record
    _quarantine: Quarantine = field(repr=False)

    @property
    def place(self) -> Path:
        """The file and, behind a colon, the message's base name."""
        return _shown(self._file, self._base)

    @property
    def flags(self) -> frozenset[str]:
        """The flags that it came with."""
        return self._record.flags

    def stat(self) -> Stat:
        """Return its size; its octets are its own."""
        return Stat(self._record.size)

    def open(self) -> BinaryIO:
        """Open its content, which is in memory then."""
        return io.BytesIO(self.read())

    def read(self) -> bytes:
        """Return its content, unquoted."""
        return mboxrd.read(self._record, self._octets(self._record.body, self._record.length))

    def digest(self) -> bytes:
        """Return the SHA-256 of its content."""
        return sha256(self.read()).digest()

    def set_aside(self, why: str) -> bool:
        """Copy what the file holds of it to quarantine; tell whether the file was there.

        What was appended stays where it is.
        """
        try:
            octets = self._octets(self._record.start, self._record.end - self._record.start)
        except FileNotFoundError:
            return False
        self._quarantine.keep(self._base, octets, f"{why}; was in {self._file}")
        return True

    def _octets(self, start: int, length: int) -> bytes:
        with self._file.open("rb") as file:
            file.seek(start)
            return file.read(length)


@dataclass(frozen=True, slots=True)
class _Index:
    """The messages of one file by base name, as long as its `stamp` is what it was."""

    stamp: tuple[int, int, int]
    messages: dict[str, Record]


class MboxStorage:
    """The files below `root`, for one process at a time."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._waiting: dict[str, dict[str, bytes]] = {}
        self._octets = 0
        self._indexes: dict[str, _Index] = {}
        self._quarantine = Quarantine(root.parent / "quarantine")
        self._unsynced = False

    def close(self) -> None:
        """Discard what waits."""
        self.discard_waiting()

    # reading

    def file_of(self, folder: str) -> Path:
        """Return the file of a folder."""
        plain = folder.removeprefix(".") or "INBOX"
        if len(plain) > _LONGEST:
            kept, mark = plain[:100], sha256(plain.encode()).hexdigest()[:32]
            before = self._root / f"{kept}\\~{mark}{SUFFIX}"
            if before.exists():
                # Earlier versions marked it so, where the disk allows it.
                return before
            plain = f"{kept}%~{mark}"
        return self._root / f"{plain}{SUFFIX}"

    def folders(self) -> Iterator[tuple[str, MailboxPath]]:
        """Yield every folder there is, with its mailbox's path."""
        if not self._root.is_dir():
            return
        for file in sorted(self._root.glob(f"*{SUFFIX}")):
            with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
                name, *path = json.loads(file.with_name(f"{file.name}{_NAME_SUFFIX}").read_bytes())
                yield str(name), tuple(str(part) for part in path)
                continue
            plain = file.name.removesuffix(SUFFIX)
            name = "" if plain == "INBOX" else f".{plain}"
            yield name, path_of(name)

    def walk(self, folder: str) -> Iterator[tuple[str, MboxMessage]]:
        """Yield every message of ours in a folder with its base name."""
        file = self.file_of(folder)
        for base, record in self._index(folder).messages.items():
            yield base, MboxMessage(file, base, record, self._quarantine)

    def locate(
        self,
        folder: str,
        base: str,
        flags: frozenset[str] = NO_FLAGS,  # noqa: ARG002  no name says them here
    ) -> MboxMessage | None:
        """Return a message by its base name."""
        record = self._index(folder).messages.get(base)
        if record is None:
            return None
        return MboxMessage(self.file_of(folder), base, record, self._quarantine)

    def path_shown(self, folder: str, base: str) -> Path:
        """Return the file and, behind a colon, the base name."""
        return _shown(self.file_of(folder), base)

    # what waits

    def make_folder(
        self, path: MailboxPath, *, hashed: bool = False, recorded: str | None = None
    ) -> str:
        """Make the file of a mailbox unless it is there, and return the folder's name."""
        name = folder_name(path, hashed=hashed) if recorded is None else recorded
        file = self.file_of(name)
        made = not file.exists()
        if made:
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
            file.chmod(0o600)
        # A run that was killed may have made it, and not forced its entry to disk.
        self._unsynced = self._unsynced or made or recorded is None
        told = file.with_name(f"{file.name}{_NAME_SUFFIX}")
        if (
            is_shortened(name) or file.name != f"{name.removeprefix('.') or 'INBOX'}{SUFFIX}"
        ) and not told.exists():
            replace_file(told, json.dumps([name, *path]).encode())
        return name

    def write(self, folder: str, base: str, content: bytes, flags: frozenset[str]) -> None:
        """Have a message appended."""
        name = maildir.parse(base)
        date, number = (name.internaldate, name.copy) if name else (0, 1)
        written = mboxrd.write(content, sha256(content).digest(), date, flags, number)
        self._waiting.setdefault(folder, {})[base] = written
        self._octets += len(written)

    def copy(self, origin: Origin, folder: str, base: str, flags: frozenset[str]) -> None:
        """Have a message that waits or lies elsewhere appended here too."""
        written = self._waiting.get(origin.folder, {}).get(origin.base)
        if written is not None:
            record = next(mboxrd.scan(written))
            assert isinstance(record, Record)  # noqa: S101  `write` wrote it
            content = mboxrd.read(record, written[record.body : record.body + record.length])
        else:
            message = self.locate(origin.folder, origin.base)
            if message is None:
                raise FileNotFoundError(
                    errno.ENOENT,
                    "vanished while it was being used",
                    str(self.path_shown(origin.folder, origin.base)),
                )
            content = message.read()
        self.write(folder, base, content, flags)

    def reflag(
        self, folder: str, base: str, flags: frozenset[str], was: frozenset[str] = NO_FLAGS
    ) -> None:
        """Leave the file as it is: flags stand in it as they were when the message came."""

    def is_waiting(self, folder: str, base: str) -> bool:
        """Return whether a message was written or copied and waits for `sync`."""
        return base in self._waiting.get(folder, {})

    @property
    def waiting_messages(self) -> int:
        """How many messages wait for `sync`."""
        return sum(map(len, self._waiting.values()))

    @property
    def waiting_octets(self) -> int:
        """How many octets of the files wait for `sync`."""
        return self._octets

    def sync(self) -> None:
        """Append what waits and force it to disk; a file that cannot take all of it is as long as
        before.
        """
        if self._waiting:
            with dotlock.key(self._root) as key:
                for folder, messages in self._waiting.items():
                    self._append(folder, messages, key)
        if self._unsynced:
            sync_directory(self._root)
            self._unsynced = False
        self._waiting, self._octets = {}, 0

    def discard_waiting(self) -> None:
        """Drop what waits."""
        self._waiting, self._octets = {}, 0

    # what is done at once

    def sync_folder(self, folder: str) -> None:
        """Force the file of a folder to disk."""
        descriptor = os.open(self.file_of(folder), os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def clear_leftovers(self, folder: str) -> None:
        """Remove locks that a killed run left, and cut off the message it did not end; the octets
        cut off go to quarantine.
        """
        file = self.file_of(folder)
        for unlocked in self._root.glob(f"{dotlock.LOCKING}*"):
            unlocked.unlink(missing_ok=True)
        if dotlock.is_left_behind(dotlock.place(file)):
            dotlock.place(file).unlink(missing_ok=True)
        torn = next((one for one in _scan(file) if isinstance(one, Stray) and one.is_torn), None)
        if torn is not None:
            with dotlock.key(self._root) as key, dotlock.locked(file, key) as descriptor:
                rest = os.pread(descriptor, torn.end - torn.start, torn.start)
                name = f"{file.name}.{torn.start}"
                self._quarantine.keep(name, rest, f"the unfinished end of {file}")
                os.ftruncate(descriptor, torn.start)
                os.fsync(descriptor)
            self._indexes.pop(folder, None)

    # the files

    def _append(self, folder: str, messages: dict[str, bytes], key: Path) -> None:
        file = self.file_of(folder)
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

    def _index(self, folder: str) -> _Index:
        file = self.file_of(folder)
        try:
            stamp = _stamp(file.stat())
        except FileNotFoundError:
            return _Index((0, 0, 0), {})
        known = self._indexes.get(folder)
        if known is None or known.stamp != stamp:
            messages = {base_of(one): one for one in _scan(file) if isinstance(one, Record)}
            known = self._indexes[folder] = _Index(stamp, messages)
        return known

    def _learn(
        self, folder: str, index: _Index, messages: dict[str, bytes], at: int, stat: os.stat_result
    ) -> None:
        """Take in what was appended, without looking through the whole file for it."""
        for written in messages.values():
            record = next(mboxrd.scan(written))
            assert isinstance(record, Record)  # noqa: S101  `write` wrote it
            index.messages[base_of(record)] = mboxrd.moved(record, at)
            at += len(written)
        self._indexes[folder] = _Index(_stamp(stat), index.messages)


def base_of(record: Record) -> str:
    """Return the base name of a message, the same as in a Maildir."""
    return maildir.name(record.internaldate, record.digest, record.size, record.copy)


def _shown(file: Path, base: str) -> Path:
    return Path(f"{file}: {base}")


def _scan(file: Path) -> Iterator[Record | Stray]:
    with contextlib.suppress(FileNotFoundError), file.open("rb") as opened:
        if os.fstat(opened.fileno()).st_size:
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
                yield from mboxrd.scan(content)


def _stamp(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _write(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
