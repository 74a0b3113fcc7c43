"""Finding a file of a Maildir by its base name, whatever another program did to the rest of it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mailsync.formats import maildir

LISTINGS: Final = 4
"""Folders whose listing is kept in memory at a time."""

SURE_AFTER: Final = 2_000_000_000
"""Nanoseconds after which a directory's mtime is sure to tell of any later change, on the coarsest
disk worth the name.
"""


@dataclass(frozen=True, slots=True)
class _Listing:
    """The files of a folder by base name, as `cur/…` or `new/…`; `stamp` are the mtimes of both
    when it was taken.
    """

    stamp: tuple[int, ...]
    taken: int
    names: dict[str, str]


class Listings:
    """The listings of the folders looked at last; a folder is given by its directory."""

    def __init__(self) -> None:
        self._listings: dict[str, _Listing] = {}

    def find(self, directory: str, base: str) -> Path | None:
        """Return the file with this base name; None where there is none. Raises OSError."""
        listing = self._listings.get(directory)
        name = listing.names.get(base) if listing else None
        if name is not None and (found := Path(directory, name)).exists():
            return found
        stamp = _stamp(directory)
        if (
            listing is None
            or listing.stamp != stamp
            or listing.taken - max(stamp, default=0) < SURE_AFTER
        ):
            listing = self._take(directory, stamp)
        name = listing.names.get(base)
        return None if name is None else Path(directory, name)

    def renamed(self, directory: str, base: str, file: Path) -> None:
        """Take in that a file bears another name now."""
        listing = self._listings.get(directory)
        if listing is not None:
            listing.names[base] = f"{file.parent.name}/{file.name}"

    def _take(self, directory: str, stamp: tuple[int, ...]) -> _Listing:
        while len(self._listings) >= LISTINGS:
            del self._listings[next(iter(self._listings))]
        names = {base: f"{path.parent.name}/{path.name}" for base, path in files(directory)}
        listing = self._listings[directory] = _Listing(stamp, time.time_ns(), names)
        return listing


def files(directory: str) -> Iterator[tuple[str, Path]]:
    """Yield every file of a folder as (base name, path), other programs' files included.

    Raises OSError.
    """
    for part in ("cur", "new"):
        with contextlib.suppress(FileNotFoundError), os.scandir(f"{directory}/{part}") as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    yield maildir.split(entry.name)[0], Path(entry.path)


def _stamp(directory: str) -> tuple[int, ...]:
    stamp = []
    for part in ("cur", "new"):
        with contextlib.suppress(OSError):
            stamp.append(Path(directory, part).stat().st_mtime_ns)
    return tuple(stamp)
