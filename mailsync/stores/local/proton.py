"""What Proton Mail's export tool wrote: one file a message in one directory, and beside each what
folder and labels it has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mailsync.formats import proton
from mailsync.formats.proton import Placed
from mailsync.model import INBOX, MailboxPath
from mailsync.stores.local import eml
from mailsync.stores.local.files import Parts, Tree, TreeFile
from mailsync.stores.local.folder import Folder
from mailsync.stores.local.messages import MessageFiles, Named

BESIDE: Final = ".metadata.json"
_LABELS: Final = "labels.json"
_LIMIT: Final = 16 * 1024 * 1024
_UNTOLD: Final = Placed()


def folders(tree: Tree) -> Sequence[Folder]:
    """Return the mailboxes of an export. Raises OSError."""
    directories = tree.directories()
    listed = [file for parts in directories for file in tree.listed(parts)]
    known: dict[str, MailboxPath] = {}
    for file in listed:
        if file.parts[-1].lower() == _LABELS:
            known |= proton.labels(tree.read(file, _LIMIT))
    told = {
        (*file.parts[:-1], file.parts[-1][: -len(BESIDE)]): placed
        for file in listed
        if is_beside(file) and (placed := proton.placed(tree.read(file, _LIMIT), known))
    }
    messages = [file for file in listed if eml.is_message(file)]
    paths = dict.fromkeys(path for file in messages for path in _place(file, told).mailboxes)
    places = sorted({file.parts[:-1] for file in messages})
    found = [
        MessageFiles(tree, path, places, _Naming(path, told).naming, eml.opened) for path in paths
    ]
    if found:
        found[0].troubles = tree.troubles()
    return sorted(found, key=lambda folder: folder.path != INBOX)


def is_beside(file: TreeFile) -> bool:
    """Return whether a file is what is said of a message, by its name."""
    return file.parts[-1].lower().endswith(BESIDE)


def _place(file: TreeFile, told: Mapping[Parts, Placed]) -> Placed:
    name = file.parts[-1]
    return told.get((*file.parts[:-1], name[: name.rindex(".")]), _UNTOLD)


class _Naming:
    """Which messages one mailbox holds."""

    def __init__(self, path: MailboxPath, told: Mapping[Parts, Placed]) -> None:
        self._path = path
        self._told = told

    def naming(self, _: Sequence[TreeFile]) -> Callable[[TreeFile], Named | None]:
        """Return what tells the messages of this mailbox from others."""

        def named(file: TreeFile) -> Named | None:
            placed = _place(file, self._told) if eml.is_message(file) else None
            if placed is None or self._path not in placed.mailboxes:
                return None
            flags = None if placed is _UNTOLD else placed.flags
            return Named(flags, placed.received)

        return named
