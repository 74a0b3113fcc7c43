"""Send an archive's messages to a destination: exactly once each, by the ledger first and by
looking where it knows nothing.

Nothing is ever deleted or overwritten there, and what the user moved or deleted there since is not
brought back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice

from mailsync.archive import PushRun
from mailsync.engine.budget import Budget, unlimited
from mailsync.engine.likeness import (
    Key,
    held_by,
    key_of,
    must_be_found,
    sighting_of,
    told_by_bodies,
)
from mailsync.engine.report import Report
from mailsync.engine.room import demand_room
from mailsync.engine.targets import Target, Targets
from mailsync.errors import IntegrityError, MailboxError, StoreUnavailable
from mailsync.mapping import show
from mailsync.model import (
    Appended,
    ArchivedMessage,
    LedgerLine,
    MailboxPath,
    Parcel,
    Refused,
    SyncState,
)
from mailsync.plan import FlagChange, compare, flag_change, unlocated, unsettled
from mailsync.progress import Progress
from mailsync.stores.base import BoundedDestination, Destination, NamingDestination

INTENTS_TOGETHER = 256
"""Messages whose intents are written in one commit: few enough to look for after a crash, many
enough to hide the fsync.
"""

NAMES_SHOWN = 5
"""Flags named in one remark."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server may still be committing what a lost connection had sent (seconds), and how
    time is told and spent.
    """

    seconds: float
    clock: Callable[[], float]
    sleep: Callable[[float], None]


def push(
    run: PushRun,
    destination: Destination,
    report: Report,
    *,
    targets: Targets,
    progress: Progress,
    patience: Patience,
    budget: Budget | None = None,
    restore: bool = False,
) -> Targets:
    """Send what `targets` names and the destination lacks; fill `report`.

    A server that gives up ends the run early.

    Returns the targets as they turned out, where the destination took other names.

    With `report.dry_run` the destination is only read and the ledger not written. A `restore`
    believes only what is alive on the destination now: what the ledger says was sent once, and is
    not there, is sent again.
    """
    work = Push(run, destination, report, targets=targets, progress=progress, patience=patience)
    work.budget = budget or work.budget
    work.believing = not restore
    work.begin(
        f"restoring to {report.destination}" if restore else f"pushing to {report.destination}"
    )
    work.finish()
    return work.targets


class Push:
    """One push on its way: `begin`, perhaps some messages sent ahead, `finish`.

    `targets` may be reduced in between. What was sent ahead, with or without an answer, is in
    `ahead`; the mailboxes in `made` need not be made again.
    """

    def __init__(
        self,
        run: PushRun,
        destination: Destination,
        report: Report,
        *,
        targets: Targets,
        progress: Progress,
        patience: Patience,
    ) -> None:
        self._archive = targets.archive
        self._run = run
        self._destination = destination
        self.report = report
        self.progress = progress
        self.targets = targets
        self._patience = patience
        self._states: dict[MailboxPath, SyncState] = {}
        self._refused: set[MailboxPath] = set()
        self._renamed: set[MailboxPath] = set()
        self._found: set[tuple[MailboxPath, Key]] = set()
        self._needed: Counter[MailboxPath] = Counter()
        self._unkept: dict[MailboxPath, Counter[str]] = {}
        self._looked_at = patience.clock()
        self._unanswered = False
        self.budget = unlimited()
        self.believing = True
        self.ahead: set[tuple[MailboxPath, Key]] = set()
        self.made: set[MailboxPath] = set()

    def begin(self, what: str) -> None:
        """Return what begins, and settle the mailboxes' names.

        A server that gives up is in the report.
        """
        self.progress.begin(what)
        try:
            self.name()
        except StoreUnavailable as error:
            self.report.error = error

    def finish(self) -> None:
        """Do all there is to do, unless the server gave up before, and end."""
        try:
            if self.report.error is None:
                self._do_all()
        except StoreUnavailable as error:
            self.report.error = error
        finally:
            self.progress.end()

    def _do_all(self) -> None:
        if not self.report.dry_run:
            self.create()
        self.look()
        changes = self.count()
        self.measure()
        if not self.report.dry_run:
            self.send(self.parcels())
            self.change_flags(changes)
            self.settle_doubts()
            self.tell_flags()
            self.tell_moved()
            self.budget.settle(self.report.destination)

    def name(self) -> None:
        """Give mailboxes the names they will have there, before anything is asked of or sent to
        them; no two share one.
        """
        if isinstance(self._destination, NamingDestination):
            self._rename(
                self._destination.fitted(list(self.targets.by_theirs)),
                "its name cannot be written there, or is another's",
            )

    def look(self) -> None:
        """Compare what the ledger does not know with what is there; what is there already is
        settled, not sent.
        """
        listed = {
            mailbox.path: mailbox.state for mailbox in self.targets.theirs if mailbox.selectable
        }
        for theirs in self.targets.by_theirs:
            if theirs in self._refused:
                continue
            if theirs in listed or theirs in self._renamed:
                with self._mailbox_of_its_own(theirs):
                    self._states[theirs] = listed.get(theirs) or self._destination.state(theirs)
            elif not self.report.dry_run:
                self._states[theirs] = SyncState(0, 1, 0)  # made just now
        self._looked_at = self._patience.clock()
        for theirs, state in self._states.items():
            if not state.messages:
                continue
            ledger = self._ledger(theirs)
            messages = list(self._messages(theirs))
            moved = [
                message
                for message in messages
                if (line := ledger.get(key_of(message))) and must_be_found(message, line, state)
            ]
            unknown = list(unsettled(messages, ledger))
            if unknown or moved:
                with self._mailbox_of_its_own(theirs):
                    self._compare(theirs, state, unknown, moved)

    def count(self) -> list[tuple[MailboxPath, FlagChange]]:
        """Count what is to do, for the bar and the dry run; returns the flag changes."""
        changes: list[tuple[MailboxPath, FlagChange]] = []
        for theirs, targets in self.targets.by_theirs.items():
            ledger = self._ledger(theirs)
            state = self._states.get(theirs)
            known = {key for key, line in ledger.items() if not line.pending}
            for target in targets:
                tally = self.report.of(target.ours.path)
                tally.to = show(theirs)
                for message in self.targets.messages(target):
                    key = key_of(message)
                    tally.seen += 1
                    if key in known or (theirs, key) in self._found:
                        tally.duplicate += (theirs, key) not in self.ahead
                        line = ledger.get(key)
                        change = (
                            flag_change(message, line, state.uidvalidity)
                            if line and state
                            else None
                        )
                        if change:
                            changes.append((theirs, change))
                            tally.flags += 1
                    elif (theirs, key) not in self.ahead:
                        known.add(key)
                        self._needed[theirs] += message.size
                        self.progress.expect(1, message.size)
                        if self.report.dry_run:
                            tally.new += 1
                            tally.octets += message.size
        return changes

    def create(self) -> None:
        """Make missing mailboxes and learn what all of them keep; messages for one that cannot be
        made are reported, not dropped.
        """
        wanted = [mailbox for mailbox in self.targets.wanted() if mailbox.path not in self.made]
        for path, error in self._destination.create(wanted).items():
            if error is not None:
                self._refused.add(path)
                self.report.trouble_with("mailbox", path, "", str(error))
        if isinstance(self._destination, NamingDestination):
            self._renamed = set(self._destination.instead().values())
            self._rename(self._destination.instead(), "the server refuses its name")

    def measure(self) -> None:
        """Compare what is to be sent with what the server still takes.

        Raises OverQuota, before the first of it is sent.
        """
        needed = {
            theirs: octets for theirs, octets in self._needed.items() if theirs not in self._refused
        }
        if needed and isinstance(self._destination, BoundedDestination):
            demand_room(self._destination, needed, self.report)

    def parcels(self) -> Iterator[Parcel]:
        """Name what the ledger knows nothing of, an intent ahead of each; content is read as the
        destination asks for it.
        """
        for theirs in self.targets.by_theirs:
            ledger = self._ledger(theirs)
            if theirs in self._refused:
                self._give_up(theirs, ledger)
                continue
            done = self._found | self.ahead
            fresh = (
                one
                for one in self._messages(theirs)
                if key_of(one) not in ledger and (theirs, key_of(one)) not in done
            )
            yield from self._intended(
                theirs, self.budget.within(fresh, lambda message: message.size)
            )

    def send(self, parcels: Iterable[Parcel]) -> None:
        """Append and write down each answer."""
        for answer in self._destination.append(parcels):
            message, theirs = answer.parcel.message, answer.parcel.mailbox
            tally = self.report.of(message.mailbox)
            if isinstance(answer, Appended):
                self._run.settle(theirs, message, answer.uidvalidity, answer.uid, message.flags)
                self._arrived(message)
                self.budget.spend(message.size)
                self._unkept.setdefault(theirs, Counter()).update(message.flags - answer.flags)
                if answer.repaired:
                    tally.repaired += 1
                    self.report.note("repaired", message.mailbox, name_of(message), answer.repaired)
            elif isinstance(answer, Refused):
                self._run.withdraw(theirs, message)
                tally.failed += 1
                self.report.trouble_with("refused", message.mailbox, name_of(message), answer.why)
                self.progress.advance(1, message.size)
            else:
                self._unanswered = True
                self.budget.spend(
                    message.size
                )  # it crossed the line, as far as the server's own count goes
        self._run.flush()

    def change_flags(self, changes: Sequence[tuple[MailboxPath, FlagChange]]) -> None:
        """Carry over flags that changed at the source; a message no longer there is remembered as
        removed, not sent again.
        """
        by_theirs: dict[MailboxPath, list[FlagChange]] = {}
        for theirs, change in changes:
            by_theirs.setdefault(theirs, []).append(change)
        for theirs, here in by_theirs.items():
            with self._mailbox_of_its_own(theirs):
                alive = set(
                    self._destination.set_flags(
                        theirs, {change.uid: (change.add, change.remove) for change in here}
                    )
                )
                for change in here:
                    message = change.message
                    if change.uid in alive:
                        self._run.reflagged(theirs, message.identity, message.copy, message.flags)
                    else:
                        self._was_removed(theirs, message)
        self._run.flush()

    def settle_doubts(self) -> None:
        """Send again what stayed without an answer, but only after two looks, far enough apart for
        a slow server to finish.

        Once more as long as there is less of it each time: a bad line gets everything through, a
        message that breaks lines does not.
        """
        before: int | None = None
        while True:
            if self._unanswered and self._doubts():
                self._look_again()
            self._unanswered = False
            doubts = self._doubts()
            many = sum(len(messages) for messages in doubts.values())
            if not many or (before is not None and many >= before):
                break
            before = many
            wait = self._looked_at + self._patience.seconds - self._patience.clock()
            if wait > 0:
                self.progress.note(
                    f"{many} messages had no answer; looking again in {wait:.0f} s, in case the"
                    " server is still storing them"
                )
                self._patience.sleep(wait)
            self._look_again()
            self.send(
                parcel
                for theirs, messages in self._doubts().items()
                for parcel in self._intended(theirs, messages)
            )
        for theirs, messages in doubts.items():
            self.report.trouble_with(
                "unanswered",
                theirs,
                "",
                f"{len(messages)} messages had no answer; the next push looks for them first",
            )

    def tell_flags(self) -> None:
        """Say which flags messages came without, because a mailbox does not keep them."""
        for theirs, flags in self._unkept.items():
            words = ", ".join(
                f"{flag} ({many})" for flag, many in flags.most_common(NAMES_SHOWN)
            ) + (", …" if len(flags) > NAMES_SHOWN else "")
            if words:
                self.report.note(
                    "flags-left-out",
                    theirs,
                    "",
                    f"messages came without flags that are not kept there: {words}",
                )

    def tell_moved(self) -> None:
        """Say how many messages left their mailbox for another one, and were not brought back for
        that.
        """
        for path, identities in self.targets.moved.items():
            count = (
                f"{len(identities):,}"
                f" message{' that was' if len(identities) == 1 else 's that were'}"
            )
            self.report.note(
                "moved",
                path,
                "",
                f"{count} in here live in another mailbox now, so they are not brought back"
                " (--also-moved does)",
            )

    def _rename(self, places: Mapping[MailboxPath, MailboxPath], why: str) -> None:
        """Send messages to other mailboxes than meant; say so where a name changed, not where only
        its place below a prefix did.
        """
        by_theirs: dict[MailboxPath, list[Target]] = {}
        for theirs, targets in self.targets.by_theirs.items():
            place = places.get(theirs, theirs)
            by_theirs.setdefault(place, []).extend(
                replace(target, theirs=place) for target in targets
            )
            if place != theirs[-len(place) :]:
                self.report.note(
                    "renamed",
                    theirs,
                    "",
                    f"is called {show(place)} there: {why}; `map:` gives it another name",
                )
        self.targets = replace(self.targets, by_theirs=by_theirs)

    def _ledger(self, theirs: MailboxPath) -> dict[Key, LedgerLine]:
        """Return what is believed of the ledger: all of it, or, for a restore, only what has no
        answer yet.
        """
        lines = self._run.ledger(theirs)
        return (
            lines if self.believing else {key: line for key, line in lines.items() if line.pending}
        )

    @contextmanager
    def _mailbox_of_its_own(self, theirs: MailboxPath) -> Iterator[None]:
        """Let a mailbox that cannot be used (removed there meanwhile) stop no other: it is told,
        and left to the next push.
        """
        try:
            yield
        except MailboxError as error:
            self._refused.add(theirs)
            self.report.trouble_with("mailbox", theirs, "", str(error))

    def _messages(self, theirs: MailboxPath) -> Iterator[ArchivedMessage]:
        """Yield each message for one of their mailboxes once, also when several of ours end
        there.
        """
        given: set[Key] = set()
        for target in self.targets.by_theirs.get(theirs, ()):
            for message in self.targets.messages(target):
                if key_of(message) not in given:
                    given.add(key_of(message))
                    yield message

    def _intended(
        self, theirs: MailboxPath, messages: Iterable[ArchivedMessage]
    ) -> Iterator[Parcel]:
        rest = (message for message in messages if (theirs, key_of(message)) not in self._found)
        while chunk := list(islice(rest, INTENTS_TOGETHER)):
            self._run.intend(theirs, self._states[theirs], chunk)
            for message in chunk:
                try:
                    content = self._archive.content(message.digest)
                except IntegrityError as error:
                    self._run.withdraw(theirs, message)
                    self.report.of(message.mailbox).failed += 1
                    self.report.trouble_with(
                        "damaged",
                        message.mailbox,
                        name_of(message),
                        f"{error}; the next pull fetches it anew",
                    )
                else:
                    yield Parcel(message, theirs, content)

    def _give_up(self, theirs: MailboxPath, ledger: Mapping[Key, LedgerLine]) -> None:
        for message in unsettled(self._messages(theirs), ledger):
            self.report.of(message.mailbox).failed += 1

    def _doubts(self) -> dict[MailboxPath, list[ArchivedMessage]]:
        """Find the messages whose intents have no answer."""
        doubts: dict[MailboxPath, list[ArchivedMessage]] = {}
        for theirs in self.targets.by_theirs:
            pending = {key for key, line in self._ledger(theirs).items() if line.pending}
            if pending and theirs not in self._refused:
                doubts[theirs] = [
                    message for message in self._messages(theirs) if key_of(message) in pending
                ]
        return {theirs: messages for theirs, messages in doubts.items() if messages}

    def _look_again(self) -> None:
        self._looked_at = self._patience.clock()
        for theirs, messages in self._doubts().items():
            with self._mailbox_of_its_own(theirs):
                self._states[theirs] = self._destination.state(theirs)
                self._compare(theirs, self._states[theirs], messages)
                for message in messages:
                    if (theirs, key_of(message)) in self._found:
                        self._arrived(message)

    def _arrived(self, message: ArchivedMessage) -> None:
        tally = self.report.of(message.mailbox)
        tally.new += 1
        tally.octets += message.size
        self.progress.advance(1, message.size)

    def _compare(
        self,
        theirs: MailboxPath,
        state: SyncState,
        messages: Sequence[ArchivedMessage],
        moved: Sequence[ArchivedMessage] = (),
    ) -> None:
        """Look for `messages` from the first UID any of them can have, and for `moved`, whose UIDs
        are not known; settle what is there.

        Messages that arrived, but nobody knows under which UIDs, are looked for too: one of
        `messages` must not be taken for one of them.
        """
        ledger = self._run.ledger(theirs)
        asked = {key_of(message) for message in messages}
        lines = [ledger.get(key) for key in asked]
        first = (
            1
            if moved
            else min(
                (line.uidnext if line and line.uidvalidity == state.uidvalidity else 1)
                for line in lines
            )
        )
        rivals = held_by(
            self.targets,
            theirs,
            {key for key in ledger.keys() - asked if unlocated(ledger[key], state.uidvalidity)},
        )
        if first > 1:
            looks, ids = (
                {message.presence for message in messages},
                {message.message_id for message in messages} - {""},
            )
            rivals = [
                rival for rival in rivals if rival.presence in looks or rival.message_id in ids
            ]
        taken = [
            line.uid
            for key, line in ledger.items()
            if key not in asked and line.uid and line.uidvalidity == state.uidvalidity
        ]
        sightings = (
            sighting_of(present)
            for present in self._destination.presence(theirs, 1 if rivals else max(first, 1))
        )
        outcome = compare([*rivals, *messages], sightings, taken)
        for message, uid in [
            *outcome.there,
            *told_by_bodies(self.targets, self._destination, theirs, outcome.ambiguous),
        ]:
            key = key_of(message)
            self._found.add((theirs, key))
            if not self.report.dry_run:
                self._run.settle(
                    theirs,
                    message,
                    state.uidvalidity,
                    uid,
                    ledger[key].flags if key in ledger else message.flags,
                )
        if not self.report.dry_run:
            missing = {key_of(message) for message in outcome.missing}
            for message in moved:
                if key_of(message) in missing:
                    self._was_removed(theirs, message)
            self._run.flush()

    def _was_removed(self, theirs: MailboxPath, message: ArchivedMessage) -> None:
        self._run.removed(theirs, [key_of(message)])
        self.report.of(message.mailbox).removed += 1
        self.report.note(
            "removed-there",
            message.mailbox,
            name_of(message),
            "was taken away on the destination; not brought back",
        )


def name_of(message: ArchivedMessage) -> str:
    """Name a message of the archive for a person: by its subject, and by the digest that `show`
    takes.
    """
    return f"{message.subject or '(no subject)'} [{message.digest.hex()[:12]}]"
