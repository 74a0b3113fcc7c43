"""Messages that a store put together again out of what a mail program kept of them: they meet the
same message as it was sent, and are never beside it.

They are the same where both bear one Message-ID, one time in their Date and one subject, and no
other message as it was sent bears that Message-ID.
"""

from __future__ import annotations

from mailsync.archive.content_store import ContentStore, Stowed
from mailsync.archive.group_commit import GroupCommit
from mailsync.formats import header
from mailsync.identity import Fingerprint, digest
from mailsync.model import MailboxPath

_Told = tuple[int | None, str]


class RebuiltMessages:
    """Those of one archive, for the run of a group that writes it."""

    def __init__(self, group: GroupCommit, contents: ContentStore) -> None:
        self._group = group
        self._catalogue = catalogue = group.catalogue
        self._tree = group.tree
        self._contents = contents
        self._any = catalogue.rebuilt.has_any()

    def stow(
        self,
        path: MailboxPath,
        received: tuple[bytes, Fingerprint],
        internaldate: int,
        flags: frozenset[str],
    ) -> Stowed:
        """Put the message that a rebuilt one stands for into a mailbox's folder, else the rebuilt
        one itself.
        """
        content, print_ = received
        verbatim = self._catalogue.rebuilt.verbatim(print_.message_id)
        if len(verbatim) == 1 and verbatim[0][1] != print_.digest:
            _, known = verbatim[0]
            if _same(self._told(known), _told(content)):
                file = self._contents.place(path, known, internaldate, flags)
                if file is not None:
                    return Stowed(file, known, new=False)
        stowed = self._contents.stow(path, received, internaldate, flags)
        if stowed.new and stowed.digest == print_.digest:
            row = self._catalogue.messages.find(print_.digest)
            if row is not None:
                self._catalogue.rebuilt.record(row, print_.message_id)
                self._any = True
        return stowed

    def supersede(self, content: bytes, print_: Fingerprint) -> None:
        """Let a message that just came as it was sent take the places of rebuilt ones that are the
        same; their files stay.
        """
        if not self._any or not print_.message_id:
            return
        rebuilt = self._catalogue.rebuilt
        if len(rebuilt.verbatim(print_.message_id)) != 1:
            return
        told = _told(content)
        for row, known in rebuilt.bearing(print_.message_id):
            if known == print_.digest or not _same(self._told(known), told):
                continue
            for old in rebuilt.placed(row):
                new = self._contents.place(old.path, print_.digest, old.internaldate, old.flags)
                if new is not None:
                    rebuilt.move(old.file, new)

    def _told(self, known: bytes) -> _Told:
        """Return what a stored content says of itself; nothing where no file of it is sound."""
        row = self._catalogue.messages.find(known)
        for file in [] if row is None else self._catalogue.files.of(row):
            if self._tree.is_waiting(file.folder, file.base):
                self._group.flush()
            located = self._tree.locate(file.folder, file.base, file.flags)
            if file.sound and located is not None:
                content = located.read()
                if digest(content) == known:
                    return _told(content)
        return None, ""


def _told(content: bytes) -> _Told:
    """Return when a message says that it was sent, and its subject."""
    return header.sent(content), header.text(header.first(content, b"subject") or b"")


def _same(one: _Told, other: _Told) -> bool:
    return one[0] is not None and one == other
