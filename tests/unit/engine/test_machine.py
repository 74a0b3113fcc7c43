"""Whatever happens in whatever order: nothing is lost, nothing is doubled, and a second run does
nothing.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mailsync.archive import Archive
from mailsync.engine.pull import pull
from mailsync.engine.push import push
from mailsync.engine.report import Report
from mailsync.model import (
    INBOX,
    Appended,
    Entry,
    MailboxPath,
    Message,
    Parcel,
    Refused,
    Unanswered,
    Unfetched,
)
from mailsync.progress import Silence
from mailsync.stores.memory import Break, MemoryServer, MemoryStore
from tests.messages import plain
from tests.unit.engine.rig import ACCOUNT, Rig

PATHS: list[MailboxPath] = [INBOX, ("Work",), ("Work", "2024"), ("Ärger",)]
FLAGS = ["\\Seen", "\\Flagged", "work"]

paths = st.sampled_from(PATHS)
places = st.integers(0, 10_000)
flag_sets = st.frozensets(st.sampled_from(FLAGS))
kinds = st.sampled_from(["alert", "plain", "bare"])
fates: st.SearchStrategy[Literal["lost", "kept", "late"]] = st.sampled_from(
    ["lost", "kept", "late"]
)


PHASES: list[Phase] = [Phase.generate, Phase.shrink]


class Killed(BaseException):
    """The process is gone."""


@dataclass(slots=True)
class Life:
    """How many messages may still pass before the process is killed; None: it lives on."""

    left: int | None = None

    def step(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed


class Mortal(MemoryStore):
    """A store whose process may be killed at any message."""

    def __init__(self, server: MemoryServer, life: Life) -> None:
        super().__init__(server, "new")
        self.life = life

    def fetch(self, wanted: Iterable[Entry]) -> Iterator[Message | Unfetched]:
        for got in super().fetch(wanted):
            self.life.step()
            yield got

    def append(self, parcels: Iterable[Parcel]) -> Iterator[Appended | Refused | Unanswered]:
        for answer in super().append(parcels):
            self.life.step()
            yield answer


class Mailboxes(RuleBasedStateMachine):
    """Two servers and an archive between them."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.rig = Rig(self.directory / "archive")
        self.number = 0
        self.seen: set[bytes] = set()
        self.vague: set[bytes] = set()
        self.delivered: dict[MailboxPath, dict[int, bytes]] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.directory)

    @initialize(condstore=st.booleans(), object_ids=st.booleans(), uidplus=st.booleans())
    def servers(self, condstore: bool, object_ids: bool, uidplus: bool) -> None:
        self.rig.old = MemoryServer(condstore=condstore, object_ids=object_ids)
        self.rig.new = MemoryServer(uidplus=uidplus)
        self.rig.clock.while_asleep = self.rig.new.settle

    # what happens at the source

    @rule(path=paths, kind=kinds, count=st.integers(3, 12), flags=flag_sets)
    def messages_come(
        self, path: MailboxPath, kind: str, count: int, flags: frozenset[str]
    ) -> None:
        self.deliver(path, kind, count, flags)

    def deliver(self, path: MailboxPath, kind: str, count: int, flags: frozenset[str]) -> None:
        for _ in range(count):
            self.number += 1
            self.rig.old.deliver(path, made(kind, self.number), *flags)

    def _pick(self, place: int) -> tuple[MailboxPath, int]:
        """Choose a message of the source; UID 0 when there is none."""
        there = [(path, uid) for path, box in self.rig.old.boxes.items() for uid in box.messages]
        return there[place % len(there)] if there else (INBOX, 0)

    @rule(place=places)
    def expunge(self, place: int) -> None:
        path, uid = self._pick(place)
        if uid:
            self.rig.old.expunge(path, uid)

    @rule(path=paths, nth=st.integers(1, 3), flags=flag_sets)
    def flag(self, path: MailboxPath, nth: int, flags: frozenset[str]) -> None:
        for uid in (
            list(self.rig.old.boxes[path].messages)[::nth] if path in self.rig.old.boxes else ()
        ):
            self.rig.old.flag(path, uid, *flags)

    @rule(place=places, to=paths)
    def move(self, place: int, to: MailboxPath) -> None:
        path, uid = self._pick(place)
        if uid:
            self.rig.old.move(path, uid, to)

    @rule(place=places, to=paths)
    def copy(self, place: int, to: MailboxPath) -> None:
        path, uid = self._pick(place)
        if uid:
            message = self.rig.old.boxes[path].messages[uid]
            self.rig.old.deliver(
                to,
                message.content,
                *message.flags,
                internaldate=message.internaldate,
                object_id=message.object_id,
            )

    @rule(path=paths, to=paths)
    def rename(self, path: MailboxPath, to: MailboxPath) -> None:
        if path != INBOX and path in self.rig.old.boxes and to not in self.rig.old.boxes:
            self.rig.old.rename(path, to)

    @rule(path=paths)
    def remove(self, path: MailboxPath) -> None:
        if path != INBOX:
            self.rig.old.boxes.pop(path, None)

    @rule(path=paths)
    def renumber(self, path: MailboxPath) -> None:
        if path in self.rig.old.boxes:
            self.rig.old.renumber(path)

    # what happens at the destination

    @rule()
    def late_messages_settle(self) -> None:
        self.rig.new.settle()

    @rule(path=paths)
    def renumber_there(self, path: MailboxPath) -> None:
        if path in self.rig.new.boxes:
            self.rig.new.renumber(path)
            self.delivered.pop(path, None)

    # runs

    @rule(path=paths, kind=kinds, fetches=st.integers(0, 8))
    def a_pull_breaks(self, path: MailboxPath, kind: str, fetches: int) -> None:
        self.deliver(path, kind, 6, frozenset())
        self.rig.old.fetches_left = fetches
        self.rig.pull()
        self.rig.old.fetches_left = None

    @rule(path=paths, kind=kinds, steps=st.integers(0, 12))
    def a_pull_is_killed(self, path: MailboxPath, kind: str, steps: int) -> None:
        self.deliver(path, kind, 10, frozenset())
        self._killed(steps, pulling=True)

    @rule()
    def a_pull(self) -> None:
        self.pull()

    def pull(self) -> None:
        report = self.rig.pull()
        assert report.exit_code in {0, 5}, report
        served = self.rig.old.served
        again = self.rig.pull()
        assert (
            again.exit_code,
            again.total.new,
            again.total.matched,
            again.total.flags,
            again.total.gone,
        ) == (0, 0, 0, 0, 0)
        assert self.rig.old.served == served
        for path, box in self.rig.old.boxes.items():
            contents = {message.content for message in box.messages.values()}
            assert self.rig.archived(path) == sorted(contents)
            self.seen |= contents
        self._nothing_is_lost()

    @rule(path=paths, kind=kinds, after=st.integers(1, 4), then=fates, final=st.booleans())
    def a_push_breaks(
        self,
        path: MailboxPath,
        kind: str,
        after: int,
        then: Literal["lost", "kept", "late"],
        final: bool,
    ) -> None:
        self.deliver(path, kind, 6, frozenset())
        self.pull()
        self.rig.new.breaks = [Break(after, then, final)]
        self.rig.push()
        self.rig.new.breaks = []
        self._nothing_is_doubled()

    @rule(path=paths, kind=kinds, steps=st.integers(0, 12), then=fates)
    def a_push_is_killed(
        self, path: MailboxPath, kind: str, steps: int, then: Literal["lost", "kept", "late"]
    ) -> None:
        self.deliver(path, kind, 10, frozenset())
        self.pull()
        self.rig.new.breaks = [Break(steps + 1, then)]
        self._killed(steps, pulling=False)
        self.rig.new.breaks = []
        self._nothing_is_doubled()

    @precondition(lambda self: self.seen)
    @rule()
    def a_ledger_is_lost(self) -> None:
        self.rig.new.settle()
        self.rig.forget_ledger()
        # From now on nobody knows which flags were sent with these, and so which side changed them.
        self.vague |= {
            content for path in self.rig.new.boxes for content in self.rig.new.contents(path)
        }

    @rule(pulled=st.booleans())
    def push(self, pulled: bool) -> None:
        if pulled:
            self.pull()
        report = self.rig.push()
        assert report.exit_code == 0, report
        taken = self.rig.new.taken
        assert self.rig.push().total.new == 0
        assert self.rig.new.taken == taken
        self._nothing_is_doubled()
        with Archive.read(self.rig.directory) as archive:
            boxes = [box for box in archive.mailboxes(ACCOUNT) if not box.removed]
            for box in boxes:
                live = {
                    archive.content(message.digest)
                    for message in archive.messages(ACCOUNT, box.path)
                }
                assert live <= set(self.rig.new.contents(box.path))
                self._flags_are_equal(archive, box.path)
        self._nothing_is_lost()

    def _killed(self, steps: int, *, pulling: bool) -> None:
        """Run until the process is killed: its archive is closed without a word, and what was not
        committed is not.
        """
        archive = self.rig.archive()
        try:
            if pulling:
                pulled = Report("pull", ACCOUNT)
                run = archive.pull(ACCOUNT)
                pull(Mortal(self.rig.old, Life(steps)), run, pulled, Silence())
                run.finish(complete=pulled.complete, report={})
            else:
                store = Mortal(self.rig.new, Life(steps))
                targets = self.rig.targets(archive, store)
                ledger = archive.push(ACCOUNT, store.key)
                push(self.rig.session(ledger, store, Report("push", ACCOUNT)), targets)
                ledger.finish(complete=True, report={})
        except Killed:
            pass
        finally:
            archive.close()

    def _flags_are_equal(self, archive: Archive, path: MailboxPath) -> None:
        there = (
            {
                message.content: message.flags
                for message in self.rig.new.boxes[path].messages.values()
            }
            if path in self.rig.new.boxes
            else {}
        )
        for message in archive.messages(ACCOUNT, path):
            content = archive.content(message.digest)
            assert there[content] == message.flags or content in self.vague

    def _nothing_is_lost(self) -> None:
        with Archive.read(self.rig.directory) as archive:
            held: set[bytes] = set()
            for box in archive.mailboxes(ACCOUNT):
                held |= {
                    archive.content(message.digest)
                    for message in archive.messages(ACCOUNT, box.path, include_gone=True)
                }
        assert self.seen <= held

    def _nothing_is_doubled(self) -> None:
        for path in self.rig.new.boxes:
            assert max(Counter(self.rig.new.contents(path)).values(), default=1) == 1

    @invariant()
    def nothing_is_deleted_there(self) -> None:
        for path, before in self.delivered.items():
            now = self.rig.new.boxes[path].messages
            assert all(
                uid in now and now[uid].content == content for uid, content in before.items()
            )
        self.delivered = {
            path: {uid: one.content for uid, one in box.messages.items()}
            for path, box in self.rig.new.boxes.items()
        }


def made(kind: str, number: int) -> bytes:
    """A message with all fields, one whose header many share, or one without a header."""
    if kind == "plain":
        return plain(number)
    body = b"\r\nNumber %d.\r\n" % number
    return body if kind == "bare" else b"From: ups@example.org\r\nSubject: alert\r\n" + body


def tried(examples: int, *, derandomize: bool) -> None:
    chosen = settings(
        max_examples=examples,
        stateful_step_count=25,
        deadline=None,
        derandomize=derandomize,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=PHASES,
    )
    run_state_machine_as_test(Mailboxes, settings=chosen)


def test_nothing_is_lost_and_nothing_is_doubled() -> None:
    tried(20, derandomize=True)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_nothing_is_lost_and_nothing_is_doubled_however_long_it_is_tried() -> None:
    tried(1000, derandomize=False)
