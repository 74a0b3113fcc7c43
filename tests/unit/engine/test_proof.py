"""A migration proves itself: what is missing anywhere is named, and nothing a push believed can
vouch for itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mailsync.engine.proof import Question, prove
from mailsync.engine.push import push
from mailsync.engine.push.run import send_again
from mailsync.engine.report import Report
from mailsync.model import INBOX
from mailsync.stores.memory import MemoryStore
from tests.messages import plain
from tests.unit.engine.rig import ACCOUNT, Keeper, Rig, headed, kinds, routed, swapped

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
    """Push, prove, and send again and prove again what is not there, as a migration does."""
    report = Report("push", ACCOUNT, "new")
    destination = MemoryStore(rig.new, "new")
    with rig.archive() as archive:
        targets = rig.targets(archive, destination)
        with archive.push(ACCOUNT, destination.key) as run:
            session = rig.session(run, destination, report)
            targets = push(session, targets)
            question = Question(seen or {}, content)
            proof = prove(targets, run, MemoryStore(rig.new, "new"), question)
            if proof.withdrawn:
                targets = send_again(session, targets)
                last = replace(question, last=True)
                proof = prove(targets, run, MemoryStore(rig.new, "new"), last)
            proof.tell(report)
            run.finish(complete=report.complete, report=report.as_json())
    return report


def test_after_a_migration_every_message_is_found_everywhere(rig: Rig) -> None:
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
    assert sum(one.compared for one in report.proof) == 6
    assert report.as_json()["proof"]


def test_with_content_each_message_is_compared(rig: Rig) -> None:
    report = proved(rig, content=True)
    assert (report.exit_code, sum(one.compared for one in report.proof)) == (0, 6)


def test_a_message_that_another_content_took_the_place_of_is_sent_again(rig: Rig) -> None:
    there = rig.new.boxes[INBOX].messages
    uid = next(uid for uid, message in there.items() if message.content == plain(1))
    there[uid] = replace(there[uid], content=plain(1).replace(b"second line", b"other ending"))
    report = proved(rig)
    assert (report.exit_code, rig.there(INBOX).count(plain(1))) == (0, 1)
    assert proved(rig).total.new == 0


def test_a_message_that_was_removed_on_the_destination_is_counted_and_not_missed(rig: Rig) -> None:
    uid = next(
        uid for uid, message in rig.new.boxes[INBOX].messages.items() if message.content == plain(3)
    )
    rig.new.expunge(INBOX, uid)
    for _ in range(2):
        report = proved(rig)
        assert report.exit_code == 0
        assert sum(one.removed for one in report.proof) == 1
        assert all(one.complete for one in report.proof)
    assert plain(3) not in rig.there(INBOX)


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


def test_a_mailbox_that_was_made_anew_is_told_once_and_restored_on_demand(tmp_path: Path) -> None:
    rig = filled(tmp_path)
    rig.push()
    rig.new.boxes[INBOX].messages.clear()
    rig.new.renumber(INBOX)
    report = proved(rig)
    assert (report.exit_code, kinds(report)["made-anew"]) == (3, 1)
    report = proved(rig)
    assert (report.exit_code, sum(one.removed for one in report.proof)) == (0, 30)
    assert rig.there(INBOX) == []
    assert rig.push(restore=True).total.new == 30
    assert proved(rig).exit_code == 0


def test_a_mailbox_that_was_deleted_is_made_again_and_told_of(tmp_path: Path) -> None:
    rig = filled(tmp_path)
    rig.push()
    del rig.new.boxes[INBOX]
    report = proved(rig)
    assert (report.exit_code, kinds(report)["made-anew"]) == (3, 1)
    assert proved(rig).exit_code == 0


@pytest.mark.parametrize("kept", [lambda content: content[:200], swapped, headed])
def test_a_server_that_goes_on_changing_what_it_is_sent_is_sent_it_twice_and_named(
    tmp_path: Path, kept: Callable[[bytes], bytes]
) -> None:
    rig = filled(tmp_path)
    rig.keeper.keeps = lambda content: [kept(content)]
    report = proved(rig)
    assert (report.exit_code, kinds(report)["differs"]) == (3, 30)
    assert len(rig.there(INBOX)) == 60
    assert proved(rig).exit_code == 3
    assert rig.push(restore=True).exit_code == 3
    assert len(rig.there(INBOX)) == 60


def test_what_a_server_changed_once_is_whole_in_the_end(tmp_path: Path) -> None:
    rig = filled(tmp_path)
    seen: set[bytes] = set()

    def first(content: bytes) -> list[bytes]:
        kept = content if content in seen else swapped(content)
        seen.add(content)
        return [kept]

    rig.keeper.keeps = first
    assert proved(rig).exit_code == 0
    assert all(rig.there(INBOX).count(routed(number)) == 1 for number in range(30))
    assert proved(rig).total.new == 0


def test_what_a_server_never_kept_is_sent_again_and_else_named(tmp_path: Path) -> None:
    rig = filled(tmp_path)
    rig.keeper.keeps = lambda _: []
    report = proved(rig)
    assert (report.exit_code, kinds(report)["not-there"]) == (3, 30)
    rig.keeper.keeps = lambda content: [content]
    assert proved(rig).exit_code == 0
    assert len(rig.there(INBOX)) == 30


def test_a_server_that_tells_the_uid_of_another_message_gets_nothing_twice(tmp_path: Path) -> None:
    rig = filled(tmp_path)
    rig.keeper.told = lambda uid: max(1, uid - 1)
    assert proved(rig).exit_code == 0
    rig.keeper.told = lambda uid: uid
    assert proved(rig).exit_code == 0
    assert sorted(rig.there(INBOX)) == sorted(map(routed, range(30)))


def test_a_destination_refilled_under_the_same_uids_gets_its_messages(rig: Rig) -> None:
    for path in (INBOX, WORK):
        messages = rig.new.boxes[path].messages
        for uid, message in messages.items():
            messages[uid] = replace(message, content=swapped(message.content))
    assert proved(rig).exit_code == 0
    assert [rig.there(INBOX).count(plain(number)) for number in (1, 3, 5)] == [1, 1, 1]


def test_files_that_are_not_there_are_no_messages_of_the_archive(rig: Rig) -> None:
    for file in rig.files(plain(1)):
        file.unlink()
    report = proved(rig)
    assert (report.exit_code, kinds(report)["files-missing"]) == (3, 1)
    (inbox,) = [one for one in report.proof if one.mailbox == INBOX]
    assert (inbox.at_source, inbox.in_archive) == (3, 2)
    rig.pull()
    assert proved(rig).exit_code == 0


def filled(tmp_path: Path) -> Rig:
    rig = Rig(tmp_path / "archive", new=Keeper())
    for number in range(30):
        rig.old.deliver(INBOX, routed(number))
    rig.pull()
    return rig
