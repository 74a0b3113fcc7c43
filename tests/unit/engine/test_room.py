"""A destination that is too small says so before the first message is sent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from mailsync.errors import OverQuota
from mailsync.model import INBOX, MailboxPath, Room
from mailsync.stores.memory import MemoryStore
from tests.messages import plain
from tests.unit.engine.rig import Rig, kinds

WORK: MailboxPath = ("Work",)


class Bounded(MemoryStore):
    """A destination with so much room, and what it was asked."""

    bounds: Sequence[Room] = ()

    def rooms(self, mailboxes: Sequence[MailboxPath]) -> Sequence[Room]:
        self.asked = list(mailboxes)
        return self.bounds


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = Rig(tmp_path / "archive")
    made.old.make(WORK)
    for number in range(10):
        made.old.deliver(INBOX, plain(number))
        made.old.deliver(WORK, plain(100 + number))
    made.pull()
    return made


def store(rig: Rig, *bounds: Room) -> Bounded:
    made = Bounded(rig.new, "new")
    made.bounds = bounds
    return made


def octets(*numbers: int) -> int:
    return sum(len(plain(number)) for number in numbers)


ALL = octets(*range(10), *range(100, 110))


def test_a_server_with_too_little_room_gets_no_message_and_no_second_chance_is_spoilt(
    rig: Rig,
) -> None:
    report = rig.push(store=store(rig, Room(frozenset({INBOX, WORK}), ALL - 1)))
    assert isinstance(report.error, OverQuota)
    assert report.exit_code == 15
    assert (report.total.new, rig.there(INBOX)) == (0, [])
    (note,) = [note for note in report.notes if note.kind == "quota"]
    assert (
        note.text
        == f"the messages for INBOX, Work have {ALL:,} octets, and there is room for {ALL - 1:,}"
    )
    assert rig.push(store=store(rig, Room(frozenset({INBOX, WORK}), ALL))).total.new == 20


def test_room_for_everything_but_one_mailbox_is_too_little_too(rig: Rig) -> None:
    report = rig.push(
        store=store(rig, Room(frozenset({INBOX, WORK}), 10 * ALL), Room(frozenset({WORK}), 5))
    )
    assert isinstance(report.error, OverQuota)
    assert [note.text.split(" have ")[0] for note in report.notes if note.kind == "quota"] == [
        "the messages for Work"
    ]


def test_only_what_is_still_to_be_sent_needs_room(rig: Rig) -> None:
    rig.push()
    rig.old.deliver(INBOX, plain(50))
    rig.pull()
    to = store(rig, Room(frozenset({INBOX}), octets(50)))
    assert rig.push(store=to).total.new == 1
    assert to.asked == [INBOX]


def test_messages_that_were_there_already_need_no_room(rig: Rig) -> None:
    rig.push()
    rig.forget_ledger()
    report = rig.push(store=store(rig, Room(frozenset({INBOX, WORK}), 0)))
    assert (report.exit_code, report.total.duplicate) == (0, 20)


def test_a_dry_run_tells_of_too_little_room_and_changes_nothing(rig: Rig) -> None:
    report = rig.push(store=store(rig, Room(frozenset({INBOX, WORK}), 5)), dry_run=True)
    assert report.exit_code == 15
    assert kinds(report)["quota"] == 1
    assert report.total.new == 20
    assert WORK not in rig.new.boxes
