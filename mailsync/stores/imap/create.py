"""Making the mailboxes of a destination, all in one flight (RFC 9051 sections 6.3.4 and 6.3.7),
under plainer names where it must be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mailsync.errors import MailboxError
from mailsync.mapping import show
from mailsync.model import Mailbox, MailboxPath
from mailsync.stores.imap.command_queue import Command
from mailsync.stores.imap.list import OUTSTANDING
from mailsync.stores.imap.permanent_flags import permanent_flags
from mailsync.stores.imap.plainer_names import proposals
from mailsync.stores.imap.reconnect import ReconnectingSession
from mailsync.stores.imap.response import Result
from mailsync.stores.imap.session import Session
from mailsync.stores.refusals import is_about_the_name, trouble


class MailboxMaker:
    """What is known of the mailboxes of one destination, and how more are made.

    `existing`: those that can be selected. `permanent`: the flags each keeps, None where the server
    did not say. `instead`: those whose names the server refused, and what they were made as.
    """

    def __init__(self, account: str) -> None:
        self._account = account
        self.existing: set[MailboxPath] = set()
        self.permanent: dict[MailboxPath, frozenset[str] | None] = {}
        self.instead: dict[MailboxPath, MailboxPath] = {}

    def make(
        self, link: ReconnectingSession, session: Session, wanted: Sequence[Mailbox]
    ) -> dict[MailboxPath, MailboxError | None]:
        """Make what is missing and learn which flags each mailbox keeps.

        A mailbox that can be selected is there, whatever was said.
        """
        special = session.has(b"CREATE-SPECIAL-USE")
        refusals = self._flight(link, session, wanted, special=special)
        # A server may make the mailbox but not give it the role (RFC 6154 section 3).
        plain = [
            mailbox
            for mailbox in wanted
            if special and mailbox.special_use and refusals[mailbox.path] is not None
        ]
        refusals |= self._flight(link, session, plain, special=False)
        found: dict[MailboxPath, MailboxError | None] = {}
        taken = {mailbox.path for mailbox in wanted}
        for mailbox in wanted:
            refusal = refusals[mailbox.path]
            if (
                refusal is not None
                and is_about_the_name(refusal.said)
                and self._made_plainer(link, session, mailbox, taken)
            ):
                refusal = None
            found[mailbox.path] = None if refusal is None else self._not_made(mailbox, refusal)
        return found

    def _made_plainer(
        self, link: ReconnectingSession, session: Session, mailbox: Mailbox, taken: set[MailboxPath]
    ) -> bool:
        """Try plainer names; these are few, so each may wait."""
        for path in proposals(mailbox.path):
            if (
                path not in taken
                and self._flight(link, session, [replace(mailbox, path=path)], special=False)[path]
                is None
            ):
                self.instead[mailbox.path] = path
                taken.add(path)
                return True
        return False

    def _flight(
        self,
        link: ReconnectingSession,
        session: Session,
        wanted: Sequence[Mailbox],
        *,
        special: bool,
    ) -> dict[MailboxPath, Result | None]:
        """Send CREATE, SUBSCRIBE and SELECT for all; returns what was refused, and None for what
        can be selected.
        """
        flights = self._send(session, wanted, special=special)
        if flights:
            link.forget_selected()
            link.leave()
        found: dict[MailboxPath, Result | None] = {}
        for mailbox, made, selected in flights:
            result = session.queue.wait(selected)
            stop = trouble(self._account, result.refusal, "opening a mailbox")
            if stop is not None:
                raise stop
            if result.ok:
                self.existing.add(mailbox.path)
                self.permanent[mailbox.path] = permanent_flags(selected)
                found[mailbox.path] = None
            else:
                found[mailbox.path] = (
                    made.result
                    if made is not None and made.result is not None and not made.result.ok
                    else result
                )
        return found

    def _send(
        self, session: Session, wanted: Sequence[Mailbox], *, special: bool
    ) -> list[tuple[Mailbox, Command | None, Command]]:
        """Send the commands: each mailbox with its CREATE, if it needs one, and its SELECT."""
        flights: list[tuple[Mailbox, Command | None, Command]] = []
        waiting = 0
        for mailbox in wanted:
            while session.queue.outstanding > OUTSTANDING:
                session.queue.wait(flights[waiting][2])
                waiting += 1
            name = session.mailbox(session.names.written(mailbox.path))
            made = None
            if mailbox.path not in self.existing:
                role = min(mailbox.special_use, default="") if special else ""
                made = session.queue.send(
                    b"CREATE ", name, b" (USE (" + role.encode("ascii") + b"))" if role else b""
                )
            if mailbox.subscribed:
                session.queue.send(b"SUBSCRIBE ", name)
            flights.append((mailbox, made, session.queue.send(b"SELECT ", name)))
        return flights

    def _not_made(self, mailbox: Mailbox, refusal: Result) -> MailboxError:
        words = refusal.text or "no reason given"
        return MailboxError(
            self._account,
            mailbox.path,
            f"the server will not make mailbox {show(mailbox.path)}: {words}; give it another name"
            " with `map:`",
        )
