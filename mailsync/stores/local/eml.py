"""Messages that a program exported or keeps as one file each (`.eml`): in directories, which are
the mailboxes, or in a zip or tar archive; Windows Live Mail keeps its mail so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from mailsync.formats.client_marks import take_off
from mailsync.formats.mbox import with_crlf, without_line
from mailsync.model import INBOX, MailboxPath
from mailsync.stores.local.files import Parts, Tree, TreeFile
from mailsync.stores.local.folder import Folder
from mailsync.stores.local.messages import MessageFiles, Named, Opened, text_of

_ENDING: Final = ".eml"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def folders(tree: Tree, name: str) -> Sequence[Folder]:
    """Return the mailboxes of a tree, what lies at its top under `name`. Raises OSError."""
    found: list[MessageFiles] = []
    for parts in tree.directories():
        if any(map(is_message, tree.listed(parts))):
            troubles = () if found else tree.troubles()
            path = _path(parts or (name,))
            found.append(MessageFiles(tree, path, [parts], naming, opened, troubles=troubles))
    return found


def is_message(file: TreeFile) -> bool:
    """Return whether a file is one of these, by its name."""
    name = file.parts[-1].lower()
    # A Mac leaves a `._name` beside every file it copies to other disks.
    return name.endswith(_ENDING) and not name.startswith("._")


def naming(_: Sequence[TreeFile]) -> Callable[[TreeFile], Named | None]:
    """Return what tells messages from other files: nothing more stands in their names."""
    return lambda file: Named() if is_message(file) else None


def opened(raw: bytes, _: TreeFile) -> Opened:
    """Take off what a mail program wrote into the file."""
    content, marks = take_off(without_line(raw.removeprefix(_BYTE_ORDER_MARK)))
    return Opened(with_crlf(content), marks.flags if marks.told else None)


def _path(parts: Parts) -> MailboxPath:
    path = tuple(map(text_of, parts))
    return INBOX if len(path) == 1 and path[0].upper() == "INBOX" else path
