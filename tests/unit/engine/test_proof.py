"""A migration proves itself: what is missing anywhere is named, and nothing a push believed can
vouch for itself.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mailsync.engine.proof import prove
from mailsync.engine.push import push
from mailsync.engine.report import Report
from mailsync.model import INBOX
from mailsync.stores.memory import MemoryStore
from tests.messages import plain
from tests.unit.engine.rig import ACCOUNT, Rig, kinds

WORK = ("Work",)


@pytest.fixture(params=[True, False], ids=["uidplus", "no uidplus"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    rig = Rig(tmp_path / "archive")
    rig.new.uidplus = request.param
    for number in range(6):
        rig.old.deliver(INBOX if number % 2 else WORK, plain(number), "\\Seen")
    rig.pull()
    rig.push()
    return rig


def proved(
    rig: Rig, *, content: bool = False, seen: dict[tuple[str, ...], int] | None = None
) -> Report:
    """Push again, which has nothing to do, and prove."""
    report = Report("push", ACCOUNT, "new")
    destination = MemoryStore(rig.new, "new")
    with rig.archive() as archive:
        targets = rig.targets(archive, destination)
        with archive.push(ACCOUNT, destination.key) as run:
            targets = push(rig.session(run, destination, report), targets)
            prove(
                targets, run, MemoryStore(rig.new, "new"), report, seen=seen or {}, content=content
            )
            run.finish(complete=report.complete, report=report.as_json())
    return report


def test_after_a_migration_every_message_is_found_everywhere(rig: Rig) -> None:
    served = rig.new.served
    report = proved(rig)
    assert report.exit_code == 0
    assert {
        (one.mailbox, one.at_source, one.in_archive, one.messages, one.found)
        for one in report.proof
    } == {
        (INBOX, 3, 3, 3, 3),
        (WORK, 3, 3, 3, 3),
    }
    assert all(one.complete for one in report.proof)
    assert rig.new.served == served
    assert report.as_json()["proof"]


def test_with_content_each_message_is_compared(rig: Rig) -> None:
    report = proved(rig, content=True)
    assert (report.exit_code, sum(one.compared for one in report.proof)) == (0, 6)


def test_a_message_that_another_content_took_the_place_of_is_found_by_its_content(rig: Rig) -> None:
    there = rig.new.boxes[INBOX].messages
    uid = next(uid for uid, message in there.items() if message.content == plain(1))
    there[uid] = replace(there[uid], content=plain(1).replace(b"second line", b"other ending"))
    report = proved(rig, content=True)
    assert (report.exit_code, kinds(report)["differs"]) == (3, 1)


def test_a_message_that_is_gone_from_the_destination_is_named(rig: Rig) -> None:
    uid = next(
        uid for uid, message in rig.new.boxes[INBOX].messages.items() if message.content == plain(3)
    )
    rig.new.expunge(INBOX, uid)
    report = proved(rig)
    assert report.exit_code == 3
    (note,) = [note for note in report.notes if note.kind == "not-there"]
    assert (note.mailbox, "Message number 3" in note.message) == ("INBOX", True)
    assert [one.complete for one in sorted(report.proof, key=lambda one: one.mailbox)] == [
        False,
        True,
    ]


def test_messages_of_the_source_that_the_archive_lacks_are_told(rig: Rig) -> None:
    report = proved(rig, seen={INBOX: 4})
    assert (report.exit_code, kinds(report)["not-pulled"]) == (3, 1)


def test_a_renumbered_destination_is_searched_by_headers(rig: Rig) -> None:
    rig.new.renumber(INBOX)
    report = proved(rig)
    assert report.exit_code == 0
    assert all(one.complete for one in report.proof)


def test_the_same_message_twice_in_a_mailbox_is_one_message_there(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "archive")
    for _ in range(2):
        rig.old.deliver(INBOX, plain(1))
    rig.pull()
    rig.push()
    (one,) = proved(rig).proof
    assert (one.at_source, one.in_archive, one.messages, one.found, one.complete) == (
        2,
        2,
        1,
        1,
        True,
    )
