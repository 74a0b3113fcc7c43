"""What stands behind the base names of a Maildir's files: their flags, and the letters of their
keywords, which each folder explains in a file as Dovecot does.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Final

from mailsync.archive.storage.disk import replace_file
from mailsync.formats import maildir
from mailsync.model import SYSTEM_FLAGS

_KEYWORDS: Final = "dovecot-keywords"
_SAYS_NOTHING_OF_COLONS: Final = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EACCES,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
    }
)


class Suffixes:
    """The suffixes of one tree; a folder is given by its directory."""

    def __init__(self, root: Path, *, writing: bool) -> None:
        self._root = root
        self._writing = writing
        self._separator: str | None = None
        self._letters: dict[str, dict[str, str]] = {}
        self._unwritten: set[str] = set()
        self._suffixes: dict[tuple[str, frozenset[str]], str] = {}

    def assign(self, directory: str, flags: frozenset[str]) -> str:
        """Return the suffix that says these flags; new keywords get their letters, which
        `write_keywords` explains. Raises OSError.
        """
        suffix = self._suffixes.get((directory, flags))
        if suffix is None:
            letters = self._letters_for(directory, flags)
            # Letters are given for good.
            suffix = self._suffixes[directory, flags] = self._suffix(flags, letters)
        return suffix

    def guess(self, directory: str, flags: frozenset[str]) -> str:
        """Return the suffix that says as much of these flags as the folder has letters for.

        Raises OSError.
        """
        suffix = self._suffixes.get((directory, flags))
        return self._suffix(flags, self._known(directory)) if suffix is None else suffix

    def flags(self, directory: str, name: str) -> frozenset[str]:
        """Return the flags that a file's name says. Raises OSError."""
        keywords = {letter: keyword for keyword, letter in self._known(directory).items()}
        return maildir.flags_of(maildir.split(name)[1], keywords)

    def write_keywords(self) -> None:
        """Force to disk what new letters stand for. Raises OSError."""
        for directory in self._unwritten:
            letters = {letter: keyword for keyword, letter in self._letters[directory].items()}
            replace_file(Path(directory, _KEYWORDS), maildir.format_keywords(letters))
        self._unwritten.clear()

    def _suffix(self, flags: frozenset[str], letters: dict[str, str]) -> str:
        if self._separator is None:
            # Reading finds files whatever stands there.
            self._separator = ":" if not self._writing or _takes_colons(self._root / "tmp") else "!"
        return maildir.with_flags("", flags, letters, self._separator)

    def _known(self, directory: str) -> dict[str, str]:
        """Return keyword to letter for a folder."""
        known = self._letters.get(directory)
        if known is None:
            content = b""
            with contextlib.suppress(FileNotFoundError):
                content = Path(directory, _KEYWORDS).read_bytes()
            known = self._letters[directory] = {
                keyword: letter for letter, keyword in maildir.parse_keywords(content).items()
            }
        return known

    def _letters_for(self, directory: str, flags: frozenset[str]) -> dict[str, str]:
        """Return keyword to letter; new keywords get the next letters while there are any."""
        known = self._known(directory)
        for keyword in sorted(flags - SYSTEM_FLAGS - known.keys()):
            free = next(
                (letter for letter in maildir.KEYWORD_LETTERS if letter not in known.values()), None
            )
            if free is None:
                break
            known[keyword] = free
            self._unwritten.add(directory)
        return known


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
        if error.errno in _SAYS_NOTHING_OF_COLONS:
            raise
        return False
    return taken
