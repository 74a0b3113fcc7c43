"""A source, an archive on disk and a destination, with runs that open and close the archive as the
command line does.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mailsync.archive import Archive, PushRun
from mailsync.engine.proof import Question, prove, settle
from mailsync.engine.proof_outcome import Proof
from mailsync.engine.pull import pull, rehearse_pull
from mailsync.engine.push import Patience, PushSession, push, rehearse_push, send_again
from mailsync.engine.report import Report
from mailsync.engine.selection import Selection
from mailsync.engine.targets import Targets, find_targets
from mailsync.formats import header
from mailsync.mapping import MappingRules
from mailsync.model import ArchivedMessage, MailboxPath, Parcel
from mailsync.progress import Silence
from mailsync.stores.base import Destination, Source
from mailsync.stores.memory import MemoryServer, MemoryStore
from tests.messages import plain

ACCOUNT = "old"
PATIENCE = 30.0


@dataclass(slots=True)
class Clock:
    """Time that passes when somebody sleeps, and then does what `while_asleep` says."""

    now: float = 1_700_000_000.0
    slept: list[float] = field(default_factory=list)
    while_asleep: Callable[[], None] = lambda: None

    def __call__(self) -> float:
        self.now += 0.001
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.while_asleep()


class Keeper(MemoryServer):
    """A server that keeps of each message it takes what `keeps` makes of it, and says the UID that
    `told` makes of it.
    """

    told: Callable[[int], int] = staticmethod(lambda uid: uid)
    keeps: Callable[[bytes], Iterable[bytes]] = staticmethod(lambda content: [content])

    def _keep(self, parcel: Parcel) -> int:
        date = parcel.message.internaldate
        uid = self.told(self.boxes[parcel.mailbox].uidnext)
        self.taken += 1
        for content in self.keeps(parcel.content):
            self.deliver(parcel.mailbox, content, *parcel.message.flags, internaldate=date)
        return uid


def routed(number: int) -> bytes:
    """A message that was delivered, under a queue id of its own."""
    return b"Received: from a by b with ESMTP id %d;\r\n\tMon, 2 Jun 2014 10:00:00 +0000\r\n" % (
        number
    ) + plain(number)


def headed(content: bytes) -> bytes:
    return header.block(content)


def swapped(content: bytes) -> bytes:
    """Another body of the same size under the same header."""
    head = header.block(content)
    return head + content[len(head) :].swapcase()


@dataclass(slots=True)
class Rig:
    directory: Path
    old: MemoryServer = field(default_factory=lambda: MemoryServer(condstore=True))
    new: MemoryServer = field(default_factory=Keeper)
    clock: Clock = field(default_factory=Clock)
    dedupe: str = "message-id"
    container: str = "maildir"

    @property
    def keeper(self) -> Keeper:
        assert isinstance(self.new, Keeper)
        return self.new

    def archive(self) -> Archive:
        return Archive.open(
            self.directory, container=self.container, dedupe=self.dedupe, clock=self.clock
        )

    def pull(
        self, *, source: Source | None = None, only: Sequence[str] = (), among: Sequence[str] = ()
    ) -> Report:
        report = Report("pull", ACCOUNT)
        with self.archive() as archive, archive.pull(ACCOUNT) as run:
            pull(
                source or MemoryStore(self.old, ACCOUNT),
                run,
                report,
                Silence(),
                only=only,
                among=among,
            )
            run.finish(complete=report.complete, report=report.as_json())
        return report

    def rehearse(self, **globs: Sequence[str]) -> Report:
        report = Report("pull", ACCOUNT, dry_run=True)
        with Archive.read(self.directory) as archive:
            rehearse_pull(
                MemoryStore(self.old, ACCOUNT), archive.last_known(ACCOUNT), report, **globs
            )
        return report

    def targets(
        self,
        archive: Archive,
        store: Destination,
        rules: MappingRules | None = None,
        only: Sequence[str] = (),
    ) -> Targets:
        return find_targets(
            archive,
            ACCOUNT,
            store.mailboxes(),
            rules or MappingRules(),
            Selection(globs=tuple(only)),
        )

    def push(
        self,
        *,
        store: Destination | None = None,
        rules: MappingRules | None = None,
        only: Sequence[str] = (),
        dry_run: bool = False,
        restore: bool = False,
    ) -> Report:
        destination = store or MemoryStore(self.new, "new")
        report = Report("push", ACCOUNT, destination.key, dry_run=dry_run)
        with self.archive() as archive:
            targets = self.targets(archive, destination, rules, only)
            with archive.push(ACCOUNT, destination.key, rehearsal=dry_run) as run:
                session = self.session(run, destination, report)
                (rehearse_push if dry_run else push)(session, targets, restore=restore)
                run.finish(complete=report.complete, report=report.as_json())
        return report

    def session(self, run: PushRun, destination: Destination, report: Report) -> PushSession:
        """What a push works with; its time is the rig's."""
        patience = Patience(PATIENCE, self.clock, self.clock.sleep)
        return PushSession(run, destination, report, Silence(), patience)

    def migrate(self) -> tuple[Report, Report]:
        return self.pull(), self.push()

    def messages(self, path: MailboxPath, *, gone: bool = False) -> list[ArchivedMessage]:
        with Archive.read(self.directory) as archive:
            return list(archive.messages(ACCOUNT, path, include_gone=gone))

    def archived(self, path: MailboxPath, *, gone: bool = False) -> list[bytes]:
        """The contents of a mailbox in the archive, sorted."""
        with Archive.read(self.directory) as archive:
            return sorted(
                archive.content(message.digest)
                for message in archive.messages(ACCOUNT, path, include_gone=gone)
            )

    def there(self, path: MailboxPath) -> list[bytes]:
        """The contents of a mailbox of the destination, sorted."""
        return sorted(self.new.contents(path))

    def forget_ledger(self) -> None:
        with self.archive() as archive:
            archive._catalogue.sql.execute("DELETE FROM ledger")

    def damage(self, content: bytes) -> None:
        """Let a bit of each file of a message flip on the disk."""
        files = self.files(content)
        assert files
        for file in files:
            file.write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])

    def files(self, content: bytes) -> list[Path]:
        name = hashlib.sha256(content).hexdigest()[:32]
        return [
            file
            for file in (self.directory / "mail").rglob(f"*.{name}*.mailsync,*")
            if file.is_file()
        ]

    def everything(self) -> object:
        """All that lies in the archive's tree, and what the catalogue says of messages and of the
        ledger.
        """
        with Archive.read(self.directory) as archive:
            tables = ("placements", "files", "messages", "mailboxes", "ledger", "spans")
            rows = {
                name: (
                    archive._catalogue.sql.execute(
                        f"SELECT * FROM {name} ORDER BY 1, 2, 3"
                    ).fetchall()
                )
                for name in tables
            }
        tree = sorted(str(file) for file in (self.directory / "mail").rglob("*") if file.is_file())
        return rows, tree


def kinds(report: Report) -> Counter[str]:
    """How many notes of each kind a report has."""
    return Counter(note.kind for note in report.notes)


def proved(
    rig: Rig,
    store: Destination | None = None,
    *,
    content: bool = False,
    seen: dict[tuple[str, ...], int] | None = None,
) -> Report:
    """Push, prove, and send again and prove again what is not there, as a migration does."""
    report = Report("push", ACCOUNT, "new")
    destination = store or MemoryStore(rig.new, "new")
    with rig.archive() as archive:
        targets = rig.targets(archive, destination)
        with archive.push(ACCOUNT, destination.key) as run:
            session = rig.session(run, destination, report)
            targets = push(session, targets)

            def look(question: Question) -> Proof:
                question = replace(question, seen=seen or {}, content=content)
                return prove(targets, run, MemoryStore(rig.new, "new"), question)

            proof = settle(look, lambda: send_again(session, targets), session.wait)
            proof.tell(report)
            run.finish(complete=report.complete, report=report.as_json())
    return report
