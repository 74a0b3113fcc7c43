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
from mailsync.engine.targets import Target
from mailsync.formats.quantities import messages as counted
from mailsync.mapping import show
from mailsync.model import ArchivedMessage, LedgerKey, LedgerLine, MailboxPath

_WORDS: Final = {
    Verdict.REWRITTEN: ("rewritten", "the server changed line ends, octets or fields in it"),
    Verdict.REPAIRED: ("repaired", "is there as the repaired copy that was sent"),
    Verdict.WITHHELD: ("unproved", "the server does not send it, so that it was not compared"),
    Verdict.DAMAGED: ("damaged", "its file is damaged or missing; the next pull fetches it anew"),
}


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


@dataclass(slots=True)
class _Corrections:
    """What is to be written into the ledger, as (mailbox of the destination, message)."""

    withdrawn: list[tuple[MailboxPath, LedgerKey]] = field(default_factory=list)
    removed: list[tuple[MailboxPath, LedgerKey]] = field(default_factory=list)
    mangled: list[tuple[MailboxPath, LedgerKey]] = field(default_factory=list)
    sound: list[tuple[MailboxPath, LedgerKey, LedgerLine]] = field(default_factory=list)


class Proof:
    """What one proof found; it is told once it is the last one of a run.

    With `last` nothing is sent again in this run; with `content` all contents are compared.
    """

    def __init__(self, account: str, run: PushRun, *, last: bool, content: bool) -> None:
        self._account = account
        self._run = run
        self._last = last
        self._content = content
        self._mailboxes: list[ProvedMailbox] = []
        self._removed: list[ArchivedMessage] = []
        self._said: list[_Said] = []
        self._corrections = _Corrections()

    @property
    def withdrawn(self) -> int:
        """How many messages are not there as they were sent, and may be sent again."""
        return len(self._corrections.withdrawn)

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
        place = mailbox.aim.destination, message.key
        if verdict in THERE:
            mailbox.found += 1
            mailbox.compared += 1
            if line.mangled:
                self._corrections.sound.append((*place, line))
        if verdict is not Verdict.DIFFERS:
            if verdict in _WORDS and (self._content or verdict not in THERE):
                kind, text = _WORDS[verdict]
                said = _Said(kind, mailbox.path, message, text, trouble=verdict not in THERE)
                self._said.append(said)
        elif line.mangled or (self._last and line.run == self._run.id):
            self._corrections.mangled.append(place)
            text = (
                "is there with another content than was sent, although it was sent twice; it is"
                f" not sent a third time: delete it there, and {self._restore()} sends it again"
            )
            self.trouble("differs", mailbox.path, message, text)
        else:
            self._corrections.withdrawn.append(place)
            text = "is there with another content than was sent; the next run sends it again"
            self.trouble("differs", mailbox.path, message, text)

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
        path, renumbered = mailbox.aim.destination, 0
        for message in messages:
            line = ledger[message.key]
            if line.run == self._run.id:
                self._corrections.withdrawn.append((path, message.key))
                text = f"the server took it, and it is not in {show(path)} there"
                self.trouble("not-there", mailbox.path, message, text)
                continue
            mailbox.removed += 1
            renumbered += line.uidvalidity not in {None, uidvalidity}
            self._corrections.removed.append((path, message.key))
            self._removed.append(message)
        if renumbered and not mailbox.found:
            text = (
                f"{show(path)} was made anew on the destination since: {counted(renumbered)} that"
                f" had been sent are gone with the old one; {self._restore()} brings them back"
            )
            self.trouble("made-anew", mailbox.path, None, text)

    def write_down(self) -> None:
        """Correct the ledger by what was found."""
        run, corrections = self._run, self._corrections
        for path, key in corrections.withdrawn:
            run.disprove(path, key)
        for path, key in corrections.mangled:
            run.mangled(path, key)
        for path, key in corrections.removed:
            run.removed(path, [key])
        for path, key, line in corrections.sound:
            run.settle(path, key, line.uidvalidity, line.uid, line.flags)
        run.flush()

    def tell(self, report: Report) -> None:
        """Write it into a report, but for what was said there of a message before."""
        noted = {(note.mailbox, note.message) for note in report.notes}
        report.proof.extend(mailbox.proved() for mailbox in self._mailboxes)
        for message in self._removed:
            note_removed(message, report)
        for said in self._said:
            name = name_of_message(said.message) if said.message else ""
            if not said.trouble:
                report.note(said.kind, said.path, name, said.text)
            elif not name or (show(said.path), name) not in noted:
                report.trouble_with(said.kind, said.path, name, said.text)

    def _restore(self) -> str:
        return f"`mailsync restore {self._account} --to …`"
