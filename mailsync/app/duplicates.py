"""Messages that are the same one, and messages that only look it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailsync.app.archives import demand_account
from mailsync.app.requests import DuplicatesRequest
from mailsync.archive import Archive, Different, Same
from mailsync.mapping import show


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Messages of one account that are in several places and stored once, and different ones that
    bear one Message-ID.
    """

    account: str
    same: Sequence[Same]
    different: Sequence[Different]

    def as_json(self) -> dict[str, object]:
        """Return them as plain values."""
        return {
            "account": self.account,
            "same": [
                {
                    "digest": one.digest.hex(),
                    "subject": one.subject,
                    "message_id": one.message_id,
                    "places": one.places,
                    "contents": one.contents,
                    "octets_saved": one.saved,
                    "mailboxes": [show(mailbox) for mailbox in one.mailboxes],
                }
                for one in self.same
            ],
            "different": [
                {
                    "message_id": one.message_id,
                    "digest": one.digest.hex(),
                    "subject": one.subject,
                    "sender": one.sender,
                    "octets": one.size,
                    "mailboxes": [show(mailbox) for mailbox in one.mailboxes],
                }
                for one in self.different
            ],
        }


def duplicates(request: DuplicatesRequest) -> Duplicates:
    """Find them; nothing is changed. Raises ArchiveError."""
    login = request.account
    with Archive.read(login.directory) as archive:
        demand_account(archive, login)
        same, different = archive.duplicates(login.name)
    return Duplicates(login.shown, same, different)
