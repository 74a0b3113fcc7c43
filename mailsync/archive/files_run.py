"""Files that are read into the archive of an account that has a server of its own."""

from __future__ import annotations

from typing import ClassVar

from mailsync.archive.pull_run import PullRun
from mailsync.model import Mailbox, MailboxPath, Scan


class FilesRun(PullRun):
    """A pull that leaves alone what is known of the account's server: it remembers which files were
    read, and by which mark they are known to be unchanged.
    """

    kind: ClassVar = "import"

    def mailbox(self, mailbox: Mailbox) -> None:
        """Do nothing: files say nothing of what is on the server."""

    def complete(self, scan: Scan) -> int:
        """Remember the mark of files whose messages were all taken in; nothing is ever gone."""
        with self._group.storing:
            row = self._mailbox(scan.mailbox.path)
            self._catalogue.mailboxes.read_from(row, self._reads, scan, self.id, self.started)
        return 0

    def incomplete(self, mailbox: MailboxPath) -> None:
        """Do nothing: files whose mark was not remembered are read again."""
