"""The folders of a Maildir++ tree: directories side by side, whose names say their mailboxes' paths
or, where they are too long for that, hold a file that does.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mailsync.archive.storage.disk import make_directory, replace_file
from mailsync.formats.folders import folder_name, is_shortened, path_of
from mailsync.model import MailboxPath

_SUBDIRECTORIES: Final = ("cur", "new", "tmp")
_NAME_FILE: Final = "mailsync-mailbox.json"


class Folders:
    """The folders below `root`; the inbox is `root` itself, and its name is empty."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: set[str] = set()
        self._text: dict[str, str] = {}
        self.unsynced: set[str] = set()
        """Directories whose entries are not on disk yet."""

    def directory(self, name: str) -> Path:
        """Return the directory of a folder."""
        return self._root / name if name else self._root

    def text(self, name: str) -> str:
        """Return the directory of a folder as text."""
        found = self._text.get(name)
        if found is None:
            found = self._text[name] = str(self.directory(name))
        return found

    def all(self) -> Iterator[tuple[str, MailboxPath]]:
        """Yield every folder there is, with its mailbox's path. Raises OSError."""
        if not self._root.is_dir():
            return
        for entry in sorted(os.scandir(self._root), key=lambda entry: entry.name):
            if (
                entry.name.startswith(".")
                and entry.is_dir(follow_symlinks=False)
                and (self._root / entry.name / "cur").is_dir()
            ):
                yield entry.name, self._path_of(entry.name)
        if (self._root / "cur").is_dir():
            yield "", path_of("")

    def make(self, path: MailboxPath, *, hashed: bool, recorded: str | None) -> str:
        """Make the directories of a mailbox unless they are there, and return the folder's name;
        their entries are durable once `unsynced` was forced to disk. Raises OSError.
        """
        name = folder_name(path, hashed=hashed) if recorded is None else recorded
        if name not in self._made:
            directory = self.directory(name)
            made = [make_directory(directory / part, sync=False) for part in _SUBDIRECTORIES]
            marker = directory / "maildirfolder"
            if name and not marker.exists():
                os.close(os.open(marker, os.O_WRONLY | os.O_CREAT, 0o600))
                made.append(True)
            # Once for all folders of a group: a thousand new mailboxes would wait for the disk
            # several thousand times.
            if any(made) or recorded is None:
                self.unsynced |= {str(directory), str(self._root)}
            if is_shortened(name) and not (directory / _NAME_FILE).exists():
                replace_file(directory / _NAME_FILE, json.dumps(list(path)).encode())
            self._made.add(name)
        return name

    def _path_of(self, name: str) -> MailboxPath:
        if is_shortened(name):
            with contextlib.suppress(FileNotFoundError, ValueError):
                file = self.directory(name) / _NAME_FILE
                return tuple(str(part) for part in json.loads(file.read_bytes()))
        return path_of(name)
