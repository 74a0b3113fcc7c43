"""Where damaged things lie: moved or copied there with a line that says why, never overwritten and
never deleted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from mailsync.archive.durability import sync_directory
from mailsync.archive.storage.disk import make_directory, replace_file


class Quarantine:
    """The quarantine of one archive; its directory is made when it is first needed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def move_in(self, path: Path, why: str) -> Path:
        """Move a file here, durably, and return its new place. Raises OSError."""
        make_directory(self._directory)
        target = next(place for place in self._places(path.name) if not os.path.lexists(place))
        path.rename(target)
        self._note(target.name, why)
        sync_directory(self._directory)
        sync_directory(path.parent)
        return target

    def keep(self, name: str, content: bytes, why: str) -> None:
        """Keep octets here, durably, unless the same ones are here under this name already.

        Raises OSError.
        """
        make_directory(self._directory)
        for target in self._places(name):
            if not target.exists():
                replace_file(target, content)
                self._note(target.name, why)
                return
            if target.read_bytes() == content:
                return

    def _places(self, name: str) -> Iterator[Path]:
        for number in count():
            yield self._directory / (f"{name}.{number}" if number else name)

    def _note(self, name: str, why: str) -> None:
        notes = os.open(
            self._directory / "README.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600
        )
        with os.fdopen(notes, "a", encoding="utf-8", errors="backslashreplace") as lines:
            lines.write(f"{name}: {why}\n")
