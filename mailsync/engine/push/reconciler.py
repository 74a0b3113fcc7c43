"""What becomes of messages whose append stayed without an answer: look, wait, look again, and only
then send them again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from mailsync.engine.push.locate import DestinationMailbox, locate
from mailsync.engine.push.sender import Sender
from mailsync.engine.push.session import PushSession
from mailsync.engine.targets import Targets
from mailsync.errors import MailboxError
from mailsync.model import ArchivedMessage, LedgerKey, MailboxPath, SyncState
from mailsync.plan import MailboxPlan, PushPlan, Search


class Reconciler:
    """Settles the doubts of a plan that was carried out, but for those in mailboxes that turned out
    to be `unusable`.
    """

    def __init__(
        self,
        session: PushSession,
        targets: Targets,
        sender: Sender,
        plan: PushPlan,
        unusable: Collection[MailboxPath],
    ) -> None:
        self._session = session
        self._targets = targets
        self._sender = sender
        self._plans = {
            mailbox.path: mailbox
            for mailbox in plan.mailboxes
            if mailbox.sends and mailbox.path not in unusable
        }
        self._states: dict[MailboxPath, SyncState] = {
            path: mailbox.state for path, mailbox in self._plans.items()
        }
        self._looked_at = plan.looked_at

    def reconcile(self, *, unanswered: bool) -> None:
        """Send again what stayed without an answer, but only after two looks, far enough apart for
        a slow server to finish; `unanswered` where some of it was sent after the plan's own look.

        Once more as long as there is less of it each time: a bad line gets everything through, a
        message that breaks lines does not. What is left is reported. Raises StoreUnavailable.
        """
        before: int | None = None
        while True:
            doubts = self._doubts()
            if unanswered and doubts:
                doubts = self._look_again(doubts)
            many = sum(len(messages) for messages in doubts.values())
            if not many or (before is not None and many >= before):
                break
            before = many
            self._wait(many)
            doubts = self._look_again(doubts)
            unanswered = self._send_again(doubts)
        for path, messages in doubts.items():
            text = f"{len(messages)} messages had no answer; the next push looks for them first"
            self._session.report.trouble_with("unanswered", path, "", text)

    def _doubts(self) -> dict[MailboxPath, Sequence[ArchivedMessage]]:
        """Return the messages of the plan whose intents have no answer."""
        doubts: dict[MailboxPath, Sequence[ArchivedMessage]] = {}
        for path, mailbox in self._plans.items():
            ledger = self._session.run.ledger(path)
            pending = {key for key, line in ledger.items() if line.pending}
            messages = self._planned(mailbox, pending) if pending else ()
            if messages:
                doubts[path] = messages
        return doubts

    def _planned(
        self, mailbox: MailboxPlan, pending: Collection[LedgerKey]
    ) -> Sequence[ArchivedMessage]:
        found: dict[LedgerKey, ArchivedMessage] = {}
        for source in mailbox.sources:
            for message in self._targets.planned(source.path, [*source.append, *source.doubtful]):
                if message.key in pending:
                    found.setdefault(message.key, message)
        return list(found.values())

    def _wait(self, many: int) -> None:
        patience = self._session.patience
        wait = self._looked_at + patience.seconds - patience.clock()
        if wait > 0:
            self._session.progress.note(
                f"{many} messages had no answer; looking again in {wait:.0f} s, in case the server"
                " is still storing them"
            )
            patience.sleep(wait)

    def _look_again(
        self, doubts: Mapping[MailboxPath, Sequence[ArchivedMessage]]
    ) -> dict[MailboxPath, Sequence[ArchivedMessage]]:
        """Write down what is there meanwhile; returns what is not."""
        left: dict[MailboxPath, Sequence[ArchivedMessage]] = {}
        for path, messages in doubts.items():
            try:
                located = self._located(path, messages)
            except MailboxError as error:
                del self._plans[path]
                self._session.report.trouble_with("mailbox", path, "", str(error))
                continue
            for message in messages:
                if message.key in located:
                    self._sender.count_arrived(message)
            missing = [message for message in messages if message.key not in located]
            if missing:
                left[path] = missing
        self._session.run.flush()
        self._looked_at = self._session.patience.clock()
        return left

    def _located(
        self, path: MailboxPath, messages: Sequence[ArchivedMessage]
    ) -> Collection[LedgerKey]:
        run, state = self._session.run, self._session.destination.state(path)
        self._states[path] = state
        mailbox = DestinationMailbox(path, state, run.ledger(path))
        found = locate(self._session, self._targets, mailbox, Search(messages))
        for one in found.located:
            run.settle(path, one.key, state.uidvalidity, one.uid, one.flags)
        return {one.key for one in found.located}

    def _send_again(self, doubts: Mapping[MailboxPath, Sequence[ArchivedMessage]]) -> bool:
        """Send these, whatever is left of the budget; returns whether some had no answer."""
        archive = self._targets.archive
        unanswered = self._sender.send(
            parcel
            for path, messages in doubts.items()
            for parcel in self._sender.parcels(archive, path, self._states[path], messages)
        )
        return unanswered > 0
