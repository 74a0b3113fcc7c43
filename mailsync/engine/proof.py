"""The end of a migration: every message of the source is in the archive and on the destination, or
it is named.

The destination is listed over a connection of its own that only reads, so that nothing a push
believed can vouch for itself. What is said is what was compared: the sizes of all messages, and the
contents of a sample, of those whose size does not fit, and of all where one of the sample is wrong.
A line of the ledger that is wrong is withdrawn, so that its message is sent again, once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from heapq import nsmallest

from mailsync.archive import ArchivedMailbox, PushRun
from mailsync.engine.matching import SAMPLE, ArchiveLikeness, Sceptic
from mailsync.engine.proof_contents import THERE, Verdict, compared
from mailsync.engine.proof_elsewhere import elsewhere
from mailsync.engine.proof_outcome import Proof, ProvedMailbox
from mailsync.engine.proof_search import MailboxSearch
from mailsync.engine.targets import Target, Targets
from mailsync.errors import IntegrityError, MailboxError, MailboxMissing
from mailsync.mapping import show
from mailsync.model import (
    ArchivedMessage,
    Entry,
    LedgerKey,
    LedgerLine,
    Mailbox,
    MailboxPath,
    Scan,
    ScanRequest,
)
from mailsync.stores.base import Source


@dataclass(frozen=True, slots=True)
class Question:
    """What a proof is asked.

    `seen` says how many messages of a mailbox the source showed in this run; of the others its last
    state tells it. With `content` each message is downloaded and compared. `before` is the proof
    ahead of this one in the same run, after which something was sent again. An `early` one writes
    nothing down where messages that were just sent are not there: they may still be on their way.
    """

    seen: Mapping[MailboxPath, int] = field(default_factory=dict)
    content: bool = False
    before: Proof | None = None
    early: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    """A message that is there as far as its size tells."""

    mailbox: ProvedMailbox
    message: ArchivedMessage
    entry: Entry


def settle(
    look: Callable[[Question], Proof], send_again: Callable[[], object], wait: Callable[[], object]
) -> Proof:
    """Prove, and send again what is not there as it was sent, as long as that helps; returns the
    last proof. What is not there at all is looked for once more after a `wait`: a server may show
    what it took some seconds later.
    """
    proof = look(Question(early=True))
    if proof.unseen:
        wait()
        proof = look(Question())
    while proof.calls_for_sending:
        send_again()
        proof = look(Question(before=proof))
    return proof


def prove(targets: Targets, run: PushRun, source: Source, question: Question) -> Proof:
    """Look for every message of these targets on the destination, whose `source` this is.

    A message is found by the UID the ledger has for it, else by its header. The ledger is corrected
    by what is found. Raises StoreUnavailable.
    """
    prover = _Prover(targets, run, source, question)
    if prover.prove():
        return prover.proof
    whole = _Prover(targets, run, source, replace(question, content=True))
    whole.prove()
    return whole.proof


def confirm(targets: Targets, run: PushRun, source: Source, question: Question) -> Proof:
    """Look for what this run sent, as `prove` does. Raises StoreUnavailable."""
    confirmer = _Confirmer(targets, run, source, question)
    if confirmer.prove():
        return confirmer.proof
    whole = _Confirmer(targets, run, source, replace(question, content=True))
    whole.prove()
    return whole.proof


class _Prover:
    """One look at a destination."""

    def __init__(self, targets: Targets, run: PushRun, source: Source, question: Question) -> None:
        self.proof = Proof(targets, run, question.before, content=question.content)
        self._targets = targets
        self._archive = targets.archive
        self._run = run
        self._source = source
        self._question = question
        kind = Sceptic if question.content else ArchiveLikeness
        self._likeness = kind(targets.archive)
        self._sample: list[_Found] = []
        self._boxes: Mapping[MailboxPath, ArchivedMailbox] = {}
        self._memory = targets.archive.last_known(targets.account)

    def prove(self) -> bool:
        """Look at all mailboxes; False, with nothing written down, where a message of the sample is
        another one than its size told.
        """
        archive, account = self._archive, self._targets.account
        self._boxes = {box.path: box for box in archive.mailboxes(account)}
        places = self._places()
        scans = self._scans(places)
        for path, aims in places.items():
            scan, ledger = scans[path], self._run.ledger(path)
            listed = None if isinstance(scan, MailboxError) else scan
            search = MailboxSearch(
                self._archive, self._source, self._likeness, path, ledger=ledger, scan=listed
            )
            for aim in aims:
                mailbox = self._begun(aim, ledger)
                if isinstance(scan, MailboxError):
                    text = f"{show(path)} could not be looked at on the destination: {scan}"
                    self.proof.trouble("unproved", aim.source.path, None, text)
                else:
                    self._look(mailbox, search, ledger)
        if not self._sample_is_right():
            return False
        unseen = self.proof.unseen
        if not (unseen and self._question.early):
            for one, where in elsewhere(self._targets, self._run, self._source, unseen):
                self.proof.filed(one, where)
            self.proof.write_down()
        return True

    def _places(self) -> Mapping[MailboxPath, Sequence[Target]]:
        """Return what is to be proved, by mailbox of the destination."""
        return self._targets.by_destination

    def _scans(self, paths: Iterable[MailboxPath]) -> dict[MailboxPath, Scan | MailboxError | None]:
        """List these mailboxes of the destination, also such as its list leaves out; None for those
        that are not there.
        """
        listed = {mailbox.path: mailbox for mailbox in self._source.mailboxes()}
        mailboxes = [listed.get(path) or Mailbox(path) for path in paths]
        scans = self._source.scan(self._request(mailbox) for mailbox in mailboxes)
        return {
            mailbox.path: None if isinstance(scan, MailboxMissing) else scan
            for mailbox, scan in zip(mailboxes, scans, strict=True)
        }

    def _request(self, mailbox: Mailbox) -> ScanRequest:
        return ScanRequest(mailbox)

    def _begun(
        self,
        aim: Target,
        ledger: Mapping[LedgerKey, LedgerLine],  # noqa: ARG002  others choose by it
    ) -> ProvedMailbox:
        """Count what the source and the archive have, the archive by its files."""
        archive, account, origin = self._archive, self._targets.account, aim.source.path
        box, state = self._boxes.get(origin), self._memory.state(origin)
        lost = archive.lost(account, origin)
        live = box.live if box else 0
        held = max(0, live - len(lost))
        at_source = self._question.seen.get(origin) or (state.messages if state else live)
        for digest in lost:
            with suppress(IntegrityError):
                archive.content(digest)  # which remembers the damage, for the next pull to mend
        messages = {message.key: message for message in self._targets.messages(aim)}
        return self.proof.begin(aim, at_source, held, messages, len(lost))

    def _look(
        self,
        mailbox: ProvedMailbox,
        search: MailboxSearch,
        ledger: Mapping[LedgerKey, LedgerLine],
    ) -> None:
        """Look for the messages of one mailbox, and compare those whose size does not fit."""
        messages, proof = mailbox.messages, self.proof
        result = search.sort(messages.values())
        mailbox.removed += len(result.removed)
        mailbox.found += len(result.found) + len(result.proven)
        mailbox.compared += len(result.proven)
        for message in result.unsent:
            proof.not_sent(mailbox, message)
        asked = {**result.doubtful, **(result.found if self._question.content else {})}
        mailbox.found -= len(asked) - len(result.doubtful)
        absent = list(result.absent) if search.is_whole else []
        if len(absent) < len(result.absent):
            where = show(mailbox.aim.destination)
            text = f"the server shows less of {where} than it says is there; look again later"
            proof.trouble("unproved", mailbox.path, None, text)
        pairs = [(messages[key], entry) for key, entry in asked.items()]
        for message, verdict in compared(self._archive, self._source, pairs):
            if verdict is Verdict.GONE:
                absent.append(message)
            else:
                proof.judge(mailbox, message, verdict, ledger[message.key])
        for message in result.supplanted:
            proof.judge(mailbox, message, Verdict.DIFFERS, ledger[message.key])
        proof.absent(mailbox, absent, ledger, search.uidvalidity)
        if not self._question.content:
            found = (_Found(mailbox, messages[key], entry) for key, entry in result.found.items())
            self._sample = nsmallest(SAMPLE, [*self._sample, *found], key=self._rank)
        mailbox.messages = {}

    def _rank(self, one: _Found) -> bytes:
        """Order messages otherwise in every run."""
        return hashlib.sha256(b"%d" % self._run.id + one.message.digest).digest()

    def _sample_is_right(self) -> bool:
        """Compare the sample, in one flight; False where one of it is another message."""
        by_message = {id(one.message): one for one in self._sample}
        pairs = [(one.message, one.entry) for one in self._sample]
        for message, verdict in compared(self._archive, self._source, pairs):
            if verdict in THERE:
                by_message[id(message)].mailbox.compared += 1
            elif verdict in {Verdict.DIFFERS, Verdict.GONE}:
                return False
        return True


class _Confirmer(_Prover):
    """A look at what this run sent, and at nothing else."""

    def _places(self) -> Mapping[MailboxPath, Sequence[Target]]:
        run = self._run.id
        return {
            path: aims
            for path, aims in self._targets.by_destination.items()
            if any(line.run == run for line in self._run.ledger(path).values())
        }

    def _request(self, mailbox: Mailbox) -> ScanRequest:
        """Ask for what came since, where the server can tell."""
        before = {one.path: one.state for one in self._targets.listed}.get(mailbox.path)
        return ScanRequest(mailbox, before if before and before.highestmodseq else None)

    def _begun(self, aim: Target, ledger: Mapping[LedgerKey, LedgerLine]) -> ProvedMailbox:
        run = self._run.id
        messages = {
            message.key: message
            for message in self._targets.chosen.held(aim.source.path)
            if (line := ledger.get(message.key)) and line.run == run and not line.removed
        }
        return self.proof.begin(aim, 0, 0, messages, 0)
