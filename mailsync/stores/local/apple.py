"""What Apple Mail keeps on a Mac: a directory for each mailbox, and in it a file for each message,
its attachments beside where they are large.
"""

from __future__ import annotations

import plistlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit
from xml.parsers.expat import ExpatError

from mailsync.formats import emlx
from mailsync.formats.mbox import with_crlf
from mailsync.model import INBOX, MailboxPath
from mailsync.stores.local.files import Directory, Parts, Tree, TreeFile
from mailsync.stores.local.folder import LARGEST_MESSAGE, CannotRead, Folder
from mailsync.stores.local.messages import MessageFiles, Named, Opened, text_of

HOME: Final = "Library/Mail"
"""Where it lies below a home directory."""

_MESSAGES: Final = "Messages"
_ATTACHMENTS: Final = "Attachments"
_MAILBOX: Final = ".mbox"
_FILE: Final = re.compile(r"([^/]{1,200}?)(\.partial)?\.emlx")
_VERSION: Final = re.compile(r"V([0-9]{1,3})")
_LOCAL: Final = "Mailboxes"
_COPIED: Final = "Imported"
_ON_THIS_MAC: Final = "On My Mac"
_NAMES: Final = ("MailData", "Signatures", "AccountsMap.plist")
REBUILT: Final = b"X-Mailsync-Rebuilt: apple-mail\n"


def folders(root: Path, *, with_deleted: bool) -> Sequence[Folder]:
    """Return the mailboxes of an account's directory, of all accounts, or of one mailbox. Raises
    OSError.
    """
    root = newest(root)
    tree = Directory(root)
    # Where only one mailbox is named, its own directory tells what it is called.
    above = (root.name,) if root.name.endswith(_MAILBOX) else ()
    mailboxes: dict[Parts, list[Parts]] = {}
    for parts in tree.directories():
        if any(map(is_message, tree.listed(parts))):
            mailboxes.setdefault(_mailbox(above + parts), []).append(parts)
    paths = _paths(list(mailboxes), _account_names(tree))
    found = [
        _Mailbox(tree, with_deleted=with_deleted).folder(paths[key], directories)
        for key, directories in mailboxes.items()
    ]
    if found:
        found[0].troubles = tree.troubles()
    return sorted(found, key=lambda folder: folder.path != INBOX)


def newest(root: Path) -> Path:
    """Return the directory of the newest version of the program, where several lie in one."""
    versions = [
        (int(found[1]), each)
        for each in root.iterdir()
        if (found := _VERSION.fullmatch(each.name)) and each.is_dir()
    ]
    return max(versions, default=(0, root))[1]


def is_message(file: TreeFile) -> bool:
    """Return whether a file is a message, by its name."""
    return bool(_FILE.fullmatch(file.parts[-1]))


def _mailbox(parts: Parts) -> Parts:
    """Return the names that lead to a mailbox: its account, if it lies in one, and its levels."""
    levels = [at for at, part in enumerate(parts) if part.endswith(_MAILBOX)]
    if not levels:
        # Files that somebody copied out of there.
        named = parts[:-1] if parts[-1:] == (_MESSAGES,) else parts
        return ("", *(named[-1:] or (_COPIED,)))
    account = parts[levels[0] - 1] if levels[0] else ""
    return (account, *(parts[at].removesuffix(_MAILBOX) for at in levels))


def _paths(mailboxes: Sequence[Parts], names: Mapping[str, str]) -> dict[Parts, MailboxPath]:
    """Return what mailboxes are called: without their account where there is only one beside the
    local ones.
    """
    accounts = dict.fromkeys(account for account, *_ in mailboxes if account != _LOCAL)
    paths = {}
    for account, *levels in mailboxes:
        shown = _ON_THIS_MAC if account == _LOCAL else names.get(account, account)
        alone = len(accounts) == 0 if account == _LOCAL else len(accounts) == 1
        path = tuple(map(text_of, levels if alone or not shown else (shown, *levels)))
        is_inbox = len(path) == 1 and path[0].upper() == "INBOX"
        paths[account, *levels] = INBOX if is_inbox else path
    return paths


def _account_names(tree: Tree) -> dict[str, str]:
    """Return the user and host of accounts by the numbers that stand for them."""
    try:
        listed = [file for file in tree.listed(_NAMES[:-1]) if file.parts == _NAMES]
        read = plistlib.loads(tree.read(listed[0], LARGEST_MESSAGE)) if listed else {}
        urls = {str(key): urlsplit(str(told["AccountURL"])) for key, told in read.items()}
    except (OSError, plistlib.InvalidFileException, ExpatError, ValueError, KeyError, TypeError):
        return {}
    except AttributeError:
        return {}
    return {
        key: unquote(f"{url.username}@{url.hostname}" if url.username else url.netloc)
        for key, url in urls.items()
        if url.netloc
    }


class _Mailbox:
    """How one mailbox's files are opened."""

    def __init__(self, tree: Tree, *, with_deleted: bool) -> None:
        self._tree = tree
        self._with_deleted = with_deleted

    def folder(self, path: MailboxPath, directories: Sequence[Parts]) -> MessageFiles:
        """Return the mailbox of these directories."""
        wish = "deleted" if self._with_deleted else ""
        return MessageFiles(self._tree, path, directories, _naming, self._opened, wish=wish)

    def _opened(self, raw: bytes, file: TreeFile) -> Opened:
        read = emlx.parse(raw)
        if read is None:
            raise CannotRead("is no message of Apple Mail: it does not begin with a length")
        if read.deleted and not self._with_deleted:
            return Opened(b"", left_out="deleted in the mail program, still in its files: left out")
        content, lacking, rebuilt = read.content, "", False
        if ".partial." in file.parts[-1]:
            joined = emlx.rejoin(content, lambda part: self._attachment(file, part))
            content = joined.content
            if joined.missing:
                parts = ", ".join(joined.missing)
                lacking = f"kept without what was never fetched whole: part {parts}"
            elif not joined.proven:
                content, rebuilt = REBUILT + content, True
        return Opened(
            with_crlf(content), read.flags, read.received, lacking=lacking, rebuilt=rebuilt
        )

    def _attachment(self, file: TreeFile, part: str) -> bytes | None:
        """Return what lies in the one file of a part of a message."""
        number = file.parts[-1].partition(".")[0]
        place = (*file.parts[:-2], _ATTACHMENTS, number, part)
        try:
            listed = [one for one in self._tree.listed(place) if one.parts[-1] != ".DS_Store"]
        except FileNotFoundError:
            return None
        if len(listed) != 1 or listed[0].size > LARGEST_MESSAGE:
            return None
        return self._tree.read(listed[0], LARGEST_MESSAGE)


def _naming(files: Sequence[TreeFile]) -> Callable[[TreeFile], Named | None]:
    """Return what tells messages from other files; one that is there in whole counts."""
    whole = {file.parts for file in files if is_message(file)}

    def named(file: TreeFile) -> Named | None:
        found = _FILE.fullmatch(file.parts[-1])
        if found is None or (found[2] and (*file.parts[:-1], f"{found[1]}.emlx") in whole):
            return None
        return Named()

    return named
