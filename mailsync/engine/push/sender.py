"""The one way messages go out: an intent that is durable, the append, its answer written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

from mailsync.archive import Archive
from mailsync.engine.names import name_of_message
from mailsync.engine.push.reporting import note_removed
from mailsync.engine.push.session import PushSession
from mailsync.errors import IntegrityError, MailboxError
from mailsync.model import Appended, ArchivedMessage, MailboxPath, Parcel, Refused, SyncState
from mailsync.plan import MailboxPlan, PushPlan

INTENTS_TOGETHER: Final = 256
"""Messages whose intents are written in one commit: few enough to look for after a crash, many
enough to hide the fsync.
"""


class Sender:
    """Sends messages to the destination of a session; used by one thread at a time."""

    def __init__(self, session: PushSession) -> None:
        self._session = session
        self._flags_left_out: dict[MailboxPath, Counter[str]] = {}
        self._before: dict[MailboxPath, SyncState] = {}

    @property
    def flags_left_out(self) -> Mapping[MailboxPath, Counter[str]]:
        """How many messages came without which flags, by mailbox of the destination."""
        return self._flags_left_out

    def parcels(
        self,
        archive: Archive,
        path: MailboxPath,
        state: SyncState,
        messages: Iterable[ArchivedMessage],
        *,
        damaged: Callable[[ArchivedMessage, IntegrityError], None] | None = None,
    ) -> Iterator[Parcel]:
        """Yield these messages with their content, an intent ahead of each; content is read as the
        destination asks for it.

        What the archive holds damaged is not sent, and reported unless `damaged` hears of it.
        """
        self._before[path] = state
        run, rest = self._session.run, iter(messages)
        while chunk := list(islice(rest, INTENTS_TOGETHER)):
            run.intend(path, state, chunk)
            for message in chunk:
                try:
                    content = archive.content(message.digest)
                except IntegrityError as error:
                    run.withdraw(path, message.key)
                    (damaged or self._report_damaged)(message, error)
                else:
                    yield Parcel(message, path, content)

    def send(self, parcels: Iterable[Parcel]) -> int:
        """Append and write down each answer; returns how many stayed without one.

        Raises StoreUnavailable.
        """
        session, unanswered = self._session, 0
        for answer in session.destination.append(parcels):
            message, path = answer.parcel.message, answer.parcel.mailbox
            if isinstance(answer, Appended):
                self._record(answer)
                session.budget.spend(message.size)
            elif isinstance(answer, Refused):
                session.run.withdraw(path, message.key)
                self._report_failed("refused", message, answer.why)
                session.progress.advance(1, message.size)
            else:
                unanswered += 1
                # It crossed the line, as far as the server's own count goes.
                session.budget.spend(message.size)
        session.run.flush()
        return unanswered

    def count_arrived(self, message: ArchivedMessage) -> None:
        """Count a message that this run brought to the destination."""
        tally = self._session.report.of(message.mailbox)
        tally.new += 1
        tally.octets += message.size
        self._session.progress.advance(1, message.size)

    def record_located(self, plan: PushPlan) -> None:
        """Write down what was found on the destination, and what the user took away there."""
        run = self._session.run
        for mailbox in plan.mailboxes:
            for one in mailbox.located:
                if not one.mangled:
                    run.settle(mailbox.path, one.key, mailbox.state.uidvalidity, one.uid, one.flags)
            for message in mailbox.removed:
                self._record_removed(mailbox.path, message)
        run.flush()

    def change_flags(self, mailbox: MailboxPlan) -> bool:
        """Carry over flags that changed at the source; False, and reported, where the mailbox
        cannot be used.

        A message no longer there is remembered as removed, not sent again.
        """
        session = self._session
        changes = {change.uid: (change.add, change.remove) for change in mailbox.flags}
        try:
            alive = set(session.destination.set_flags(mailbox.path, changes))
        except MailboxError as error:
            session.report.trouble_with("mailbox", mailbox.path, "", str(error))
            return False
        for change in mailbox.flags:
            if change.uid in alive:
                session.run.reflagged(mailbox.path, change.message.key, change.message.flags)
            else:
                self._record_removed(mailbox.path, change.message)
        session.run.flush()
        return True

    def _record(self, answer: Appended) -> None:
        message, path = answer.parcel.message, answer.parcel.mailbox
        place = (answer.uidvalidity, answer.uid) if self._is_new(answer) else (None, None)
        self._session.run.settle(path, message.key, *place, message.flags)
        self.count_arrived(message)
        left_out = self._flags_left_out.setdefault(path, Counter())
        left_out.update(message.flags - answer.flags)
        if answer.repaired:
            self._session.report.of(message.mailbox).repaired += 1
            self._session.report.note(
                "repaired", message.mailbox, name_of_message(message), answer.repaired
            )

    def _is_new(self, answer: Appended) -> bool:
        """Return whether the UID that was told can be that of a message which was not there before:
        else it would be taken for another's, which would be sent again.
        """
        before = self._before.get(answer.parcel.mailbox)
        return (
            before is None
            or answer.uid is None
            or answer.uidvalidity != before.uidvalidity
            or answer.uid >= before.uidnext
        )

    def _record_removed(self, path: MailboxPath, message: ArchivedMessage) -> None:
        self._session.run.removed(path, [message.key])
        note_removed(message, self._session.report)

    def _report_damaged(self, message: ArchivedMessage, error: IntegrityError) -> None:
        self._report_failed("damaged", message, f"{error}; the next pull fetches it anew")

    def _report_failed(self, kind: str, message: ArchivedMessage, why: str) -> None:
        report = self._session.report
        report.of(message.mailbox).failed += 1
        report.trouble_with(kind, message.mailbox, name_of_message(message), why)
