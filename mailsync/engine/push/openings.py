"""Which mailboxes of a destination messages may be sent to beside the pull, and which messages they
surely lack.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from mailsync.engine.matching import sighting_of
from mailsync.engine.push.names import may_hold, state_when_opened
from mailsync.engine.push.session import PushSession
from mailsync.engine.targets import Targets
from mailsync.errors import MailboxError
from mailsync.model import INBOX, ArchivedMessage, LedgerKey, MailboxPath, SyncState
from mailsync.plan import EMPTY, Likeness, Sighting
from mailsync.stores.base import NamingDestination

FEW: Final = 500
"""A mailbox that holds more messages already is left to the push proper, which looks at it once for
all.
"""


@dataclass(frozen=True, slots=True)
class Opening:
    """A mailbox of the destination that messages may be sent to: its state, what the ledger knows
    of it, and what else is in it.
    """

    state: SyncState
    ledger: Collection[LedgerKey]
    presences: frozenset[bytes] = frozenset()
    message_ids: frozenset[str] = frozenset()
    originals: frozenset[bytes] = frozenset()
    clues: frozenset[bytes] = frozenset()
    sizes: frozenset[int] = frozenset()

    def lacks(self, message: ArchivedMessage, likeness: Likeness) -> bool:
        """Return whether nothing in it can be this message."""
        return (
            message.key not in self.ledger
            and message.presence not in self.presences
            and message.message_id not in self.message_ids
            and message.digest not in self.originals
            # Whatever its header is: only the body tells, and the push proper asks for it.
            and message.size not in self.sizes
            and not (self.clues and likeness.clue(message) in self.clues)
        )


class Openings:
    """The mailboxes of the destination, made and opened as messages for them arrive.

    One whose name is refused, that cannot be looked at, or that holds much, stays closed: it is
    left to the push proper. Methods raise StoreUnavailable.
    """

    def __init__(self, session: PushSession, targets: Targets) -> None:
        self._session = session
        self._targets = targets
        self._listed = {
            mailbox.path: mailbox.state for mailbox in targets.listed if mailbox.selectable
        }
        self._looked_at: dict[MailboxPath, Opening | None] = {}
        self._made: set[MailboxPath] = set()

    @property
    def made(self) -> Collection[MailboxPath]:
        """The mailboxes that need not be made again."""
        return self._made

    def at(self, path: MailboxPath) -> Opening | None:
        """Return a mailbox of the destination that is open."""
        return self._looked_at.get(path)

    def routes(self) -> Mapping[MailboxPath, MailboxPath]:
        """Return where the messages of each mailbox of the archive go; a view's are known only when
        all others have come.
        """
        return {
            target.source.path: path
            for path, sources in self._targets.by_destination.items()
            for target in sources
            if not target.only_here
        }

    def unopened(self, sources: Collection[MailboxPath]) -> set[MailboxPath]:
        """Return the mailboxes that messages from these go to, and that were not looked at yet."""
        routes = self.routes()
        return {
            path
            for source in sources
            if (path := routes.get(source)) is not None and path not in self._looked_at
        }

    def open(self, sources: Collection[MailboxPath]) -> None:
        """Look at the mailboxes that messages from these go to."""
        self.open_empty(self.unopened(sources))
        for path in self.unopened(sources):
            try:
                self._looked_at[path] = self._look_at(path)
            except MailboxError:
                self._looked_at[path] = None

    def awaited(self, paths: Iterable[MailboxPath]) -> set[MailboxPath]:
        """Return those of these mailboxes that may be made ahead of messages: not such as were
        there, and were taken away since.
        """
        ledger = self._session.run.ledger
        return {path for path in paths if path in self._listed or not ledger(path)}

    def open_empty(self, paths: Collection[MailboxPath]) -> None:
        """Make these mailboxes of the destination, and open those that are empty."""
        self._make(paths)
        for path in self._made.intersection(paths):
            ledger = self._session.run.ledger(path)
            try:
                state = state_when_opened(self._session.destination, path, self._listed.get(path))
            except MailboxError:
                self._looked_at[path] = None
                continue
            left_out = path not in self._listed and (path == INBOX or ledger)
            if state is None and path not in self._listed:
                state = EMPTY
            if state is not None and not may_hold(state) and not left_out:
                self._looked_at[path] = Opening(state, ledger.keys())

    def _make(self, paths: Iterable[MailboxPath]) -> None:
        """Make mailboxes, in one flight."""
        destination = self._session.destination
        wanted = {mailbox.path: mailbox for mailbox in self._targets.wanted()}
        missing = [wanted[path] for path in dict.fromkeys(paths) if path not in self._made]
        answers = destination.create(missing) if missing else {}
        instead = destination.instead() if isinstance(destination, NamingDestination) else {}
        for path, refusal in answers.items():
            if refusal is None and path not in instead:
                self._made.add(path)
            else:
                self._looked_at[path] = None

    def _look_at(self, path: MailboxPath) -> Opening | None:
        destination = self._session.destination
        state = state_when_opened(destination, path, self._listed.get(path))
        state = state or destination.state(path)
        if state.messages > FEW:
            return None
        seen: list[Sighting] = (
            [sighting_of(present.entry, present.header) for present in destination.presence(path)]
            if may_hold(state)
            else []
        )
        ledger = self._session.run.ledger(path)
        told = {line.uid for line in ledger.values() if line.uidvalidity == state.uidvalidity}
        return Opening(
            state,
            ledger.keys(),
            frozenset(one.presence for one in seen),
            frozenset(one.message_id for one in seen if one.message_id),
            frozenset(one.original for one in seen if one.original),
            frozenset(clue for one in seen for clue in (one.traits.date, one.traits.subject)),
            frozenset(one.size for one in seen if one.size is not None and one.uid not in told),
        )
