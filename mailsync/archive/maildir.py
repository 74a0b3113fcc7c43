"""The mail tree as Maildir++: folders, files, flags in names, keywords as Dovecot keeps them. Knows no catalogue.

Content is written to `tmp/` and forced to disk by a few threads while the caller goes on; `settle` then puts everything in place, in
order, and forces the directories. A file is known by its base name: what follows `:2,` belongs to whoever changed it last.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from mailsync.archive.disk import make_directory, replace_file, sync_directory, write_file
from mailsync.formats import maildir
from mailsync.formats.folders import folder_name, is_shortened, path_of
from mailsync.model import SYSTEM_FLAGS, MailboxPath

WRITERS: Final = 4
_SUBDIRECTORIES: Final = ("cur", "new", "tmp")
_NAME_FILE: Final = "mailsync-mailbox.json"


@dataclass(slots=True)
class _Waiting:
    """What `settle` has to put in place: written files, then links, then names with other flags."""

    written: list[tuple[Future[None], Path, Path]] = field(default_factory=list)
    links: list[tuple[str, str, Path]] = field(default_factory=list)
    renames: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    octets: int = 0


class MaildirTree:
    """The tree below `root`, for one process at a time."""

    def __init__(self, root: Path, *, writing: bool) -> None:
        self.root = root
        self._writing = writing
        self._pool = ThreadPoolExecutor(WRITERS, thread_name_prefix="mailsync-writer")
        self._numbers = count()
        self._waiting = _Waiting()
        self._fresh: dict[tuple[str, str], Path] = {}
        self._keywords: dict[str, dict[str, str]] = {}
        self._new_keywords: set[str] = set()
        self._listings: dict[str, dict[str, Path]] = {}
        self._made: set[str] = set()
        self._separator: str | None = None

    def close(self) -> None:
        """Stop the writers; what was not settled is forgotten, its temporary files removed."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.forget()

    def folder(self, name: str) -> Path:
        """Give the directory of a folder."""
        return self.root / name if name else self.root

    def make_folder(self, path: MailboxPath, *, hashed: bool = False) -> str:
        """Make the folder of a mailbox and give its name."""
        name = folder_name(path, hashed=hashed)
        if name not in self._made:
            directory = self.folder(name)
            for part in _SUBDIRECTORIES:
                make_directory(directory / part)
            if name and not (directory / "maildirfolder").exists():
                replace_file(directory / "maildirfolder", b"")
            if is_shortened(name) and not (directory / _NAME_FILE).exists():
                replace_file(directory / _NAME_FILE, json.dumps(list(path)).encode())
            self._made.add(name)
        return name

    def folders(self) -> Iterator[tuple[str, MailboxPath]]:
        """Give every folder there is, with its mailbox's path."""
        if not self.root.is_dir():
            return
        for entry in sorted(os.scandir(self.root), key=lambda entry: entry.name):
            if entry.name.startswith(".") and entry.is_dir(follow_symlinks=False) and (self.root / entry.name / "cur").is_dir():
                yield entry.name, self._path_of(entry.name)
        if (self.root / "cur").is_dir():
            yield "", path_of("")

    def files(self, folder: str) -> Iterator[tuple[str, Path]]:
        """Give every file of a folder as (base name, path), other programs' files included."""
        for part in ("cur", "new"):
            with contextlib.suppress(FileNotFoundError), os.scandir(self.folder(folder) / part) as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        yield maildir.split(entry.name)[0], Path(entry.path)

    def leftovers(self, folder: str) -> Iterator[Path]:
        """Give our temporary files that a run left behind."""
        with contextlib.suppress(FileNotFoundError):
            yield from (self.folder(folder) / "tmp").glob("*.mailsync")

    def add(self, folder: str, base: str, content: bytes, flags: frozenset[str]) -> None:
        """Start writing a file; it is in place after `settle`."""
        number = next(self._numbers)
        temporary = self.folder(folder) / "tmp" / f"{os.getpid()}.{number}.mailsync"
        final = self._named(folder, base, flags)
        self._waiting.written.append((self._pool.submit(write_file, temporary, content), temporary, final))
        self._waiting.octets += len(content)
        self._fresh[folder, base] = temporary

    def link(self, source: tuple[str, str], folder: str, base: str, flags: frozenset[str]) -> None:
        """Give a content that lies under (folder, base) a second name; it is in place after `settle`. The caller hashed it."""
        final = self._named(folder, base, flags)
        self._waiting.links.append((*source, final))
        self._fresh[folder, base] = final

    def reflag(self, folder: str, base: str, flags: frozenset[str]) -> None:
        """Give a file the name that says these flags; done by `settle`."""
        self._waiting.renames[folder, base] = flags

    @property
    def waiting(self) -> tuple[int, int]:
        """How many files and octets wait to be settled."""
        waiting = self._waiting
        return len(waiting.written) + len(waiting.links) + len(waiting.renames), waiting.octets

    def settle(self) -> None:
        """Put everything in place and force it to disk: contents, then names, then directories."""
        waiting, self._waiting = self._waiting, _Waiting()
        touched: set[Path] = set()
        for future, _, _ in waiting.written:
            future.result()
        for _, temporary, final in waiting.written:
            os.rename(temporary, final)  # noqa: PTH104  os is what the crash seam watches
            touched.add(final.parent)
        for source_folder, source_base, final in waiting.links:
            self._link(source_folder, source_base, final)
            touched.add(final.parent)
        self._write_keywords()
        for (folder, base), flags in waiting.renames.items():
            touched |= self._rename(folder, base, flags)
        for directory in touched:
            sync_directory(directory)
        self._fresh.clear()

    def forget(self) -> None:
        """Drop what was not settled, and its temporary files."""
        waiting, self._waiting = self._waiting, _Waiting()
        for future, temporary, _ in waiting.written:
            if not future.cancel():
                with contextlib.suppress(OSError):
                    future.result()
            with contextlib.suppress(OSError):
                temporary.unlink()
        self._fresh.clear()

    def locate(self, folder: str, base: str, flags: frozenset[str] = frozenset()) -> Path | None:
        """Find a file by its base name; `flags` is a guess that saves a look at the whole folder."""
        guess = self._named(folder, base, flags, assign=False)
        if guess.exists():
            return guess
        listing = self._listings.get(folder)
        found = listing.get(base) if listing else None
        if found is not None and found.exists():
            return found
        self._listings = {folder: dict(self.files(folder))}
        return self._listings[folder].get(base)

    def is_waiting(self, folder: str, base: str) -> bool:
        """Tell whether a file was added and not settled."""
        return (folder, base) in self._fresh

    def set_aside(self, path: Path, quarantine: Path, why: str) -> None:
        """Move a damaged file to quarantine with a line that says why; nothing there is ever overwritten."""
        make_directory(quarantine)
        target = next(place for n in count() if not (place := quarantine / (f"{path.name}.{n}" if n else path.name)).exists())
        path.rename(target)
        with (quarantine / "README.txt").open("a", encoding="utf-8") as notes:
            notes.write(f"{target.name}: {why}\n")
        sync_directory(quarantine)
        sync_directory(path.parent)

    def _path_of(self, name: str) -> MailboxPath:
        if is_shortened(name):
            with contextlib.suppress(OSError, ValueError):
                return tuple(str(part) for part in json.loads((self.folder(name) / _NAME_FILE).read_bytes()))
        return path_of(name)

    def _link(self, folder: str, base: str, final: Path) -> None:
        source = self.locate(folder, base)
        if source is None:
            raise FileNotFoundError(2, "vanished while it was being used", str(self.folder(folder) / "cur" / base))
        try:
            os.link(source, final)
        except FileExistsError:
            return
        except OSError:
            # No links here (FAT, some network shares), or too many of one file: a copy serves as well.
            replace_file(final, source.read_bytes())

    def _rename(self, folder: str, base: str, flags: frozenset[str]) -> set[Path]:
        path = self.locate(folder, base)
        if path is None:
            return set()
        target = self._named(folder, base, flags)
        if path == target:
            return set()
        os.rename(path, target)  # noqa: PTH104  os is what the crash seam watches
        return {path.parent, target.parent}

    def _named(self, folder: str, base: str, flags: frozenset[str], *, assign: bool = True) -> Path:
        keywords = self._letters(folder, flags if assign else frozenset())
        return self.folder(folder) / "cur" / maildir.with_flags(base, flags, keywords, self.separator)

    @property
    def separator(self) -> str:
        """What stands before flags here: `!` where the disk takes no colon. Reading finds files whatever stands there."""
        if self._separator is None:
            self._separator = ":" if not self._writing or _takes_colons(self.root) else "!"
        return self._separator

    def _letters(self, folder: str, flags: frozenset[str]) -> dict[str, str]:
        """Give keyword to letter for a folder; new keywords get the next letters while there are any."""
        known = self._keywords.get(folder)
        if known is None:
            content = b""
            with contextlib.suppress(FileNotFoundError):
                content = (self.folder(folder) / "dovecot-keywords").read_bytes()
            known = self._keywords[folder] = {keyword: letter for letter, keyword in maildir.parse_keywords(content).items()}
        for keyword in sorted(flags - SYSTEM_FLAGS - known.keys() - {"$Forwarded"}):
            free = next((letter for letter in maildir.KEYWORD_LETTERS if letter not in known.values()), None)
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
    probe = directory / "mailsync:probe"
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT, 0o600))
        # A disk may take the name and store another one.
        taken = any(entry.name == probe.name for entry in os.scandir(directory))
        probe.unlink()
    except OSError:
        return False
    return taken
