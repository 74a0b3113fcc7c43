"""What an archive keeps its messages in, whatever the format: the contract that Maildir and mbox
fulfil. Knows no catalogue.

A message is known by its folder (a name that `make_folder` gave) and by its base name
(`formats.maildir.name`), which its content, its date and its number among copies decide.

Durability. What `make_folder`, `write`, `copy` and `reflag` ask for waits until `sync`: contents
are forced to disk before any name leads to them, names before `sync` returns. Whoever commits a
row after `sync` never names a file that a power cut could take. What was in place before a `sync`
that failed, or before a process died, has no row; the next opening takes it in by its content.

Who may do what when. One process writes (it holds the archive's lock), with one call at a time;
any number of processes may read beside it, and other programs may rename, add or take away
messages at any moment. Every method raises OSError and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from mailsync.model import NO_FLAGS, MailboxPath


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a content lies that is to be copied; `flags` are those its name should say."""

    folder: str
    base: str
    flags: frozenset[str] = NO_FLAGS


@dataclass(frozen=True, slots=True)
class Stat:
    """How many octets a message has, and which inode it shares with other messages of the same
    content; None where its octets are its own.
    """

    size: int
    shared: tuple[int, int] | None = None


class Located(Protocol):
    """A message as it lay in storage when it was looked for. Any thread may use it.

    It raises FileNotFoundError once its file has another name: whoever wants it locates it again.
    """

    @property
    def place(self) -> Path:
        """Its path as people are told it; for a message within a file, that file's and its name."""

    @property
    def flags(self) -> frozenset[str]:
        """The flags that it bears in storage."""

    def stat(self) -> Stat:
        """Return its size and what it shares, at the cost of one look."""

    def open(self) -> BinaryIO:
        """Open its content for reading, as the server sent it."""

    def read(self) -> bytes:
        """Return its content, as the server sent it."""

    def digest(self) -> bytes:
        """Return the SHA-256 of its content, read now."""

    def set_aside(self, why: str) -> bool:
        """Put it in quarantine, durably, with a line that says why and where it was; tell whether
        it was still there.

        A format whose files only grow leaves the damaged octets in place, where a good copy
        written after them counts instead. Nothing in quarantine is ever overwritten.
        """


class StorageReader(Protocol):
    """What a reader may ask of the storage, beside any writer."""

    def folders(self) -> Iterator[tuple[str, MailboxPath]]:
        """Yield every folder there is, with its mailbox's path."""

    def walk(self, folder: str) -> Iterator[tuple[str, Located]]:
        """Yield every message of a folder with its base name, other programs' messages included
        where the format gives them a name; a folder that is not there has none.
        """

    def locate(self, folder: str, base: str, flags: frozenset[str] = NO_FLAGS) -> Located | None:
        """Return a message that is in place, by its base name; None where it is not there.

        `flags` is a guess that saves a look at the whole folder.
        """

    def path_shown(self, folder: str, base: str) -> Path:
        """Return the path that people are told of a message, also of one that is not there."""

    def close(self) -> None:
        """Do as `discard_waiting` does, and stop what works in the background; idempotent."""


class Storage(StorageReader, Protocol):
    """What the one writer may ask of it besides."""

    def make_folder(
        self, path: MailboxPath, *, hashed: bool = False, recorded: str | None = None
    ) -> str:
        """Make the folder of a mailbox unless it is there, and return its name; it is on disk after
        `sync`.

        `hashed`: under a name that no other mailbox's can meet on a disk that ignores case.
        `recorded` is the name that the catalogue has for it, which stays, and so it is on disk
        already if it is there.
        """

    def write(self, folder: str, base: str, content: bytes, flags: frozenset[str]) -> None:
        """Have a content stored, byte for byte; it is in place after `sync`."""

    def copy(self, origin: Origin, folder: str, base: str, flags: frozenset[str]) -> None:
        """Have a stored or waiting content lie under another name too; it is in place after `sync`,
        as the same inode where format and disk allow it.

        The caller hashed it. One that is no longer there fails here or in `sync`, as the format
        reads it.
        """

    def reflag(
        self, folder: str, base: str, flags: frozenset[str], was: frozenset[str] = NO_FLAGS
    ) -> None:
        """Have a message bear these flags after `sync`, where the format can change them; one that
        is not there is left to whoever verifies.

        `was` is a guess that saves a look at the whole folder.
        """

    def is_waiting(self, folder: str, base: str) -> bool:
        """Return whether a message was written or copied and waits for `sync`."""

    @property
    def waiting_messages(self) -> int:
        """How many writes, copies and changes of flags wait for `sync`."""

    @property
    def waiting_octets(self) -> int:
        """How many octets wait for `sync`."""

    def sync(self) -> None:
        """Put in place and force to disk all that waits, in the order said above.

        After an error nothing that waited counts, and `discard_waiting` is due.
        """

    def discard_waiting(self) -> None:
        """Drop what waits for `sync`, with its temporary files; idempotent."""

    def sync_folder(self, folder: str) -> None:
        """Force to disk what already lies in a folder, whoever put it there."""

    def clear_leftovers(self, folder: str) -> None:
        """Remove what a killed run left half done in a folder: temporary files, locks, and the
        octets of a message that was not written to its end, which go to quarantine. Idempotent.

        Only for a writer, before it writes.
        """


@runtime_checkable
class Removing(Protocol):
    """Storage from which messages can be taken out."""

    def remove(self, messages: Iterable[tuple[str, str]]) -> None:
        """Remove these messages (folder and base name) for good, durably; what is not there is as
        good as removed. Killed, it may have removed some.
        """
