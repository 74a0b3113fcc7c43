"""A Maildir with its folders, as Maildir++ (`.Sent.2024`) or as directories in directories; on disk
or in a tar archive, as hosts hand it out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from mailsync.formats import maildir, mutf7
from mailsync.model import INBOX, MailboxPath
from mailsync.stores.local.files import Parts, Tree, TreeFile
from mailsync.stores.local.folder import Folder
from mailsync.stores.local.messages import MessageFiles, Named, text_of

_PARTS: Final = frozenset({"cur", "new", "tmp"})
_KEYWORDS: Final = "dovecot-keywords"
_ARRIVED: Final = re.compile(r"([0-9]{9,11})\.")
"""A name begins with the time at which a message came, in epoch seconds."""
_LIMIT: Final = 64 * 1024


def parts_of(directories: Sequence[Parts]) -> frozenset[Parts]:
    """Return those of these directories that hold the messages of Maildirs."""
    there = set(directories)
    tops = {
        parts[:-1]
        for parts in directories
        if parts[-1:] == ("cur",) and {(*parts[:-1], "new"), (*parts[:-1], "tmp")} & there
    }
    return frozenset((*top, part) for top in tops for part in _PARTS)


def folders(tree: Tree) -> Sequence[Folder]:
    """Return the mailboxes of a tree. Raises OSError."""
    there = tree.directories()
    tops = dict.fromkeys(parts[:-1] for parts in there if parts and parts[-1] in {"cur", "new"})
    shared = _common(list(tops))
    found: list[MessageFiles] = []
    listed = set(there)
    for top in tops:
        directories = [(*top, part) for part in ("cur", "new") if (*top, part) in listed]
        keywords = _Keywords(tree, top)
        path = path_of(top[len(shared) :])
        troubles = () if found else tree.troubles()
        found.append(MessageFiles(tree, path, directories, keywords.naming, troubles=troubles))
    return sorted(found, key=lambda folder: folder.path != INBOX)


def _common(tops: Sequence[Parts]) -> Parts:
    """Return the directory that is the Maildir itself, where all lie in one."""
    shortest = min(tops, key=len, default=())
    return shortest if all(top[: len(shortest)] == shortest for top in tops) else ()


def path_of(parts: Parts) -> MailboxPath:
    """Return the mailbox of a directory: `.Sent.2024` and `Sent/2024` are the same."""
    names = [
        name for part in parts for name in (part[1:].split(".") if part.startswith(".") else [part])
    ]
    path = tuple(mutf7.decode(text_of(name)) for name in names if name)
    return INBOX if not path or (len(path) == 1 and path[0].upper() == "INBOX") else path


class _Keywords:
    """What the names of one folder's files tell."""

    def __init__(self, tree: Tree, top: Parts) -> None:
        self._tree = tree
        self._top = top

    def naming(self, _: Sequence[TreeFile]) -> Callable[[TreeFile], Named | None]:
        """Return what reads names, with the keywords as they are now. Raises OSError."""
        keywords: dict[str, str] = {}
        for file in self._tree.listed(self._top):
            if file.parts[-1] == _KEYWORDS:
                keywords = maildir.parse_keywords(self._tree.read(file, _LIMIT))
        return lambda file: named(file, keywords)


def named(file: TreeFile, keywords: dict[str, str]) -> Named | None:
    """Return what a file's name tells: its time of arrival, and its flags."""
    name = text_of(file.parts[-1])
    if name.startswith("."):
        return None
    base, letters = maildir.split(name)
    arrived = _ARRIVED.match(base)
    return Named(
        maildir.flags_of(letters, keywords),
        int(arrived[1]) if arrived else None,
        # Programs put the size behind the name later.
        base.partition(",")[0],
    )
