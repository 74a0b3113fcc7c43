"""Messages come, change, go, rot and vanish, and runs break off, in any order: after a verification
and a pull all is well again.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mailsync import identity
from mailsync.archive import Archive, PullRun
from mailsync.model import INBOX, Mailbox, MailboxPath, Message, Scan, SyncState
from mailsync.plan import plan_pull
from mailsync.plan.flags import flags_of_copies
from tests.archive.archive_steps import damages, files, messages, opened, rot, sha256, uid
from tests.messages import plain

BOXES: list[MailboxPath] = [INBOX, ("Work",)]
CONTENTS = [
    content
    for n in range(3)
    for content in (plain(n), plain(n).replace(b"mx.example.org", b"mx2.example.org", 1))
]
ALERT = b"From: printer\r\n\r\nno id, no date\r\n"

boxes = st.sampled_from(BOXES)
contents = st.sampled_from([*CONTENTS, ALERT])
flag_sets = st.frozensets(st.sampled_from(["\\Seen", "\\Flagged", "work"]))
places = st.integers(0, 1_000)


def same(content: bytes) -> bytes:
    return identity.identity(content, sha256(content))


class Machine(RuleBasedStateMachine):
    """An IMAP server in miniature, and an archive that follows it."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.server: dict[MailboxPath, dict[int, Message]] = {box: {} for box in BOXES}
        self.validity = 1
        self.uidnext = 1
        self.harmed = False

    @initialize(dedupe=st.sampled_from(["message-id", "exact", "none"]))
    def begin(self, dedupe: str) -> None:
        self.dedupe = dedupe
        self.archive: Archive = opened(self.directory / "a", dedupe)

    def teardown(self) -> None:
        if hasattr(self, "archive"):
            self.archive.close()
        shutil.rmtree(self.directory)

    @rule(box=boxes, content=contents, flags=flag_sets)
    def deliver(self, box: MailboxPath, content: bytes, flags: frozenset[str]) -> None:
        self.server[box][self.uidnext] = uid(
            self.uidnext, content, box, flags=flags, validity=self.validity
        )
        self.uidnext += 1

    @precondition(lambda self: any(self.server.values()))
    @rule(place=places, flags=flag_sets)
    def flag(self, place: int, flags: frozenset[str]) -> None:
        box, number, message = self.pick(place)
        self.server[box][number] = uid(
            number, message.content, box, flags=flags, validity=self.validity
        )

    @precondition(lambda self: any(self.server.values()))
    @rule(place=places)
    def remove(self, place: int) -> None:
        box, number, _ = self.pick(place)
        del self.server[box][number]

    @rule()
    def renumber(self) -> None:
        """A new UIDVALIDITY, as after a restored backup."""
        self.validity += 1
        for box, there in self.server.items():
            self.server[box] = {
                n: uid(n, message.content, box, flags=message.entry.flags, validity=self.validity)
                for n, message in enumerate(there.values(), 1)
            }
        self.uidnext = 1 + max((len(there) for there in self.server.values()), default=0)

    @precondition(lambda self: bool(files(self.directory / "a")))
    @rule(place=places, gone=st.booleans())
    def harm(self, place: int, gone: bool) -> None:
        found = files(self.directory / "a")
        path = found[place % len(found)]
        if gone or not path.stat().st_size:
            path.unlink()
        else:
            rot(path)
        self.harmed = True

    @rule(settled=st.booleans())
    def break_off(self, settled: bool) -> None:
        """A pull that dies before its commit, with or without its files in place; then the archive
        is opened again.
        """
        with self.archive.pull("alice") as run:
            for box in BOXES:
                self.bring(run, box)
            if settled:
                run._tree.sync()
        self.archive.close()
        self.archive = opened(self.directory / "a", self.dedupe)

    @rule(flushed=st.booleans())
    def pull(self, flushed: bool) -> None:
        if self.harmed:
            damages(self.archive)
        with self.archive.pull("alice") as run:
            for box in BOXES:
                run.complete(self.bring(run, box))
                if flushed:
                    run.flush()
            run.finish(complete=True, report={})
        self.judge()

    def pick(self, place: int) -> tuple[MailboxPath, int, Message]:
        there = [
            (box, number, message)
            for box, held in self.server.items()
            for number, message in held.items()
        ]
        return there[place % len(there)]

    def bring(self, run: PullRun, box: MailboxPath) -> Scan:
        run.mailbox(Mailbox(box))
        there = self.server[box]
        seen = Scan(
            Mailbox(box),
            SyncState(self.validity, self.uidnext, len(there)),
            tuple(message.entry for message in there.values()),
        )
        plan = plan_pull(seen, run.known(seen))
        assert not plan.renewed
        run.reflag(plan.reflag)
        run.mark_gone(box, self.validity, plan.gone)
        for entry in (*plan.damaged, *plan.new):
            stored = run.add(next(message for message in there.values() if message.entry == entry))
            assert self.dedupe == "message-id" or stored.digest == sha256(
                next(m.content for m in there.values() if m.entry == entry)
            )
        return seen

    def judge(self) -> None:
        """What a user, and any other mail program, sees now."""
        for box, there in self.server.items():
            shown = messages(self.archive, box)
            sent = [message.content for message in there.values()]
            if self.dedupe == "none":
                assert Counter(archived.digest for archived in shown) == Counter(map(sha256, sent))
            elif self.dedupe == "exact":
                assert Counter(archived.digest for archived in shown) == Counter(
                    set(map(sha256, sent))
                )
            else:
                assert Counter(archived.identity for archived in shown) == Counter(
                    set(map(same, sent))
                )
            assert len({(archived.identity, archived.copy) for archived in shown}) == len(shown)
            for archived in shown:
                assert sha256(self.archive.content(archived.digest)) == archived.digest
                alike = [m for m in there.values() if same(m.content) == archived.identity]
                exact = [m for m in alike if sha256(m.content) == archived.digest]
                one = [m.entry.flags for m in alike]
                # One message stands for its copies, and each for itself where all are kept.
                assert archived.flags in [
                    *one,
                    flags_of_copies(one),
                    flags_of_copies([m.entry.flags for m in exact]),
                ]
            assert self.archive.last_known("alice").state(box) is not None
        if not self.harmed:
            assert damages(self.archive) == []
        # What is still damaged is no longer on the server, and that is all that may be.
        assert not [damage for damage in damages(self.archive) if not damage.damaged]


@pytest.mark.timeout(600)
def test_any_order_of_events_ends_well(long: bool) -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=400 if long else 40,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
