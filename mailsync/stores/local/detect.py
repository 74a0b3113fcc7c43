"""What kind of files lie at a path, and the mailboxes in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mailsync.stores.local import mbox
from mailsync.stores.local.files import walk
from mailsync.stores.local.folder import Folder

_LOOKED_AT: Final = 2_000
"""Files of a tree that are looked at to find out what it is."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person wants of files: `with_deleted`, as in `config.local.LocalFiles`."""

    with_deleted: bool = False


def detect(path: Path) -> str:
    """Return the kind of files at a path, empty where nothing is known there. Raises OSError."""
    if path.is_file():
        return "mbox" if mbox.looks_like_mbox(path) else ""
    for number, file in enumerate(walk(path)):
        if number == _LOOKED_AT:
            break
        if mbox.looks_like_mbox(file.path):
            return "mbox"
    return ""


def folders(kind: str, path: Path, wishes: Wishes) -> Sequence[Folder]:
    """Return the mailboxes of files of a known kind. Raises OSError."""
    return _KINDS[kind](path, wishes)


def _mbox(path: Path, wishes: Wishes) -> Sequence[Folder]:
    return mbox.folders(path, with_deleted=wishes.with_deleted)


_KINDS: Final[dict[str, Callable[[Path, Wishes], Sequence[Folder]]]] = {"mbox": _mbox}
