"""What a proof found: counted by mailbox, said in words, and written into the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mailsync.archive import PushRun
from mailsync.engine.names import name_of_message
from mailsync.engine.proof_contents import THERE, Verdict
from mailsync.engine.push.reporting import note_removed
from mailsync.engine.report import Proved, Report
from mailsync.engine.targets import Target, Targets
from mailsync.formats.quantities import messages as counted
from mailsync.mapping import show
from mailsync.model import ArchivedMessage, LedgerKey, LedgerLine, MailboxPath
from mailsync.plan.pull import ALARM_COUNT, ALARM_SHARE

_WORDS: Final = {
    Verdict.REWRITTEN: ("rewritten", "the server changed line ends, octets or fields in it"),
    Verdict.REPAIRED: ("repaired", "is there as the repaired copy that was sent"),
    Verdict.WITHHELD: ("unproved", "the server does not send it, so that it was not compared"),
    Verdict.DAMAGED: ("damaged", "its file is damaged or missing; the next pull fetches it anew"),
}

_CONSEQUENCES: Final = frozenset({"not-there", "damaged"})
_CAUSES: Final = frozenset({"refused", "damaged", "failed", "short"})
"""Remarks that need not be made of a message of which one of these was made before."""

PROBES: Final = 3
"""Messages sent again before all others that differ."""


@dataclass(slots=True)
class ProvedMailbox:
    """A mailbox of the source while it is proved: `messages` by their ledger keys, and numbers as
    in `Proved`.
    """

    aim: Target
    at_source: int
    in_archive: int
    messages: dict[LedgerKey, ArchivedMessage]
    total: int
    found: int = 0
    removed: int = 0
    compared: int = 0

    @property
    def path(self) -> MailboxPath:
        """The mailbox of the source."""
        return self.aim.source.path

    def proved(self) -> Proved:
        """Return the numbers."""
        return Proved(
            self.path,
            self.aim.destination,
            self.at_source,
            self.in_archive,
            self.total,
            self.found,
            self.removed,
            self.compared,
        )


@dataclass(frozen=True, slots=True)
class _Said:
    """A remark, with `trouble` one that makes the run incomplete."""

    kind: str
    path: MailboxPath
    message: ArchivedMessage | None
    text: str
    trouble: bool


@dataclass(frozen=True, slots=True)
class _Differing:
    """A message that is there with another content."""

    mailbox: ProvedMailbox
    message: ArchivedMessage
    line: LedgerLine

    @property
    def place(self) -> tuple[MailboxPath, LedgerKey]:
        """How the ledger knows it."""
        return self.mailbox.aim.destination, self.message.key


@dataclass(frozen=True, slots=True)
class Unseen:
    """A message that this run sent, and that is not there; `aim` is the mailbox of the
    destination.
    """

    mailbox: ProvedMailbox
    message: ArchivedMessage

    @property
    def aim(self) -> MailboxPath:
        """The mailbox of the destination that it was sent to."""
        return self.mailbox.aim.destination


@dataclass(slots=True)
class _Corrections:
    """What is to be written into the ledger, as (mailbox of the destination, message).

    `probes` are some of the `withdrawn`; of the `mangled` some are `held` back until these have
    arrived.
    """

    probes: set[tuple[MailboxPath, LedgerKey]] = field(default_factory=set)
    held: set[tuple[MailboxPath, LedgerKey]] = field(default_factory=set)
    withdrawn: list[tuple[MailboxPath, LedgerKey]] = field(default_factory=list)
    removed: list[tuple[MailboxPath, LedgerKey]] = field(default_factory=list)
    mangled: list[tuple[MailboxPath, LedgerKey]] = field(default_factory=list)
    sound: list[tuple[MailboxPath, LedgerKey, LedgerLine]] = field(default_factory=list)


class Proof:
    """What one proof found; it is told once it is the last one of a run.

    What differs is sent again a few at first: a server that changes all it takes would hold
    everything twice. Only when these are right the others follow. `before` is the proof ahead of
    this one in the same run; with `content` all contents are compared.
    """

    def __init__(
        self, targets: Targets, run: PushRun, before: Proof | None, *, content: bool
    ) -> None:
        self._targets = targets
        self._run = run
        self._before = before
        self._content = content
        self._differing: list[_Differing] = []
        self._released = False
        self._mailboxes: list[ProvedMailbox] = []
        self._removed: list[ArchivedMessage] = []
        self._filed: set[tuple[MailboxPath, LedgerKey]] = set()
        self.unseen: list[Unseen] = []
        self._said: list[_Said] = []
        self.corrections = _Corrections()

    @property
    def calls_for_sending(self) -> bool:
        """Whether messages are not there as they were sent, and sending them again may help."""
        return bool(self.corrections.withdrawn) and (self._before is None or self._released)

    def begin(
        self,
        aim: Target,
        at_source: int,
        held: int,
        messages: dict[LedgerKey, ArchivedMessage],
        lost: int,
    ) -> ProvedMailbox:
        """Count one more mailbox; `lost` files of it are not there."""
        mailbox = ProvedMailbox(aim, at_source, held, messages, len(messages))
        self._mailboxes.append(mailbox)
        if lost:
            text = f"{counted(lost)} of the archive are not there any more; the next run fetches"
            self.trouble("files-missing", mailbox.path, None, f"{text} them again")
        elif held < at_source:
            text = f"the source has {at_source:,} messages, and the archive {held:,} of them"
            self.trouble("not-pulled", mailbox.path, None, text)
        return mailbox

    def trouble(
        self, kind: str, path: MailboxPath, message: ArchivedMessage | None, text: str
    ) -> None:
        """Keep a remark that makes the run incomplete."""
        self._said.append(_Said(kind, path, message, text, trouble=True))

    def not_sent(self, mailbox: ProvedMailbox, message: ArchivedMessage) -> None:
        """Name a message that did not arrive as far as the ledger tells."""
        where = show(mailbox.aim.destination)
        text = f"is not in {where} on the destination; the next run tries again"
        self.trouble("not-there", mailbox.path, message, text)

    def judge(
        self,
        mailbox: ProvedMailbox,
        message: ArchivedMessage,
        verdict: Verdict,
        line: LedgerLine,
    ) -> None:
        """Count a message that was downloaded, by what it turned out to be."""
        if verdict in THERE:
            mailbox.found += 1
            mailbox.compared += 1
            if line.mangled:
                self.corrections.sound.append((mailbox.aim.destination, message.key, line))
        if verdict is Verdict.DIFFERS:
            self._differing.append(_Differing(mailbox, message, line))
        elif verdict in _WORDS and (self._content or verdict not in THERE):
            kind, text = _WORDS[verdict]
            there = verdict in THERE
            self._said.append(_Said(kind, mailbox.path, message, text, trouble=not there))

    def absent(
        self,
        mailbox: ProvedMailbox,
        messages: Sequence[ArchivedMessage],
        ledger: Mapping[LedgerKey, LedgerLine],
        uidvalidity: int,
    ) -> None:
        """Count messages that are not there: those that this run sent never arrived, others were
        taken away since.
        """
        path, renumbered, before = mailbox.aim.destination, 0, mailbox.removed
        for message in messages:
            line = ledger[message.key]
            if line.run == self._run.id:
                self.unseen.append(Unseen(mailbox, message))
                continue
            mailbox.removed += 1
            renumbered += line.uidvalidity not in {None, uidvalidity}
            self.corrections.removed.append((path, message.key))
            self._removed.append(message)
        gone = mailbox.removed - before
        if renumbered and renumbered >= mailbox.found:
            text = (
                f"{show(path)} was made anew on the destination since: {counted(renumbered)} that"
                f" had been sent are gone with the old one; {self._restore(mailbox)} brings them"
                " back"
            )
            self.trouble("made-anew", mailbox.path, None, text)
        elif gone > ALARM_COUNT and gone > ALARM_SHARE * mailbox.total:
            text = (
                f"{counted(gone)} that had been sent vanished from {show(path)} on the destination"
                f" at once; {self._restore(mailbox)} brings them back"
            )
            self.trouble("mass-vanishing", mailbox.path, None, text)

    def filed(self, one: Unseen, where: MailboxPath) -> None:
        """Name a message that is in another mailbox than it was sent to; there it stays."""
        self._filed.add((one.aim, one.message.key))
        one.mailbox.removed += 1
        self.corrections.removed.append((one.aim, one.message.key))
        text = (
            f"the server took it for {show(one.aim)}, and has it in {show(where)}, where a rule or"
            " another program put it; it is not sent again"
        )
        self.trouble("elsewhere", one.mailbox.path, one.message, text)

    def write_down(self) -> None:
        """Correct the ledger by what was found."""
        self._decide()
        for one in self.unseen:
            if (one.aim, one.message.key) not in self._filed:
                self.corrections.withdrawn.append((one.aim, one.message.key))
                text = f"the server took it, and it is not in {show(one.aim)} there"
                self.trouble("not-there", one.mailbox.path, one.message, text)
        run, corrections = self._run, self.corrections
        for path, key in corrections.withdrawn:
            run.disprove(path, key)
        for path, key in corrections.mangled:
            run.mangled(path, key)
        for path, key in corrections.removed:
            run.removed(path, [key])
        for path, key, line in corrections.sound:
            run.settle(path, key, line.uidvalidity, line.uid, line.flags)
        run.flush()

    def _decide(self) -> None:
        """Choose what becomes of the messages that differ."""
        corrections, before = self.corrections, self._before
        fresh = [one for one in self._differing if not one.line.mangled]
        if before is None:
            fresh.sort(key=lambda one: one.message.size)
            corrections.probes = {one.place for one in fresh[:PROBES]}
            corrections.held = {one.place for one in fresh[PROBES:]}
            again = corrections.probes
        else:
            sent, held = before.corrections.probes, before.corrections.held
            differing = {one.place for one in self._differing}
            self._released = bool(sent) and not sent & differing and bool(held & differing)
            ours = {one.place for one in fresh if one.line.run != self._run.id}
            again = (held & differing if self._released else set()) | ours
        for one in self._differing:
            if one.place in again:
                corrections.withdrawn.append(one.place)
                text = "is there with another content than was sent; the next run sends it again"
            else:
                corrections.mangled.append(one.place)
                text = (
                    "is there with another content than was sent, and sending again is no use;"
                    f" delete it there, and {self._restore(one.mailbox)} sends it again"
                )
            self.trouble("differs", one.mailbox.path, one.message, text)

    def tell(self, report: Report, *, numbers: bool = True) -> None:
        """Write it into a report; without `numbers` only what is wrong. That a message is not there
        is not said again where the report says why.
        """
        noted = {(one.mailbox, one.message) for one in report.notes if one.kind in _CAUSES}
        report.proof.extend(mailbox.proved() for mailbox in self._mailboxes if numbers)
        for message in self._removed:
            note_removed(message, report)
        for said in self._said:
            name = name_of_message(said.message) if said.message else ""
            if not said.trouble:
                report.note(said.kind, said.path, name, said.text)
            elif said.kind in _CONSEQUENCES and (show(said.path), name) in noted:
                report.trouble = True
            else:
                report.trouble_with(said.kind, said.path, name, said.text)

    def _restore(self, mailbox: ProvedMailbox) -> str:
        return self._targets.restore(mailbox.path)
