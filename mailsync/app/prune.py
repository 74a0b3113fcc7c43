"""Taking messages that left their server long ago out of the archive, for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailsync.app.archives import demand_account, open_archive
from mailsync.app.requests import PruneRequest
from mailsync.archive import Archive, Prunable
from mailsync.mapping import matches, show
from mailsync.model import MailboxPath


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What was removed, or in a dry run would be, by mailbox."""

    account: str
    archive: str
    dry_run: bool
    mailboxes: Sequence[Prunable]

    @property
    def messages(self) -> int:
        """Return how many messages that is."""
        return sum(one.messages for one in self.mailboxes)

    @property
    def octets(self) -> int:
        """Return how much it frees."""
        return sum(one.octets for one in self.mailboxes)

    def as_json(self) -> dict[str, object]:
        """Return it as plain values."""
        report = {
            "account": self.account,
            "archive": self.archive,
            "dry_run": self.dry_run,
            "messages": self.messages,
            "octets": self.octets,
            "mailboxes": [
                {"mailbox": show(one.mailbox), "messages": one.messages, "octets": one.octets}
                for one in self.mailboxes
            ],
        }
        return {"reports": [report]}


def prune(request: PruneRequest) -> PruneReport:
    """Remove those messages of the chosen mailboxes whose every place is gone for that long.

    Raises ArchiveError.
    """
    login = request.account

    def chosen(path: MailboxPath) -> bool:
        return matches(path, request.mailboxes or ("*",))

    writing = not request.dry_run and login.directory.exists()
    with open_archive(login, request.wait) if writing else Archive.read(login.directory) as archive:
        demand_account(archive, login)
        remove = archive.prunable if request.dry_run else archive.prune
        found = remove(login.name, request.gone_before, chosen)
    return PruneReport(login.shown, str(login.directory), request.dry_run, found)
