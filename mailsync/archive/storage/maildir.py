"""The mail tree as Maildir++: folders, files, flags in names, keywords as Dovecot keeps them.

Knows no catalogue.

Content is written to `tmp/` and forced to disk while the caller goes on; `settle` then puts
everything in place, in order, and forces the directories. A file is known by its base name: what
follows `:2,` belongs to whoever changed it last. Paths are text where every message needs them:
making Path objects of them costs more than all else that is done here.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from mailsync.archive.storage.disk import make_directory, replace_file, sync_directory, write_file
from mailsync.archive.storage.writers import Writers
from mailsync.formats import maildir
from mailsync.formats.folders import folder_name, is_shortened, path_of
from mailsync.model import NO_FLAGS, SYSTEM_FLAGS, MailboxPath

LISTINGS: Final = 4
"""Folders whose listing is kept in memory at a time."""

SETTLED: Final = 2_000_000_000
"""Nanoseconds after which a directory's mtime is sure to tell of any later change, on the coarsest
disk worth the name.
"""

_SUBDIRECTORIES: Final = ("cur", "new", "tmp")
_NAME_FILE: Final = "mailsync-mailbox.json"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a content lies that is to have a second name; `flags` are those its name should say."""

    folder: str
    base: str
    flags: frozenset[str] = NO_FLAGS


@dataclass(slots=True)
class _Waiting:
    """What `settle` has to put in place: files (temporary and final path), then links, then names
    with other flags (was, is).
    """

    written: list[tuple[str, str]] = field(default_factory=list)
    links: list[tuple[Source, str, Path]] = field(default_factory=list)
    renames: dict[tuple[str, str], tuple[frozenset[str], frozenset[str]]] = field(
        default_factory=dict
    )
    octets: int = 0


@dataclass(frozen=True, slots=True)
class _Listing:
    """The files of a folder by base name, as `cur/…` or `new/…`; `stamp` are the mtimes of both
    when it was taken.
    """

    stamp: tuple[int, ...]
    taken: int
    names: dict[str, str]


class MaildirTree:
    """The tree below `root`, for one process at a time."""

    def __init__(self, root: Path, *, writing: bool) -> None:
        self.root = root
        self._writing = writing
        self._writers = Writers()
        self._numbers = count()
        self._waiting = _Waiting()
        self._fresh: set[tuple[str, str]] = set()
        self._keywords: dict[str, dict[str, str]] = {}
        self._new_keywords: set[str] = set()
        self._listings: dict[str, _Listing] = {}
        self._made: set[str] = set()
        self._unsynced: set[Path] = set()
        self._parts: dict[tuple[str, str], str] = {}
        self._suffixes: dict[tuple[str, frozenset[str]], str] = {}
        self._separator: str | None = None

    def close(self) -> None:
        """Stop the writers; what was not settled is forgotten, its temporary files removed."""
        self.forget()
        self._writers.close()

    def folder(self, name: str) -> Path:
        """Return the directory of a folder."""
        return self.root / name if name else self.root

    def make_folder(
        self, path: MailboxPath, *, hashed: bool = False, recorded: bool = False
    ) -> str:
        """Make the folder of a mailbox and give its name; it is on disk after `settle`.

        `recorded`: the catalogue names it already.
        """
        name = folder_name(path, hashed=hashed)
        if name not in self._made:
            directory = self.folder(name)
            made = [make_directory(directory / part, sync=False) for part in _SUBDIRECTORIES]
            marker = directory / "maildirfolder"
            if name and not marker.exists():
                os.close(os.open(marker, os.O_WRONLY | os.O_CREAT, 0o600))
                made.append(True)
            # Once for all folders of a group: a thousand new mailboxes would wait for the disk
            # several thousand times.
            if any(made) or not recorded:
                self._unsynced |= {directory, self.root}
            if is_shortened(name) and not (directory / _NAME_FILE).exists():
                replace_file(directory / _NAME_FILE, json.dumps(list(path)).encode())
            self._made.add(name)
        return name

    def folders(self) -> Iterator[tuple[str, MailboxPath]]:
        """Yield every folder there is, with its mailbox's path."""
        if not self.root.is_dir():
            return
        for entry in sorted(os.scandir(self.root), key=lambda entry: entry.name):
            if (
                entry.name.startswith(".")
                and entry.is_dir(follow_symlinks=False)
                and (self.root / entry.name / "cur").is_dir()
            ):
                yield entry.name, self._path_of(entry.name)
        if (self.root / "cur").is_dir():
            yield "", path_of("")

    def files(self, folder: str) -> Iterator[tuple[str, Path]]:
        """Yield every file of a folder as (base name, path), other programs' files included."""
        for part in ("cur", "new"):
            with (
                contextlib.suppress(FileNotFoundError),
                os.scandir(self.folder(folder) / part) as entries,
            ):
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        yield maildir.split(entry.name)[0], Path(entry.path)

    def leftovers(self, folder: str) -> Iterator[Path]:
        """Yield our temporary files that a run left behind."""
        with contextlib.suppress(FileNotFoundError):
            yield from (self.folder(folder) / "tmp").glob("*.mailsync")

    def add(self, folder: str, base: str, content: bytes, flags: frozenset[str]) -> None:
        """Start writing a file; it is in place after `settle`."""
        temporary = self._temporary(folder)
        # Dovecot and others show a file's mtime as INTERNALDATE.
        name = maildir.parse(base)
        self._writers.add(temporary, content, name.internaldate if name else None)
        self._waiting.written.append((temporary, self._named(folder, base, flags)))
        self._waiting.octets += len(content)
        self._fresh.add((folder, base))

    def link(self, source: Source, folder: str, base: str, flags: frozenset[str]) -> None:
        """Return a content a second name; it is in place after `settle`. The caller hashed it."""
        self._waiting.links.append((source, folder, Path(self._named(folder, base, flags))))
        self._fresh.add((folder, base))

    def reflag(
        self, folder: str, base: str, flags: frozenset[str], was: frozenset[str] = NO_FLAGS
    ) -> None:
        """Return a file the name that says these flags; done by `settle`.

        `was` is a guess that saves a look at the whole folder.
        """
        # New keywords get their letters now, so that `settle` can say what they mean before a name
        # uses them.
        self._letters(folder, flags)
        first = self._waiting.renames.get((folder, base))
        self._waiting.renames[folder, base] = (first[0] if first else was, flags)

    @property
    def waiting(self) -> tuple[int, int]:
        """How many files and octets wait to be settled."""
        waiting = self._waiting
        return len(waiting.written) + len(waiting.links) + len(waiting.renames), waiting.octets

    def settle(self) -> None:
        """Put everything in place and force it to disk: contents, then names, then directories.

        What an error leaves undone is for `forget`; what is in place by then is taken in by whoever
        opens the archive next.
        """
        waiting = self._waiting
        touched = {str(directory) for directory in self._unsynced}
        self._writers.settle()
        # Before any name uses a new letter, the folder says what it stands for.
        self._write_keywords()
        for temporary, final in waiting.written:
            self._make_way(final, temporary)
            os.rename(temporary, final)  # noqa: PTH104  os is what the crash seam watches
        touched.update({final.rpartition("/")[0] for _, final in waiting.written})
        for source, folder, place in waiting.links:
            self._link(source, folder, place)
            touched.add(str(place.parent))
        for (folder, base), (was, flags) in waiting.renames.items():
            touched |= self._rename(folder, base, was, flags)
        self._writers.sync(touched)
        self._unsynced.clear()
        self._waiting = _Waiting()
        self._fresh.clear()

    def forget(self) -> None:
        """Drop what was not settled, and its temporary files."""
        waiting, self._waiting = self._waiting, _Waiting()
        self._writers.forget()
        for temporary, _ in waiting.written:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108  os is what the crash seam watches
        self._fresh.clear()

    def locate(self, folder: str, base: str, flags: frozenset[str] = NO_FLAGS) -> Path | None:
        """Find a file by its base name; `flags` is a guess that saves a look at the whole
        folder.
        """
        guess = Path(self._named(folder, base, flags, assign=False))
        if guess.exists():
            return guess
        listing = self._listings.get(folder)
        name = listing.names.get(base) if listing else None
        if name is not None and (found := self.folder(folder) / name).exists():
            return found
        stamp = self._stamp(folder)
        if (
            listing is None
            or listing.stamp != stamp
            or listing.taken - max(stamp, default=0) < SETTLED
        ):
            listing = self._list(folder, stamp)
        name = listing.names.get(base)
        return None if name is None else self.folder(folder) / name

    def is_waiting(self, folder: str, base: str) -> bool:
        """Return whether a file was added and not settled."""
        return (folder, base) in self._fresh

    def set_aside(self, path: Path, quarantine: Path, why: str) -> None:
        """Move a damaged file to quarantine with a line that says why; nothing there is ever
        overwritten.
        """
        make_directory(quarantine)
        target = next(
            place
            for n in count()
            if not (place := quarantine / (f"{path.name}.{n}" if n else path.name)).exists()
        )
        path.rename(target)
        notes = os.open(quarantine / "README.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(notes, "a", encoding="utf-8", errors="backslashreplace") as lines:
            lines.write(f"{target.name}: {why}\n")
        sync_directory(quarantine)
        sync_directory(path.parent)

    def _path_of(self, name: str) -> MailboxPath:
        if is_shortened(name):
            with contextlib.suppress(FileNotFoundError, ValueError):
                return tuple(
                    str(part) for part in json.loads((self.folder(name) / _NAME_FILE).read_bytes())
                )
        return path_of(name)

    def _temporary(self, folder: str) -> str:
        return f"{self._part(folder, 'tmp')}/{os.getpid()}.{next(self._numbers)}.mailsync"

    def _part(self, folder: str, part: str) -> str:
        """Return the path of `cur` or `tmp` of a folder."""
        found = self._parts.get((folder, part))
        if found is None:
            found = self._parts[folder, part] = str(self.folder(folder) / part)
        return found

    def _stamp(self, folder: str) -> tuple[int, ...]:
        stamp = []
        for part in ("cur", "new"):
            with contextlib.suppress(OSError):
                stamp.append((self.folder(folder) / part).stat().st_mtime_ns)
        return tuple(stamp)

    def _list(self, folder: str, stamp: tuple[int, ...]) -> _Listing:
        while len(self._listings) >= LISTINGS:
            del self._listings[next(iter(self._listings))]
        names = {base: f"{path.parent.name}/{path.name}" for base, path in self.files(folder)}
        listing = self._listings[folder] = _Listing(stamp, time.time_ns(), names)
        return listing

    def _link(self, source: Source, folder: str, final: Path) -> None:
        path = self.locate(source.folder, source.base, source.flags)
        if path is None:
            raise FileNotFoundError(
                2,
                "vanished while it was being used",
                str(self.folder(source.folder) / "cur" / source.base),
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
        if os.path.exists(final) and sha256_of(Path(final)) != sha256_of(Path(content)):  # noqa: PTH110  see the top
            self.set_aside(
                Path(final),
                self.root.parent / "quarantine",
                "lay under the name of a message, but is not that message",
            )

    def _rename(
        self, folder: str, base: str, was: frozenset[str], flags: frozenset[str]
    ) -> set[str]:
        path = self.locate(folder, base, was)
        if path is None:
            return set()
        target = Path(self._named(folder, base, flags))
        if path == target:
            return set()
        self._make_way(str(target), str(path))
        os.rename(path, target)  # noqa: PTH104  os is what the crash seam watches
        # Were both names of one file, this did nothing; removing one could remove it all where the
        # disk ignores case (`s`, `S`).
        listing = self._listings.get(folder)
        if listing is not None:
            listing.names[base] = f"{target.parent.name}/{target.name}"
        return {str(path.parent), str(target.parent)}

    def _named(self, folder: str, base: str, flags: frozenset[str], *, assign: bool = True) -> str:
        """Return the path that says these flags; new keywords get their letters when `assign`."""
        suffix = self._suffixes.get((folder, flags))
        if suffix is None:
            suffix = maildir.with_flags(
                "", flags, self._letters(folder, flags if assign else NO_FLAGS), self.separator
            )
            if assign:
                # Letters are given for good.
                self._suffixes[folder, flags] = suffix
        return f"{self._part(folder, 'cur')}/{base}{suffix}"

    @property
    def separator(self) -> str:
        """What stands before flags here: `!` where the disk takes no colon.

        Reading finds files whatever stands there.
        """
        if self._separator is None:
            self._separator = ":" if not self._writing or _takes_colons(self.root / "tmp") else "!"
        return self._separator

    def flags(self, folder: str, path: Path) -> frozenset[str]:
        """Return the flags that a file's name says."""
        keywords = {letter: keyword for keyword, letter in self._letters(folder, NO_FLAGS).items()}
        return maildir.flags_of(maildir.split(path.name)[1], keywords)

    def place(self, folder: str, base: str) -> Path:
        """Name the place of a message for people, also of one that is not there."""
        return self.folder(folder) / "cur" / base

    def sync(self, folder: str) -> None:
        """Force what lies in a folder to disk."""
        for part in ("cur", "new"):
            sync_directory(self.folder(folder) / part)

    def _letters(self, folder: str, flags: frozenset[str]) -> dict[str, str]:
        """Return keyword to letter for a folder; new keywords get the next letters while there are
        any.
        """
        known = self._keywords.get(folder)
        if known is None:
            content = b""
            with contextlib.suppress(FileNotFoundError):
                content = (self.folder(folder) / "dovecot-keywords").read_bytes()
            known = self._keywords[folder] = {
                keyword: letter for letter, keyword in maildir.parse_keywords(content).items()
            }
        for keyword in sorted(flags - SYSTEM_FLAGS - known.keys()):
            free = next(
                (letter for letter in maildir.KEYWORD_LETTERS if letter not in known.values()), None
            )
            if free is None:
                break
            known[keyword] = free
            self._new_keywords.add(folder)
        return known

    def _write_keywords(self) -> None:
        for folder in self._new_keywords:
            letters = {letter: keyword for keyword, letter in self._keywords[folder].items()}
            replace_file(self.folder(folder) / "dovecot-keywords", maildir.format_keywords(letters))
        self._new_keywords.clear()


def sha256_of(path: Path) -> bytes:
    """Hash a file without holding it in memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _takes_colons(directory: Path) -> bool:
    # Under a name that is cleared away when a process dies before it does so itself.
    probe = directory / "probe:.mailsync"
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT, 0o600))
        # A disk may take the name and store another one.
        with os.scandir(directory) as entries:
            taken = any(entry.name == probe.name for entry in entries)
        probe.unlink()
    except OSError as error:
        if error.errno in {
            errno.ENOSPC,
            errno.EDQUOT,
            errno.EROFS,
            errno.EACCES,
            errno.EIO,
            errno.EMFILE,
            errno.ENFILE,
        }:
            raise
        return False
    return taken
