"""What may be asked of an open archive, beside any writer."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from mailsync.archive.catalogue import ArchivedMailbox, Different, RunRecord, Same
from mailsync.archive.contents import Contents
from mailsync.archive.findings import Findings
from mailsync.archive.group_commit import GroupCommit
from mailsync.archive.last_known import LastKnown
from mailsync.archive.same_destination import agree
from mailsync.archive.storage.disk import disk_errors_translated
from mailsync.model import ArchivedMessage, LedgerKey, Mailbox, MailboxPath

HEX_DIGITS: Final = frozenset("0123456789abcdef")


class Questions:
    """Answers about accounts, mailboxes, messages and runs. Each raises ArchiveError."""

    def __init__(self, group: GroupCommit, *, writing: bool) -> None:
        self.directory = group.directory
        self._group = group
        self._catalogue = group.catalogue
        self._findings = Findings(group.directory, group.catalogue, group.turn if writing else None)
        self._contents = Contents(group.directory, group.catalogue, group.tree, self._findings.mark)

    # accounts, mailboxes, messages

    def accounts(self) -> Sequence[str]:
        """Return the names of the accounts whose mail is here."""
        return self._catalogue.accounts.names()

    def server(self, account: str) -> str:
        """Return the server that an account's mail came from, as the pull named it; empty where
        nobody knows.
        """
        row = self._catalogue.accounts.find(account)
        return "" if row is None else self._catalogue.accounts.server(row)

    def mailboxes(self, account: str) -> Sequence[ArchivedMailbox]:
        """Return what is held of an account's mailboxes, the inbox first."""
        row = self._catalogue.accounts.find(account)
        return [] if row is None else self._catalogue.mailboxes.describe(row)

    def size(self) -> tuple[int, int, int]:
        """Return how many messages there are, live and gone, how many files hold them, and the
        octets of these.
        """
        return self._catalogue.messages.count(), *self._catalogue.files.count()

    def messages(
        self,
        account: str,
        mailbox: MailboxPath,
        *,
        include_gone: bool = False,
        as_of: int | None = None,
    ) -> Iterator[ArchivedMessage]:
        """Yield the messages of a mailbox, one a file, oldest first; live ones, or all, or those
        live at the end of run `as_of`.
        """
        found = self._mailbox(account, mailbox)
        if found is not None:
            yield from self._catalogue.holdings.messages(
                found, mailbox, include_gone=include_gone, as_of=as_of
            )

    def places(self, account: str, digest: bytes) -> Sequence[ArchivedMessage]:
        """Return a message as each mailbox of an account holds it, or held it, the inbox first."""
        row = self._catalogue.accounts.find(account)
        return [] if row is None else self._catalogue.holdings.places(row, digest)

    def moved(self, account: str, mailbox: MailboxPath) -> Mapping[bytes, Sequence[MailboxPath]]:
        """Return the messages (by identity) that left a mailbox and live on, each with the
        mailboxes it came to: another one, or the same. A copy that another mailbox had before is
        none of those.
        """
        found = self._mailbox(account, mailbox)
        return {} if found is None else self._catalogue.departures.moved(found)

    def superseded(
        self, account: str, mailbox: MailboxPath
    ) -> Mapping[tuple[bytes, int], LedgerKey]:
        """Return the copies (by digest and number, with what the ledger calls them) of messages
        that left a mailbox and for which another copy came to it afterwards.
        """
        found = self._mailbox(account, mailbox)
        return {} if found is None else self._catalogue.departures.superseded(found)

    def unconfirmed(self, account: str, mailbox: MailboxPath) -> frozenset[tuple[bytes, int]]:
        """Return the messages (digest and copy) of an IMAP mailbox of which nobody has looked
        whether they are there since the catalogue was built again.
        """
        found = self._mailbox(account, mailbox)
        return frozenset() if found is None else self._catalogue.departures.unconfirmed(found)

    def restored(
        self, account: str, mailbox: MailboxPath, destination: str
    ) -> frozenset[tuple[bytes, int]]:
        """Return the messages (digest and copy) that left a mailbox and were sent back to it since,
        by the ledger of a destination, and that no pull has seen there yet.
        """
        found = self._mailbox(account, mailbox)
        if found is None or not destination:
            return frozenset()
        return self._catalogue.departures.restored(found, destination)

    def sent(self, destination: str, mailbox: MailboxPath) -> set[tuple[int, int, int]]:
        """Return the (UIDVALIDITY, UID, size) of messages that were sent to a mailbox of a
        destination, as far as that told them.
        """
        return self._catalogue.ledger(destination).told(mailbox)

    def _mailbox(self, account: str, mailbox: MailboxPath) -> int | None:
        row = self._catalogue.accounts.find(account)
        return None if row is None else self._catalogue.mailboxes.find(row, mailbox)

    def imported(self, account: str) -> int:
        """Return how many messages only came out of files, into an account that has a server."""
        row = self._catalogue.accounts.find(account)
        return 0 if row is None else self._catalogue.holdings.imported(row)

    def last_known(self, account: str, files: str = "") -> LastKnown:
        """Return what a pull would know of an account, without beginning one; `files` as in
        `ServerOf`.
        """
        return LastKnown(self._catalogue, account, files)

    def duplicates(self, account: str) -> tuple[Sequence[Same], Sequence[Different]]:
        """Return the messages of an account that are in several places, and those that share a
        Message-ID with a different message.
        """
        row = self._catalogue.accounts.find(account)
        if row is None:
            return [], []
        duplicates = self._catalogue.duplicates
        return list(duplicates.same(row)), list(duplicates.different(row))

    # contents

    def find(self, digest_prefix: str) -> Sequence[bytes]:
        """Return the digests that begin with these hex digits."""
        text = digest_prefix.lower()
        if not 0 < len(text) <= 64 or set(text) - HEX_DIGITS:
            return []
        low, high = (bytes.fromhex((text + fill * 64)[:64]) for fill in "0f")
        return self._catalogue.messages.between(low, high)

    def content(self, digest: bytes) -> bytes:
        """Return a content, read and hashed.

        Raises IntegrityError when no file holds it any more, and remembers the damage.
        """
        return self._contents.read(digest)

    def is_rebuilt(self, digest: bytes) -> bool:
        """Return whether a store put a content together again, so that it is not what was sent."""
        with self._group.turn:
            return self._catalogue.rebuilt.holds(digest)

    def header(self, digest: bytes) -> bytes:
        """Return a content's header block, unproven.

        Raises IntegrityError when no file holds it.
        """
        return self._contents.header(digest)

    def lost(self, account: str, mailbox: MailboxPath) -> frozenset[bytes]:
        """Return the digests of live messages of a mailbox whose files are not there, or have
        another size than was stored, by one look at the disk now.

        What the catalogue says of files is not asked: who wants to say that a message is in the
        archive says it of those that are not in here. It costs a listing and a stat each, and reads
        no Maildir content (an mbox file is read once, for its frames).
        """
        row = self._catalogue.accounts.find(account)
        if row is None:
            return frozenset()
        with self._group.turn:
            expected = self._catalogue.files.expected(row, mailbox)
        with disk_errors_translated(self.directory):
            return self._contents.lost(expected)

    def destinations(self, key: str, listed: Sequence[Mailbox]) -> Sequence[str]:
        """Return the keys that the ledger knows and that may be of the destination which is called
        `key` now and lists these mailboxes: `key` itself, else those of the same user and host at
        other ports whose UIDs agree. A clone agrees too: only what it holds tells.
        """
        with self._group.turn:
            known = self._catalogue.destinations.keys()
            others = [one for one in known if one.rpartition(":")[0] == key.rpartition(":")[0]]
            if key in others:
                return [key]
            sent = {one: self._catalogue.destinations.sent(one) for one in others}
        return [one for one in others if agree(sent[one], listed)]

    def newest_sent(
        self, destination: str, mailbox: MailboxPath, uidvalidity: int, most: int
    ) -> Mapping[int, Collection[bytes]]:
        """Return the newest UIDs under which messages were sent to a mailbox, with the digests of
        the contents that each may have there.
        """
        with self._group.turn:
            return self._catalogue.ledger(destination).newest(mailbox, uidvalidity, most)

    # runs

    def runs(self, account: str | None, limit: int) -> Sequence[RunRecord]:
        """Return the newest runs of an account, or of all."""
        return self._catalogue.runs.newest(account, limit)

    def first_run_since(self, moment: int) -> int:
        """Return the first run that ended at `moment` (epoch seconds) or later, or that is still to
        come.
        """
        return self._catalogue.runs.first_since(moment)

    def vanishing(self, run: int) -> tuple[int | None, int]:
        """Return between which times (epoch seconds) a message vanished that `run` found gone; the
        first is None if nobody knows.
        """
        return self._catalogue.runs.vanishing(run)

    def first_complete(self, account: str) -> RunRecord | None:
        """Return the first complete pull of an account."""
        return self._catalogue.runs.first_complete(account)

    def run_as_of(self, account: str, moment: int) -> RunRecord | None:
        """Return the last complete pull of an account that had ended by `moment` (epoch s)."""
        return self._catalogue.runs.as_of(account, moment)

    def tells_flags(self, account: str, mailbox: MailboxPath) -> bool:
        """Return whether the flags of a mailbox's messages are those of a server: POP3 has none,
        and what stands for them is our own guess.
        """
        row = self._catalogue.accounts.find(account)
        found = None if row is None else self._catalogue.mailboxes.find(row, mailbox)
        return found is None or self._catalogue.holdings.tells_flags(found)

    # what a push asks that runs beside a pull

    def newest(self) -> int:
        """Return a number that `arrived` counts from."""
        with self._group.turn:
            return self._catalogue.holdings.newest()

    def arrived(self, account: str, above: int, most: int) -> tuple[int, Sequence[ArchivedMessage]]:
        """Return the live messages that came after the one numbered `above`, at most so many, and
        the number of the last of them.

        Asked of an archive that is open for looking, these are durable. A message may come again
        under another flag or copy.
        """
        with self._group.turn:
            row = self._catalogue.accounts.find(account)
            if row is None:
                return above, []
            return self._catalogue.holdings.arrived(row, above, most)
