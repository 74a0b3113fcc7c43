"""MH folders (also those of Sylpheed, Claws Mail and older Evolutions): a directory is a mailbox, a
number the name of each message, and `.mh_sequences` says which are unread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from mailsync.model import INBOX
from mailsync.stores.local.files import Tree, TreeFile
from mailsync.stores.local.folder import Folder
from mailsync.stores.local.messages import MessageFiles, Named, text_of

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,9}")
_SEQUENCES: Final = ".mh_sequences"
_LIMIT: Final = 4 * 1024 * 1024
_MEANINGS: Final = {"replied": "\\Answered", "flagged": "\\Flagged", "forwarded": "$Forwarded"}
_RANGE: Final = re.compile(r"([0-9]{1,10})(?:-([0-9]{1,10}))?")


def folders(tree: Tree, name: str) -> Sequence[Folder]:
    """Return the mailboxes of a tree, what lies at its top under `name`. Raises OSError."""
    found: list[MessageFiles] = []
    for parts in tree.directories():
        if any(map(is_message, tree.listed(parts))):
            path = tuple(map(text_of, parts or (name,)))
            if len(path) == 1 and path[0].upper() == "INBOX":
                path = INBOX
            troubles = () if found else tree.troubles()
            naming = _Sequences(tree).naming
            found.append(MessageFiles(tree, path, [parts], naming, troubles=troubles))
    return sorted(found, key=lambda folder: folder.path != INBOX)


def is_message(file: TreeFile) -> bool:
    """Return whether a file is a message, by its name."""
    return bool(_NUMBER.fullmatch(file.parts[-1]))


class _Sequences:
    """What `.mh_sequences` tells of the messages beside it."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def naming(self, files: Sequence[TreeFile]) -> Callable[[TreeFile], Named | None]:
        """Read the sequences as they are now. Raises OSError."""
        flags: dict[int, set[str]] = {}
        unseen: set[int] | None = None
        for file in files:
            if file.parts[-1] == _SEQUENCES:
                flags, unseen = read_sequences(self._tree.read(file, _LIMIT))

        def named(file: TreeFile) -> Named | None:
            if not is_message(file):
                return None
            if unseen is None:
                return Named()
            number = int(file.parts[-1])
            seen = set() if number in unseen else {"\\Seen"}
            return Named(frozenset(flags.get(number, set()) | seen))

        return named


def read_sequences(written: bytes) -> tuple[dict[int, set[str]], set[int]]:
    """Return flags by number, and the numbers of messages that nobody read."""
    flags: dict[int, set[str]] = {}
    unseen: set[int] = set()
    for line in written.decode("utf-8", "replace").split("\n"):
        name, _, numbers = line.partition(":")
        meaning = _MEANINGS.get(name.strip().lower())
        for number in _numbers(numbers) if meaning or name.strip().lower() == "unseen" else ():
            if meaning:
                flags.setdefault(number, set()).add(meaning)
            else:
                unseen.add(number)
    return flags, unseen


def _numbers(written: str) -> list[int]:
    found: list[int] = []
    for first, last in _RANGE.findall(written):
        begin, end = int(first), int(last or first)
        if end - begin <= _LIMIT:
            found.extend(range(begin, end + 1))
    return found
