"""Pushes: each message arrives exactly once, whatever breaks, and nothing on the destination is
ever taken away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mailsync.archive import Archive
from mailsync.engine.chosen import Chosen
from mailsync.engine.push import push
from mailsync.engine.report import Report
from mailsync.engine.selection import Selection
from mailsync.errors import ConnectionLost, MailboxError, OverQuota
from mailsync.mapping import MappingRules
from mailsync.model import INBOX, Mailbox, MailboxPath
from mailsync.stores.imap.repair import repaired
from mailsync.stores.memory import Break, MemoryServer, MemoryStore
from tests.messages import plain
from tests.unit.engine.rig import ACCOUNT, PATIENCE, Rig, kinds

WORK = ("Work",)


@pytest.fixture(params=[True, False], ids=["uidplus", "plain"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    return Rig(tmp_path / "archive", new=MemoryServer(uidplus=request.param))


def filled(rig: Rig, count: int = 20) -> list[bytes]:
    """Put messages into the source and pull them."""
    for number in range(count):
        rig.old.deliver(INBOX, plain(number), internaldate=1_300_000_000 + number)
    rig.pull()
    return sorted(rig.old.contents(INBOX))


def bare(number: int) -> bytes:
    """A message without a single header field."""
    return b"\r\nall body, number %d\r\n" % number


def alert(number: int) -> bytes:
    """What a device mails: always the same header, without a Message-ID."""
    return b"From: ups@example.org\r\nSubject: alert\r\n\r\nBattery at %d percent.\r\n" % number


def test_every_message_arrives_with_flags_and_date(rig: Rig) -> None:
    rig.old.deliver(INBOX, plain(1), "\\Seen", "work", internaldate=1_234_567_890)
    rig.old.make(("Work", "2024"), subscribed=True)
    rig.old.deliver(("Work", "2024"), plain(2))
    _, report = rig.migrate()
    assert (report.total.new, report.exit_code) == (2, 0)
    (message,) = rig.new.boxes[INBOX].messages.values()
    assert (message.content, message.flags, message.internaldate) == (
        plain(1),
        frozenset({"\\Seen", "work"}),
        1_234_567_890,
    )
    assert rig.there(("Work", "2024")) == [plain(2)]
    assert rig.new.boxes["Work", "2024"].subscribed


def test_a_second_push_appends_nothing(rig: Rig) -> None:
    everything = filled(rig)
    rig.push()
    report = rig.push()
    assert (report.total.new, report.total.duplicate, report.exit_code) == (0, 20, 0)
    assert rig.new.taken == 20
    assert rig.there(INBOX) == everything


def test_a_push_without_its_ledger_appends_nothing(rig: Rig) -> None:
    everything = filled(rig)
    rig.push()
    rig.forget_ledger()
    assert rig.push().total.new == 0
    assert rig.there(INBOX) == everything


def test_messages_that_were_there_before_are_not_sent_again(rig: Rig) -> None:
    everything = filled(rig)
    for content in everything[:7]:
        rig.new.deliver(INBOX, b"Received: from another way\r\n" + content)
    report = rig.push()
    assert (report.total.new, report.total.duplicate) == (13, 7)
    assert len(rig.there(INBOX)) == 20


def test_flags_changed_at_the_source_travel_and_those_set_there_stay(rig: Rig) -> None:
    filled(rig, 3)
    rig.push()
    rig.new.flag(INBOX, 1, "mine")
    rig.old.flag(INBOX, 1, "\\Seen", "\\Flagged")
    rig.pull()
    report = rig.push()
    assert (report.total.flags, report.total.new) == (1, 0)
    assert rig.new.boxes[INBOX].messages[1].flags == {"mine", "\\Seen", "\\Flagged"}
    rig.old.flag(INBOX, 1, "\\Seen")
    rig.pull()
    rig.push()
    assert rig.new.boxes[INBOX].messages[1].flags == {"mine", "\\Seen"}
    assert rig.push().total.flags == 0


def test_flags_follow_messages_that_the_destination_renumbered(rig: Rig) -> None:
    filled(rig, 3)
    rig.push()
    rig.new.expunge(INBOX, 1)
    rig.new.renumber(INBOX)
    rig.old.flag(INBOX, 2, "\\Flagged")
    rig.pull()
    report = rig.push()
    assert (report.total.flags, report.total.new) == (1, 0)
    assert {
        message.content: message.flags for message in rig.new.boxes[INBOX].messages.values()
    } == {
        plain(1): {"\\Flagged"},
        plain(2): frozenset(),
    }


def test_what_the_user_removed_there_is_not_brought_back(rig: Rig) -> None:
    filled(rig)
    rig.push()
    rig.new.expunge(INBOX, 5)
    rig.new.move(INBOX, 6, ("Elsewhere",))
    rig.old.flag(INBOX, 5, "\\Seen")
    rig.pull()
    report = rig.push()
    assert (report.total.new, report.total.removed, report.exit_code) == (0, 1, 0)
    assert kinds(report)["removed-there"] == 1
    assert rig.push().total.removed == 0
    assert len(rig.there(INBOX)) == 18


def test_what_left_the_source_stays_on_the_destination(rig: Rig) -> None:
    everything = filled(rig)
    rig.push()
    rig.old.expunge(INBOX, 5)
    rig.old.renumber(INBOX)
    rig.migrate()
    assert rig.there(INBOX) == everything
    assert rig.new.taken == 20


def test_a_refused_message_is_told_and_the_rest_goes(rig: Rig) -> None:
    everything = filled(rig)
    rig.new.refuses = lambda content: "NO [CANNOT] not this one" if content == plain(3) else None
    for sent in (19, 0):
        report = rig.push()
        assert (report.total.new, report.total.failed, report.exit_code) == (sent, 1, 3)
        assert ["not this one" in note.text for note in report.notes] == [True]
    assert len(rig.there(INBOX)) == 19
    rig.new.refuses = lambda _: None
    assert rig.push().exit_code == 0
    assert rig.there(INBOX) == everything
    assert rig.clock.slept == []


def test_a_repaired_copy_is_told_and_known_again(rig: Rig) -> None:
    filled(rig, 5)
    rig.old.deliver(INBOX, plain(77) + b"a NUL: \0.\r\n")
    rig.pull()
    rig.new.refuses = lambda content: "NO [CANNOT] NUL" if b"\0" in content else None
    store = MemoryStore(rig.new, "new", repair=repaired)
    report = rig.push(store=store)
    assert (report.total.new, report.total.repaired, report.exit_code) == (6, 1, 0)
    assert kinds(report)["repaired"] == 1
    assert plain(77) + b"a NUL: \0.\r\n" in rig.archived(INBOX)
    rig.forget_ledger()
    assert rig.push(store=store).total.new == 0


def test_a_damaged_message_is_not_sent_but_told_and_sent_once_it_is_mended(rig: Rig) -> None:
    everything = filled(rig)
    rig.damage(plain(3))
    report = rig.push()
    assert (report.total.new, report.total.failed, report.exit_code) == (19, 1, 3)
    assert kinds(report)["damaged"] == 1
    assert len(rig.there(INBOX)) == 19
    rig.pull()
    assert rig.push().exit_code == 0
    assert rig.there(INBOX) == everything
    assert rig.clock.slept == []


def test_a_damaged_message_that_must_be_compared_by_its_body_stops_no_other(rig: Rig) -> None:
    for number in range(3):
        rig.old.deliver(INBOX, alert(number))
        rig.new.deliver(INBOX, alert(number))
    filled(rig, 5)
    rig.damage(alert(1))
    report = rig.push()
    assert (report.total.new, report.exit_code) == (5, 3)
    assert kinds(report)["damaged"] == 1
    rig.pull()
    assert rig.push().exit_code == 0
    assert len(rig.there(INBOX)) == 8


@pytest.mark.parametrize("then", ["lost", "kept", "late"])
@pytest.mark.parametrize("after", [1, 9, 20])
def test_messages_without_an_answer_are_settled_by_looking_and_never_doubled(
    rig: Rig, then: str, after: int
) -> None:
    everything = filled(rig)
    rig.new.breaks = [Break(after, then)]  # type: ignore[arg-type]
    rig.clock.while_asleep = rig.new.settle
    report = rig.push()
    assert report.exit_code == 0
    assert rig.there(INBOX) == everything
    assert rig.new.taken == 20
    assert [PATIENCE - 1 < wait <= PATIENCE for wait in rig.clock.slept] == (
        [] if then == "kept" else [True]
    )
    assert rig.push().total.new == 0


@pytest.mark.parametrize("then", ["lost", "kept", "late"])
def test_a_push_that_broke_for_good_is_finished_by_the_next(rig: Rig, then: str) -> None:
    everything = filled(rig)
    rig.new.breaks = [Break(5, then, final=True)]  # type: ignore[arg-type]
    report = rig.push()
    assert isinstance(report.error, ConnectionLost)
    rig.clock.while_asleep = rig.new.settle
    assert rig.push().exit_code == 0
    assert rig.there(INBOX) == everything
    assert rig.new.taken == 20


def test_messages_that_break_the_connection_again_are_left_to_the_next_push(rig: Rig) -> None:
    everything = filled(rig)
    rig.new.breaks = [Break(1), Break(13)]
    report = rig.push()
    assert report.exit_code == 3
    assert kinds(report)["unanswered"] == 1
    assert rig.push().exit_code == 0
    assert rig.there(INBOX) == everything


def test_many_lost_answers_over_several_mailboxes_are_settled_by_one_wait(rig: Rig) -> None:
    for number in range(90):
        rig.old.deliver((f"Box {number % 3}",), plain(number))
    rig.new.breaks = [Break(9, "late"), Break(9, "lost"), Break(9, "kept")]
    rig.clock.while_asleep = rig.new.settle
    _, report = rig.migrate()
    assert report.exit_code == 0
    assert len(rig.clock.slept) == 1
    for box in range(3):
        assert rig.there((f"Box {box}",)) == sorted(rig.old.contents((f"Box {box}",)))


@pytest.mark.parametrize("make", [alert, bare])
@pytest.mark.parametrize("keep_ledger", [True, False])
def test_messages_that_only_their_bodies_tell_apart_all_arrive_once(
    rig: Rig, make: object, keep_ledger: bool
) -> None:
    assert callable(make)
    for number in range(4):
        rig.old.deliver(INBOX, make(number))
    rig.migrate()
    assert rig.there(INBOX) == sorted(make(number) for number in range(4))
    for number in range(4, 7):
        rig.old.deliver(INBOX, make(number))
        if not keep_ledger:
            rig.forget_ledger()
        rig.migrate()
    assert rig.there(INBOX) == sorted(make(number) for number in range(7))
    assert rig.new.taken == 7


@pytest.mark.parametrize("make", [alert, bare])
def test_a_lost_message_that_looks_like_one_that_arrived_is_sent_again(
    rig: Rig, make: object
) -> None:
    assert callable(make)
    for number in range(12):
        rig.old.deliver(INBOX, make(number))
    rig.new.breaks = [Break(12)]
    rig.migrate()
    assert rig.there(INBOX) == sorted(make(number) for number in range(12))


def test_a_message_like_one_that_left_the_source_is_sent(rig: Rig) -> None:
    rig.old.deliver(INBOX, alert(1))
    rig.migrate()
    rig.old.expunge(INBOX, 1)
    rig.old.deliver(INBOX, alert(2))
    rig.migrate()
    assert rig.there(INBOX) == [alert(1), alert(2)]


def test_a_strangers_message_that_has_the_same_header_is_not_taken_for_ours(rig: Rig) -> None:
    rig.new.deliver(INBOX, alert(1))
    rig.old.deliver(INBOX, alert(2))
    rig.migrate()
    assert rig.there(INBOX) == [alert(1), alert(2)]


def test_one_message_id_with_two_bodies_both_arrive(rig: Rig) -> None:
    one, two = plain(1), plain(1).replace(b"second line", b"third line")
    rig.old.deliver(INBOX, one)
    rig.old.deliver(INBOX, two)
    rig.new.deliver(INBOX, two)
    rig.migrate()
    assert rig.there(INBOX) == sorted([one, two])


@pytest.mark.parametrize("break_at", [None, 1, 2])
def test_deliberate_copies_arrive_as_often_as_they_are_held(break_at: int | None, rig: Rig) -> None:
    rig.dedupe = "none"
    rig.old.deliver(INBOX, plain(1))
    rig.migrate()
    rig.old.deliver(INBOX, plain(1))
    rig.old.deliver(INBOX, plain(1))
    rig.new.breaks = [] if break_at is None else [Break(break_at, "kept")]
    rig.clock.while_asleep = rig.new.settle
    rig.migrate()
    assert rig.there(INBOX) == [plain(1)] * 3
    rig.forget_ledger()
    assert rig.push().total.new == 0


def test_what_only_a_view_of_all_mail_holds_goes_to_the_archive_mailbox(rig: Rig) -> None:
    rig.old.make(("All Mail",), "\\All")
    rig.old.make(("Starred",), "\\Flagged")
    rig.new.make(("Old stuff",), "\\Archive")
    for number in range(6):
        rig.old.deliver(("All Mail",), plain(number))
        if number < 4:
            rig.old.deliver(INBOX, plain(number))
    rig.migrate()
    assert rig.there(("Old stuff",)) == [plain(4), plain(5)]
    assert rig.there(INBOX) == [plain(number) for number in range(4)]
    assert ("All Mail",) not in rig.new.boxes
    assert rig.push().total.new == 0


def test_mailboxes_merged_by_a_rule_hold_each_message_once(rig: Rig) -> None:
    for number in range(6):
        rig.old.deliver(("Sent",), plain(number))
        rig.old.deliver(("Sent Items",), plain(number + 3))
    rig.pull()
    rules = MappingRules({("Sent Items",): ("Sent",)})
    assert rig.push(rules=rules).total.new == 9
    assert rig.there(("Sent",)) == sorted(plain(number) for number in range(9))
    assert rig.push(rules=rules).total.new == 0


def test_everything_goes_below_a_prefix(rig: Rig) -> None:
    rig.old.deliver(WORK, plain(1))
    rig.old.deliver(INBOX, plain(2))
    rig.pull()
    rig.push(rules=MappingRules(into=("From old",)))
    assert rig.there(("From old", "Work")) == [plain(1)]
    assert rig.there(("From old", "INBOX")) == [plain(2)]
    assert rig.there(INBOX) == []


def test_only_what_globs_choose_is_pushed(rig: Rig) -> None:
    rig.old.deliver(WORK, plain(1))
    rig.old.deliver(INBOX, plain(2))
    rig.pull()
    assert rig.push(only=["Work"]).total.new == 1
    assert rig.there(INBOX) == []


def test_a_mailbox_that_cannot_be_made_is_told_and_the_others_go(rig: Rig) -> None:
    rig.old.deliver(WORK, plain(1))
    rig.old.deliver(INBOX, plain(2))
    rig.pull()
    rig.new.forbidden = {WORK}
    for _ in range(2):
        report = rig.push()
        assert (report.total.failed, report.exit_code) == (1, 3)
    assert rig.there(INBOX) == [plain(2)]
    rig.new.forbidden = set()
    assert rig.push().exit_code == 0
    assert rig.there(WORK) == [plain(1)]


def test_a_dry_run_counts_and_changes_nothing_on_either_side(rig: Rig) -> None:
    everything = filled(rig)
    rig.old.deliver(WORK, plain(90))
    rig.pull()
    rig.new.deliver(INBOX, everything[0])
    before, there = rig.everything(), dict(rig.new.boxes[INBOX].messages)
    report = rig.push(dry_run=True)
    assert (report.total.new, report.total.duplicate, report.exit_code) == (20, 1, 0)
    assert report.total.octets == sum(map(len, everything[1:])) + len(plain(90))
    assert [note.text for note in report.notes if note.kind == "would-make"] == [
        "would be made on the destination: Work"
    ]
    assert rig.everything() == before
    assert rig.new.boxes[INBOX].messages == there
    assert WORK not in rig.new.boxes


def test_a_full_destination_ends_the_push_and_the_next_goes_on(rig: Rig) -> None:
    def full(_: bytes) -> str | None:
        if rig.new.taken >= 7:
            raise OverQuota("new", "the mailbox is full")
        return None

    everything = filled(rig)
    rig.new.refuses = full
    assert rig.push().exit_code == 15
    rig.new.refuses = lambda _: None
    assert rig.push().exit_code == 0
    assert rig.there(INBOX) == everything


class Vanishing(MemoryStore):
    """A destination on which another program removes a mailbox once it was made."""

    victim = WORK

    def create(self, wanted: Sequence[Mailbox]) -> Mapping[MailboxPath, MailboxError | None]:
        answers = super().create(wanted)
        del self._server.boxes[self.victim]
        return answers


def test_a_mailbox_removed_there_meanwhile_stops_no_other(rig: Rig) -> None:
    rig.old.deliver(WORK, plain(1))
    rig.old.deliver(WORK, plain(2))
    rig.old.deliver(INBOX, plain(3))
    rig.pull()
    rig.new.deliver(WORK, plain(1))
    report = rig.push(store=Vanishing(rig.new, "new"))
    assert report.exit_code == 3
    assert rig.there(INBOX) == [plain(3)]
    assert rig.push().exit_code == 0
    assert rig.there(WORK) == [plain(1), plain(2)]


def test_a_mailbox_removed_there_before_it_is_made_is_made_anew(rig: Rig) -> None:
    class Early(MemoryStore):
        def mailboxes(self) -> list[Mailbox]:
            found = list(super().mailboxes())
            self._server.boxes.pop(WORK, None)
            return found

    rig.old.deliver(WORK, plain(1))
    rig.old.deliver(WORK, plain(2))
    rig.pull()
    rig.new.deliver(WORK, plain(1))
    assert rig.push(store=Early(rig.new, "new")).exit_code == 0
    assert rig.there(WORK) == [plain(1), plain(2)]


def test_a_mailbox_removed_there_before_its_flags_are_set_stops_no_other(rig: Rig) -> None:
    rig.old.deliver(WORK, plain(1))
    rig.old.deliver(("Xyz",), plain(3))
    rig.migrate()
    rig.old.flag(WORK, 1, "\\Seen")
    rig.old.flag(("Xyz",), 1, "\\Seen")
    rig.pull()

    report = rig.push(store=Vanishing(rig.new, "new"))
    assert report.exit_code == 3
    assert rig.new.boxes["Xyz",].messages[1].flags == {"\\Seen"}


def test_flags_that_changed_after_a_lost_answer_travel_too(rig: Rig) -> None:
    filled(rig, 3)
    rig.new.breaks = [Break(1, "kept", final=True)]
    rig.push()
    rig.old.flag(INBOX, 2, "\\Flagged")
    rig.pull()
    report = rig.push()
    assert (report.total.new, report.total.flags, report.exit_code) == (0, 1, 0)
    assert [message.flags for message in rig.new.boxes[INBOX].messages.values()] == [
        frozenset(),
        {"\\Flagged"},
        frozenset(),
    ]


def test_a_search_reads_each_header_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(rig, 5)
    rig.new.deliver(INBOX, plain(90))
    read: list[bytes] = []
    header = Archive.header

    def counted(archive: Archive, digest: bytes) -> bytes:
        read.append(digest)
        return header(archive, digest)

    monkeypatch.setattr(Archive, "header", counted)
    store = MemoryStore(rig.new, "new")
    report = Report("push", ACCOUNT, store.key)
    with rig.archive() as archive, archive.push(ACCOUNT, store.key) as run:
        asked = Chosen(archive, ACCOUNT, Selection(search="3 number"))
        targets = replace(rig.targets(archive, store), chosen=asked)
        push(rig.session(run, store, report), targets)
    assert (report.total.new, sorted(rig.there(INBOX))) == (1, sorted([plain(3), plain(90)]))
    # The catalogue shows the words of the one that is sent; of that one the date is read, since the
    # other one there might be it.
    assert (len(read), len(set(read))) == (5, 5)
