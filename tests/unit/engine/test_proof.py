"""A migration proves itself: what is missing anywhere is named, and nothing a push believed can
vouch for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mailsync.engine.proof import Question, confirm, settle
from mailsync.engine.proof_outcome import PROBES, Proof
from mailsync.engine.push import push, send_again
from mailsync.engine.report import Report
from mailsync.model import INBOX, Mailbox, SyncState
from mailsync.stores.memory import MemoryStore
from tests.messages import plain
from tests.unit.engine.rig import (
    ACCOUNT,
    PATIENCE,
    Keeper,
    Rig,
    headed,
    kinds,
    proved,
    routed,
    swapped,
)

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


@pytest.mark.parametrize("prove_all", [True, False])
def test_a_mailbox_that_was_made_anew_and_holds_something_already_is_told_of(
    tmp_path: Path, *, prove_all: bool
) -> None:
    rig = Rig(tmp_path / "archive")
    for number in range(6):
        rig.old.deliver(INBOX, routed(number))
    rig.pull()
    rig.push()
    rig.new.renumber(INBOX)
    rig.new.boxes[INBOX].messages.clear()
    rig.new.deliver(INBOX, routed(0))

    report = proved(rig) if prove_all else rig.push()
    assert (report.exit_code, kinds(report)["made-anew"]) == (3, 1)
    assert rig.push().exit_code == 0
    assert rig.push(restore=True).total.new == 5


def test_a_destination_that_lost_most_of_a_mailbox_is_told_of_once(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "archive")
    for number in range(30):
        rig.old.deliver(INBOX, routed(number))
    rig.pull()
    rig.push()
    rig.new.boxes[INBOX].messages.clear()

    report = proved(rig)
    assert (report.exit_code, kinds(report)["mass-vanishing"]) == (3, 1)
    assert proved(rig).exit_code == 0


def test_a_mailbox_that_was_deleted_is_made_again_and_told_of(tmp_path: Path) -> None:
    rig = filled(tmp_path)
    rig.push()
    del rig.new.boxes[INBOX]
    report = proved(rig)
    assert (report.exit_code, kinds(report)["made-anew"]) == (3, 1)
    assert proved(rig).exit_code == 0


@pytest.mark.parametrize("kept", [lambda content: content[:200], swapped, headed])
def test_a_server_that_changes_all_it_is_sent_gets_a_few_messages_twice_and_all_are_named(
    tmp_path: Path, kept: Callable[[bytes], bytes]
) -> None:
    rig = filled(tmp_path)
    rig.keeper.keeps = lambda content: [kept(content)]
    report = proved(rig)
    assert (report.exit_code, kinds(report)["differs"]) == (3, 30)
    assert len(rig.there(INBOX)) == 30 + PROBES
    assert proved(rig).exit_code == 3
    assert rig.push(restore=True).exit_code == 3
    assert len(rig.there(INBOX)) == 30 + PROBES


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


def test_what_a_server_shows_some_seconds_later_is_not_sent_twice(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "archive")
    rig.old.deliver(INBOX, routed(1))
    rig.pull()
    late: list[bytes] = []

    def keeps(content: bytes) -> list[bytes]:
        late.append(content)
        return []

    def shows() -> None:
        for content in late:
            rig.new.deliver(INBOX, content)

    rig.keeper.keeps, rig.clock.while_asleep = keeps, shows

    assert proved(rig).exit_code == 0
    assert rig.there(INBOX) == [routed(1)]
    assert rig.clock.slept == [PATIENCE]


@pytest.mark.parametrize("prove_all", [True, False])
def test_what_a_rule_puts_into_another_mailbox_is_found_there_and_not_sent_again(
    tmp_path: Path, *, prove_all: bool
) -> None:
    rig = Rig(tmp_path / "archive")
    for number in range(5):
        rig.old.deliver(INBOX, routed(number))
    rig.pull()

    def files(content: bytes) -> list[bytes]:
        rig.new.deliver(WORK, content)
        return []

    rig.keeper.keeps = files
    rig.new.deliver(WORK, routed(99))
    run = proved if prove_all else pushed

    report = run(rig)
    assert (report.exit_code, kinds(report)) == (3, {"elsewhere": 5})
    assert "Work" in report.notes[0].text
    assert run(rig).exit_code == 0
    assert sorted(rig.there(WORK)) == sorted([routed(99), *map(routed, range(5))])


def pushed(rig: Rig) -> Report:
    """Push, and look at what was sent, as the command does."""
    report = Report("push", ACCOUNT, "new")
    destination = MemoryStore(rig.new, "new")
    with rig.archive() as archive:
        targets = rig.targets(archive, destination)
        with archive.push(ACCOUNT, destination.key) as run:
            session = rig.session(run, destination, report)
            targets = push(session, targets)

            def look(question: Question) -> Proof:
                return confirm(targets, run, MemoryStore(rig.new, "new"), question)

            proof = settle(look, lambda: send_again(session, targets), session.wait)
            proof.tell(report, numbers=False)
    return report


@pytest.mark.parametrize("condstore", [True, False])
def test_a_push_looks_at_what_it_sent_and_at_nothing_else(tmp_path: Path, condstore: bool) -> None:
    rig = filled(tmp_path)
    rig.new.condstore = condstore
    rig.keeper.keeps = lambda content: [content[:200]] if content == routed(7) else [content]
    report = pushed(rig)
    assert (report.exit_code, kinds(report)["differs"]) == (3, 1)
    report = pushed(rig)
    assert (report.exit_code, report.total.new, kinds(report)["differs"]) == (3, 0, 1)
    uid = next(uid for uid, one in rig.new.boxes[INBOX].messages.items() if len(one.content) == 200)
    rig.new.expunge(INBOX, uid)
    rig.new.expunge(INBOX, max(rig.new.boxes[INBOX].messages))
    rig.keeper.keeps = lambda content: [content]
    assert rig.push(restore=True).total.new == 1
    rig.old.deliver(INBOX, routed(31))
    rig.pull()
    report = pushed(rig)
    assert (report.exit_code, report.total.new, report.proof) == (0, 1, [])


def test_a_push_names_what_the_server_took_and_has_not(tmp_path: Path) -> None:
    rig = filled(tmp_path)
    rig.keeper.keeps = lambda content: [] if content == routed(7) else [content]
    assert (pushed(rig).exit_code, len(rig.there(INBOX))) == (3, 29)
    rig.keeper.keeps = lambda content: [content]
    assert (pushed(rig).exit_code, len(rig.there(INBOX))) == (0, 30)


class Shy(MemoryStore):
    """A server whose list leaves the inbox out, or says that mailboxes are empty."""

    empty = False

    def mailboxes(self) -> Sequence[Mailbox]:
        found = super().mailboxes()
        if self.empty:
            state = rig_state
            return [replace(one, state=state(one)) for one in found]
        return [one for one in found if one.path != INBOX]


def rig_state(mailbox: Mailbox) -> SyncState | None:
    return replace(mailbox.state, messages=0) if mailbox.state else None


@pytest.mark.parametrize("empty", [True, False])
@pytest.mark.parametrize("restore", [True, False])
def test_a_mailbox_that_a_list_leaves_out_or_calls_empty_gets_nothing_twice(
    tmp_path: Path, empty: bool, restore: bool
) -> None:
    rig = filled(tmp_path)
    rig.push()
    store = Shy(rig.new, "new")
    store.empty = empty
    rig.forget_ledger()
    assert rig.push(store=store, restore=restore).total.new == 0


def filled(tmp_path: Path) -> Rig:
    rig = Rig(tmp_path / "archive", new=Keeper())
    for number in range(30):
        rig.old.deliver(INBOX, routed(number))
    rig.pull()
    return rig
