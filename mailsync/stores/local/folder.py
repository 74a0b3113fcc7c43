"""What a kind of files must tell: the mailboxes in it, and of each the messages it holds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from mailsync.model import NO_FLAGS, MailboxPath

LARGEST_MESSAGE: Final = 512 * 1024 * 1024
"""Octets. Nobody ever sent a message as large; what seems to be one is a broken file."""

Watch: TypeAlias = Callable[[int], None]
"""Told how many octets were just read."""


class CannotRead(Exception):
    """A message cannot be read, or is not what it was a moment ago; its text tells a person."""


@dataclass(frozen=True, slots=True)
class Found:
    """A message that a look at a folder found, at `place`, whatever that is to the folder.

    `key` is as in `model.KeyRef`; `size` may not change while the key is the same. `flags` None:
    the files do not tell. `rebuilt` is as in `model.Message`.
    """

    key: bytes
    place: tuple[int, ...]
    size: int
    flags: frozenset[str] | None = NO_FLAGS
    internaldate: int | None = None
    rebuilt: bool = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something in a folder that could not be read: `where` (a range of octets, a file), and
    why.
    """

    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Messages that are in the files and were not taken on purpose, in words for people."""

    messages: int
    why: str


class Folder(Protocol):
    """One mailbox of a kind of files."""

    @property
    def path(self) -> MailboxPath:
        """Return its name as the files have it."""

    @property
    def size(self) -> int:
        """Return about how many octets there are to read."""

    def mark(self) -> int:
        """Return a number that changes whenever a file of the mailbox does. Raises OSError."""

    def look(self, watch: Watch) -> Iterator[Found | Unreadable | LeftOut]:
        """Read the mailbox and yield what is in it. Raises OSError."""

    def read(self, place: tuple[int, ...], key: bytes) -> bytes:
        """Return a message's content. Raises OSError, CannotRead."""


def words_of(error: OSError) -> str:
    """Return what is wrong with a file, for people."""
    return error.strerror or str(error)


def key_of(content: bytes) -> bytes:
    """Return the key of a message whose file gives it no name that lasts."""
    return hashlib.sha256(content).digest()


def proven(content: bytes, key: bytes, where: str) -> bytes:
    """Return a content whose key is made of it. Raises CannotRead for any other."""
    if key_of(content) != key[:32]:
        raise CannotRead(f"{where} was changed while it was read")
    return content


def mark_of(*parts: object) -> int:
    """Return a number for whatever tells files from what they were, in 62 bits and never 0."""
    told = hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(told[:8], "big") >> 2 | 1
