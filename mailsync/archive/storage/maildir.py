"""Messages kept as Maildir++: folders, files, flags in names. Knows no catalogue.

Content is written to `tmp/` and forced to disk while the caller goes on; `sync` then puts
everything in place, in order, and forces the directories. A file is known by its base name: what
follows `:2,` belongs to whoever changed it last. Paths are text where every message needs them:
making Path objects of them costs more than all else that is done here.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import BinaryIO

from mailsync.archive.durability import sync_directory
from mailsync.archive.storage import maildir_listing
from mailsync.archive.storage.base import Origin, Stat
from mailsync.archive.storage.disk import write_file
from mailsync.archive.storage.maildir_folders import Folders
from mailsync.archive.storage.maildir_listing import Listings
from mailsync.archive.storage.maildir_suffixes import Suffixes
from mailsync.archive.storage.quarantine import Quarantine
from mailsync.archive.storage.writers import Writers
from mailsync.formats import maildir
from mailsync.model import NO_FLAGS, MailboxPath


@dataclass(frozen=True, slots=True)
class MaildirFile:
    """A message in a file of its own."""

    place: Path
    _suffixes: Suffixes = field(repr=False)
    _quarantine: Quarantine = field(repr=False)

    @property
    def flags(self) -> frozenset[str]:
        """The flags that its name says."""
        return self._suffixes.flags(str(self.place.parent.parent), self.place.name)

    def stat(self) -> Stat:
        """Return its size, and its inode where that has other names."""
        stat = self.place.stat()
        return Stat(stat.st_size, (stat.st_dev, stat.st_ino) if stat.st_nlink > 1 else None)

    def open(self) -> BinaryIO:
        """Open it for reading."""
        return self.place.open("rb")

    def read(self) -> bytes:
        """Return what it holds."""
        return self.place.read_bytes()

    def digest(self) -> bytes:
        """Return the SHA-256 of what it holds, without holding that in memory."""
        return _sha256(self.place)

    def set_aside(self, why: str) -> bool:
        """Move it to quarantine; tell whether it was there."""
        try:
            self._quarantine.move_in(self.place, f"{why}; was in {self.place.parent}")
        except FileNotFoundError:
            return False
        return True


@dataclass(slots=True)
class _Waiting:
    """What `sync` has to put in place: files (temporary and final path), then copies, then names
    with other flags (was, is).
    """

    written: list[tuple[str, str]] = field(default_factory=list)
    copies: list[tuple[Origin, str, Path]] = field(default_factory=list)
    renames: dict[tuple[str, str], tuple[frozenset[str], frozenset[str]]] = field(
        default_factory=dict
    )
    names: set[tuple[str, str]] = field(default_factory=set)
    octets: int = 0


class MaildirStorage:
    """The Maildir below `root`, for one process at a time."""

    def __init__(self, root: Path, *, writing: bool) -> None:
        self._folders = Folders(root)
        self._writers = Writers()
        self._numbers = count()
        self._waiting = _Waiting()
        self._suffixes = Suffixes(root, writing=writing)
        self._listings = Listings()
        self._quarantine = Quarantine(root.parent / "quarantine")

    def close(self) -> None:
        """Discard what waits, and stop the writers."""
        self.discard_waiting()
        self._writers.close()

    # reading

    def directory_of(self, folder: str) -> Path:
        """Return the directory of a folder."""
        return self._folders.directory(folder)

    def folders(self) -> Iterator[tuple[str, MailboxPath]]:
        """Yield every folder there is, with its mailbox's path."""
        return self._folders.all()

    def walk(self, folder: str) -> Iterator[tuple[str, MaildirFile]]:
        """Yield every file of a folder with its base name."""
        for base, path in maildir_listing.files(self._folders.text(folder)):
            yield base, self._file(path)

    def locate(
        self, folder: str, base: str, flags: frozenset[str] = NO_FLAGS
    ) -> MaildirFile | None:
        """Return a file by its base name."""
        path = self._find(folder, base, flags)
        return None if path is None else self._file(path)

    def path_shown(self, folder: str, base: str) -> Path:
        """Return the path of a file that bears no flags."""
        return self.directory_of(folder) / "cur" / base

    # what waits

    def make_folder(
        self, path: MailboxPath, *, hashed: bool = False, recorded: str | None = None
    ) -> str:
        """Make the directories of a mailbox unless they are there, and return the folder's name."""
        return self._folders.make(path, hashed=hashed, recorded=recorded)

    def write(self, folder: str, base: str, content: bytes, flags: frozenset[str]) -> None:
        """Start writing a file."""
        temporary = self._temporary(folder)
        # Dovecot and others show a file's mtime as INTERNALDATE.
        name = maildir.parse(base)
        self._writers.add(temporary, content, name.internaldate if name else None)
        self._waiting.written.append((temporary, self._final(folder, base, flags)))
        self._waiting.octets += len(content)
        self._waiting.names.add((folder, base))

    def copy(self, origin: Origin, folder: str, base: str, flags: frozenset[str]) -> None:
        """Have a file lie under a second name, as a hard link where the disk has any."""
        self._waiting.copies.append((origin, folder, Path(self._final(folder, base, flags))))
        self._waiting.names.add((folder, base))

    def reflag(
        self, folder: str, base: str, flags: frozenset[str], was: frozenset[str] = NO_FLAGS
    ) -> None:
        """Have a file bear the name that says these flags."""
        # New keywords get their letters now, so that `sync` can say what they mean before a name
        # uses them.
        self._suffixes.assign(self._folders.text(folder), flags)
        first = self._waiting.renames.get((folder, base))
        self._waiting.renames[folder, base] = (first[0] if first else was, flags)

    def is_waiting(self, folder: str, base: str) -> bool:
        """Return whether a file was written or copied and waits for `sync`."""
        return (folder, base) in self._waiting.names

    @property
    def waiting_messages(self) -> int:
        """How many files and changes of names wait for `sync`."""
        waiting = self._waiting
        return len(waiting.written) + len(waiting.copies) + len(waiting.renames)

    @property
    def waiting_octets(self) -> int:
        """How many octets wait for `sync`."""
        return self._waiting.octets

    def sync(self) -> None:
        """Put everything in place and force it to disk: contents, then names, then directories."""
        waiting = self._waiting
        touched = {*self._folders.unsynced}
        self._writers.sync()
        # Before any name uses a new letter, the folder says what it stands for.
        self._suffixes.write_keywords()
        for temporary, final in waiting.written:
            self._make_way(final, temporary)
            os.rename(temporary, final)  # noqa: PTH104  os is what the crash seam watches
        touched.update({final.rpartition("/")[0] for _, final in waiting.written})
        for origin, folder, place in waiting.copies:
            self._link(origin, folder, place)
            touched.add(str(place.parent))
        for (folder, base), (was, flags) in waiting.renames.items():
            touched |= self._rename(folder, base, was, flags)
        self._writers.sync_directories(touched)
        self._folders.unsynced.clear()
        self._waiting = _Waiting()

    def discard_waiting(self) -> None:
        """Drop what waits, and its temporary files."""
        waiting, self._waiting = self._waiting, _Waiting()
        self._writers.discard()
        for temporary, _ in waiting.written:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108  os is what the crash seam watches

    # what is done at once

    def sync_folder(self, folder: str) -> None:
        """Force the names in a folder to disk."""
        for part in ("cur", "new"):
            sync_directory(self.directory_of(folder) / part)

    def clear_leftovers(self, folder: str) -> None:
        """Remove our temporary files that a killed run left behind."""
        with contextlib.suppress(FileNotFoundError):
            for file in (self.directory_of(folder) / "tmp").glob("*.mailsync"):
                file.unlink(missing_ok=True)

    def remove(self, messages: Iterable[tuple[str, str]]) -> None:
        """Remove files for good, durably."""
        touched = set()
        for folder, base in messages:
            path = self._find(folder, base, NO_FLAGS)
            if path is not None:
                touched.add(path.parent)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)  # noqa: PTH108  os is what the crash seam watches
        for directory in touched:
            sync_directory(directory)

    # names and places

    def _file(self, path: Path) -> MaildirFile:
        return MaildirFile(path, self._suffixes, self._quarantine)

    def _temporary(self, folder: str) -> str:
        name = f"{os.getpid()}.{next(self._numbers)}.mailsync"
        return f"{self._folders.text(folder)}/tmp/{name}"  # noqa: S108  a Maildir's own

    def _final(self, folder: str, base: str, flags: frozenset[str]) -> str:
        """Return the path that says these flags."""
        directory = self._folders.text(folder)
        return f"{directory}/cur/{base}{self._suffixes.assign(directory, flags)}"

    def _find(self, folder: str, base: str, flags: frozenset[str]) -> Path | None:
        directory = self._folders.text(folder)
        guess = Path(f"{directory}/cur/{base}{self._suffixes.guess(directory, flags)}")
        return guess if guess.exists() else self._listings.find(directory, base)

    # how `sync` puts things in place

    def _link(self, origin: Origin, folder: str, final: Path) -> None:
        path = self._find(origin.folder, origin.base, origin.flags)
        if path is None:
            raise FileNotFoundError(
                errno.ENOENT,
                "vanished while it was being used",
                str(self.path_shown(origin.folder, origin.base)),
            )
        temporary = Path(self._temporary(folder))
        try:
            os.link(path, final)
        except FileExistsError:
            self._make_way(str(final), str(path))
            temporary.unlink(missing_ok=True)
            os.link(path, temporary)
        except OSError:
            # No links here (FAT, some network shares), or too many of one file: a copy serves as
            # well.
            temporary.unlink(missing_ok=True)
            write_file(temporary, path.read_bytes(), int(path.stat().st_mtime))
        else:
            return
        os.rename(temporary, final)  # noqa: PTH104  os is what the crash seam watches
        # Between two names of one file a rename does nothing.
        temporary.unlink(missing_ok=True)

    def _make_way(self, final: str, content: str) -> None:
        """Let nothing be overwritten that differs: no row names what lies there, but it may be
        somebody's.
        """
        if os.path.exists(final) and _sha256(final) != _sha256(content):  # noqa: PTH110  see the top
            self._quarantine.move_in(
                Path(final), "lay under the name of a message, but is not that message"
            )

    def _rename(
        self, folder: str, base: str, was: frozenset[str], flags: frozenset[str]
    ) -> set[str]:
        path = self._find(folder, base, was)
        if path is None:
            return set()
        target = Path(self._final(folder, base, flags))
        if path == target:
            return set()
        self._make_way(str(target), str(path))
        os.rename(path, target)  # noqa: PTH104  os is what the crash seam watches
        # Were both names of one file, this did nothing; removing one could remove it all where the
        # disk ignores case (`s`, `S`).
        self._listings.renamed(self._folders.text(folder), base, target)
        return {str(path.parent), str(target.parent)}


def _sha256(path: Path | str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123  see the top
        return hashlib.file_digest(file, "sha256").digest()
