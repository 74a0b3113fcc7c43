"""Pulls: everything new is brought, nothing is brought twice, and nothing the archive holds is
lost.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mailsync.archive import Archive
from mailsync.archive.storage import write_worker
from mailsync.engine.pull import pull
from mailsync.engine.report import Report
from mailsync.errors import ConnectionLost, DiskFull, MailboxError
from mailsync.model import INBOX, Entry, Mailbox, Message, Scan, ScanRequest, Unfetched
from mailsync.progress import Silence
from mailsync.stores.memory import MemoryBox, MemoryMaildrop, MemoryServer, MemoryStore
from tests.messages import plain
from tests.unit.engine.rig import ACCOUNT, Rig, kinds, routed

SENT = ("Sent",)
ALL = ("All Mail",)


@pytest.fixture(params=[True, False], ids=["condstore", "plain"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    return Rig(tmp_path / "archive", MemoryServer(condstore=request.param))


def filled(rig: Rig, count: int = 10) -> list[int]:
    return [rig.old.deliver(INBOX, plain(number)) for number in range(count)]


def test_every_message_comes_with_its_flags_and_date(rig: Rig) -> None:
    rig.old.deliver(INBOX, plain(1), "\\Seen", "work", internaldate=1_234_567_890)
    rig.old.deliver(SENT, plain(2))
    report = rig.pull()
    assert (report.total.new, report.exit_code) == (2, 0)
    (message,) = rig.messages(INBOX)
    assert (message.flags, message.internaldate) == (frozenset({"\\Seen", "work"}), 1_234_567_890)
    assert rig.archived(INBOX) + rig.archived(SENT) == [plain(1), plain(2)]


def test_a_second_pull_does_nothing_and_fetches_nothing(rig: Rig) -> None:
    filled(rig)
    rig.pull()
    served, before = rig.old.served, rig.everything()
    report = rig.pull()
    assert (report.total.new, report.total.flags, report.total.gone, report.exit_code) == (
        0,
        0,
        0,
        0,
    )
    assert report.unchanged == int(rig.old.condstore)
    assert rig.old.served == served
    if rig.old.condstore:
        assert rig.everything() == before


def test_new_messages_changed_flags_and_deletions_are_followed(rig: Rig) -> None:
    uids = filled(rig)
    rig.pull()
    rig.old.flag(INBOX, uids[0], "\\Flagged")
    rig.old.expunge(INBOX, uids[1])
    rig.old.deliver(INBOX, plain(50))
    served = rig.old.served
    report = rig.pull()
    assert (report.total.new, report.total.flags, report.total.gone) == (1, 1, 1)
    assert rig.old.served == served + len(plain(50))
    assert rig.archived(INBOX) == sorted(rig.old.contents(INBOX))
    assert rig.archived(INBOX, gone=True) == sorted([*rig.old.contents(INBOX), plain(1)])
    assert [message.flags for message in rig.messages(INBOX)].count(frozenset({"\\Flagged"})) == 1


def test_a_message_that_comes_back_under_its_old_uid_lives_again(rig: Rig) -> None:
    uids = filled(rig)
    rig.pull()
    message = rig.old.expunge(INBOX, uids[3])
    rig.pull()
    assert len(rig.archived(INBOX)) == 9
    rig.old.boxes[INBOX].messages[uids[3]] = message
    rig.old.flag(INBOX, uids[3], "\\Seen")
    served = rig.old.served
    rig.pull()
    assert len(rig.archived(INBOX)) == 10
    assert rig.old.served == served


def test_a_renamed_mailbox_is_not_fetched_again(rig: Rig) -> None:
    rig.old.deliver(("Work",), plain(1))
    rig.pull()
    rig.old.rename(("Work",), ("Jobs", "2024"))
    served = rig.old.served
    report = rig.pull()
    assert (report.total.new, report.total.matched, report.exit_code) == (0, 1, 0)
    assert rig.old.served == served
    assert kinds(report)["mailbox-gone"] == 1
    assert rig.archived(("Jobs", "2024")) == [plain(1)]
    assert rig.archived(("Work",)) == []
    assert rig.archived(("Work",), gone=True) == [plain(1)]


def test_the_messages_of_a_removed_mailbox_stay(rig: Rig) -> None:
    rig.old.deliver(("Work",), plain(1))
    rig.pull()
    del rig.old.boxes["Work",]
    report = rig.pull()
    assert report.exit_code == 0
    assert kinds(report)["mailbox-vanished"] == 1
    assert rig.archived(("Work",), gone=True) == [plain(1)]
    assert rig.pull().notes == []


def test_mailboxes_below_a_vanished_one_are_told_with_it(rig: Rig) -> None:
    for number in range(12):
        rig.old.deliver(("Work",), plain(number))
        rig.old.deliver(("Work", "Invoices"), plain(100 + number))
    rig.pull()
    del rig.old.boxes["Work",], rig.old.boxes["Work", "Invoices"]
    report = rig.pull()
    (note,) = report.notes
    assert (report.exit_code, note.mailbox) == (5, "Work")
    assert "and neither is the mailbox below it: 24 messages vanished" in note.text


def test_many_messages_that_were_moved_alarm_nobody_but_in_the_bin_they_do(rig: Rig) -> None:
    for place, code in ((("Sorted",), 0), (("Trash",), 5)):
        uids = [rig.old.deliver(INBOX, plain(1000 * code + number)) for number in range(40)]
        rig.pull()
        for uid in uids:
            rig.old.move(INBOX, uid, place)
        report = rig.pull()
        assert (report.total.gone, report.exit_code) == (40, code), place
    assert "(40 of them lie in Trash now)" in report.notes[0].text
    assert report.notes[0].text.endswith(" --also-moved`")
    for uid in list(rig.old.boxes["Trash",].messages):
        rig.old.expunge(("Trash",), uid)
    assert rig.pull().exit_code == 0


def test_a_copy_that_was_there_before_makes_up_for_no_loss(rig: Rig) -> None:
    for number in range(30):
        rig.old.deliver(("Work",), plain(number))
        rig.old.deliver(("Copies",), plain(number))
    rig.pull()
    del rig.old.boxes["Copies",]
    assert rig.pull().exit_code == 5


def test_a_mailbox_that_vanishes_with_many_messages_is_said_loudly(rig: Rig) -> None:
    for number in range(30):
        rig.old.deliver(("Work",), plain(number))
    rig.pull()
    del rig.old.boxes["Work",]
    report = rig.pull()
    assert (report.exit_code, report.complete) == (5, True)
    (note,) = report.notes
    assert "30 messages vanished, the archive keeps every one" in note.text
    assert f"mailsync restore {ACCOUNT} --mailbox Work --gone-since 20" in note.text
    assert len(rig.archived(("Work",), gone=True)) == 30
    assert rig.pull().exit_code == 0


def test_a_large_mailbox_that_only_has_another_name_now_alarms_nobody(rig: Rig) -> None:
    for number in range(30):
        rig.old.deliver(("Work",), plain(number))
    rig.pull()
    rig.old.rename(("Work",), ("Jobs",))
    assert rig.pull().exit_code == 0


def test_a_list_of_mailboxes_without_an_inbox_is_not_believed(rig: Rig) -> None:
    filled(rig, 3)
    rig.old.deliver(("Work",), plain(1))
    rig.pull()

    class Blind(MemoryStore):
        def mailboxes(self) -> list[Mailbox]:
            return []

    report = rig.pull(source=Blind(rig.old, ACCOUNT))
    assert report.exit_code == 3
    assert len(rig.archived(INBOX)) == 3
    assert rig.archived(("Work",)) == [plain(1)]


def test_a_mailbox_removed_between_list_and_scan_is_told_and_the_others_come(rig: Rig) -> None:
    class Forgetful(MemoryStore):
        def scan(self, requests: Iterable[ScanRequest]) -> Iterator[Scan | MailboxError]:
            rig.old.boxes.pop(("Work",), None)
            return super().scan(requests)

    rig.old.deliver(("Work",), plain(1))
    filled(rig)
    report = rig.pull(source=Forgetful(rig.old))
    assert (report.total.new, report.exit_code) == (10, 0)
    assert [(note.kind, note.mailbox) for note in report.notes] == [("mailbox-missing", "Work")]
    assert rig.pull().exit_code == 0


def test_a_mailbox_made_anew_under_an_old_name_is_pulled(rig: Rig) -> None:
    rig.old.deliver(("Work",), plain(1))
    rig.pull()
    del rig.old.boxes["Work",]
    rig.pull()
    rig.old.deliver(("Work",), plain(2))
    rig.pull()
    assert rig.archived(("Work",)) == [plain(2)]
    assert rig.archived(("Work",), gone=True) == sorted([plain(1), plain(2)])


def test_a_new_uidvalidity_fetches_no_body_again(rig: Rig) -> None:
    filled(rig)
    rig.pull()
    served = rig.old.served
    rig.old.renumber(INBOX)
    report = rig.pull()
    assert (report.total.new, report.total.matched, report.total.gone, report.exit_code) == (
        0,
        10,
        0,
        0,
    )
    assert rig.old.served == served
    assert rig.archived(INBOX) == sorted(rig.old.contents(INBOX))
    assert len(rig.archived(INBOX, gone=True)) == 10


def test_messages_lost_under_a_new_uidvalidity_are_gone_and_new_ones_come(rig: Rig) -> None:
    uids = filled(rig)
    rig.pull()
    rig.old.expunge(INBOX, uids[0])
    rig.old.renumber(INBOX)
    rig.old.deliver(INBOX, plain(70))
    report = rig.pull()
    assert (report.total.new, report.total.matched, report.total.gone) == (1, 9, 1)
    assert rig.archived(INBOX) == sorted(rig.old.contents(INBOX))


def test_a_moved_message_is_not_fetched_again(rig: Rig) -> None:
    uids = filled(rig)
    rig.pull()
    for uid in uids[:5]:
        rig.old.move(INBOX, uid, ("Moved",))
    served = rig.old.served
    report = rig.pull()
    assert (report.total.new, report.total.matched, report.total.gone) == (0, 5, 5)
    assert rig.old.served == served
    assert len(rig.archived(INBOX)) == len(rig.archived(("Moved",))) == 5


def test_a_moved_message_with_an_object_id_needs_its_header_only(tmp_path: Path) -> None:
    class Tailless(MemoryStore):
        tails = None  # type: ignore[assignment]

    rig = Rig(tmp_path / "archive", MemoryServer(condstore=True, object_ids=True))
    # Without a Received line, so that nothing else would recognise it.
    rig.old.deliver(INBOX, b"Subject: one\r\n\r\nbody\r\n")
    rig.pull()
    rig.old.move(INBOX, 1, ("Moved",))
    served = rig.old.served
    assert rig.pull(source=Tailless(rig.old)).total.matched == 1
    assert rig.old.served == served


def test_a_server_that_reuses_uids_loses_no_message(rig: Rig) -> None:
    filled(rig)
    rig.pull()
    box = rig.old.boxes[INBOX]
    other = [b"X-More: %d\r\n" % number + plain(100 + number) for number in range(10)]
    for (uid, message), content in zip(sorted(box.messages.items()), other, strict=True):
        box.modseq += 1
        box.messages[uid] = replace(message, content=content, modseq=box.modseq)
    report = rig.pull()
    assert report.total.new == 10
    assert rig.archived(INBOX) == sorted(other)
    assert rig.archived(INBOX, gone=True) == sorted(
        [*other, *(plain(number) for number in range(10))]
    )
    assert rig.pull().total.new == 0


def test_a_server_restored_from_a_backup_is_looked_at_in_full(rig: Rig) -> None:
    filled(rig)
    rig.pull()
    box = rig.old.boxes[INBOX]
    for uid in (8, 9, 10):
        del box.messages[uid]
    box.uidnext, box.modseq = 8, 8
    rig.old.deliver(INBOX, plain(200))
    report = rig.pull()
    assert (report.total.new, report.exit_code) == (1, 0)
    assert rig.archived(INBOX) == sorted(rig.old.contents(INBOX))
    assert rig.archived(INBOX, gone=True) == sorted(
        [plain(200), *(plain(number) for number in range(10))]
    )


def test_a_delta_that_does_not_add_up_is_not_believed(tmp_path: Path) -> None:
    class Liar(MemoryStore):
        def _look(self, request: ScanRequest, box: MemoryBox) -> Scan:
            scan = super()._look(request, box)
            return scan if scan.since is None else replace(scan, vanished=())

    rig = Rig(tmp_path / "archive")
    uids = filled(rig)
    rig.pull()
    rig.old.expunge(INBOX, uids[4])
    report = rig.pull(source=Liar(rig.old))
    assert (report.total.gone, report.exit_code) == (1, 0)
    assert rig.archived(INBOX) == sorted(rig.old.contents(INBOX))


def test_a_message_that_does_not_come_keeps_the_run_incomplete_until_it_does(rig: Rig) -> None:
    filled(rig)
    rig.old.withholds = lambda content: (
        "the server said: NO [UNAVAILABLE]" if content == plain(3) else None
    )
    for _ in range(2):
        report = rig.pull()
        assert (report.total.failed, report.exit_code) == (1, 3)
        assert kinds(report)["failed"] == 1
        assert len(rig.archived(INBOX)) == 9
    rig.old.withholds = lambda _: None
    served = rig.old.served
    report = rig.pull()
    assert (report.total.new, report.exit_code) == (1, 0)
    assert rig.old.served == served + len(plain(3))
    assert rig.archived(INBOX) == sorted(rig.old.contents(INBOX))


def test_a_message_expunged_while_it_is_fetched_is_no_failure(rig: Rig) -> None:
    class Slow(MemoryStore):
        def fetch(self, wanted: Iterable[Entry]) -> Iterator[Message | Unfetched]:
            entries = list(wanted)
            rig.old.expunge(INBOX, 2)
            return super().fetch(entries)

    filled(rig)
    report = rig.pull(source=Slow(rig.old))
    assert (report.total.new, report.total.skipped, report.exit_code) == (9, 1, 0)
    assert kinds(report)["expunged"] == 1
    assert rig.pull().exit_code == 0


def test_a_connection_that_breaks_for_good_keeps_what_came_and_the_next_run_brings_the_rest(
    rig: Rig,
) -> None:
    filled(rig)
    rig.old.fetches_left = 4
    report = rig.pull()
    assert isinstance(report.error, ConnectionLost)
    assert report.exit_code == 75
    assert len(rig.archived(INBOX)) == 4
    rig.old.fetches_left = None
    served = rig.old.served
    assert rig.pull().total.new == 6
    assert rig.old.served - served == sum(len(plain(number)) for number in range(4, 10))


def test_a_view_of_all_mail_comes_last_and_fetches_only_what_is_nowhere_else(rig: Rig) -> None:
    rig.old.make(ALL, "\\All")
    filled(rig)
    for number in range(12):
        rig.old.deliver(ALL, plain(number))
    report = rig.pull()
    assert report.mailboxes[ALL].new + report.mailboxes[INBOX].new == 12
    assert len(rig.archived(ALL)) == 12
    # Without object ids, what came in this very run is not looked for; it is fetched once more and
    # stored once.
    assert rig.pull().total.new == 0


def test_with_object_ids_a_view_of_all_mail_fetches_no_message_twice(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "archive", MemoryServer(condstore=True, object_ids=True))
    rig.old.make(ALL, "\\All")
    for number in range(12):
        rig.old.deliver(ALL, plain(number), object_id=f"X{number}")
        if number < 10:
            rig.old.deliver(INBOX, plain(number), object_id=f"X{number}")
    rig.pull()
    assert rig.old.served == sum(len(plain(number)) for number in range(12))
    assert len(rig.archived(ALL)) == 12
    assert len(rig.archived(INBOX)) == 10


def test_other_views_are_left_out_where_all_mail_is_shown_unless_they_are_named(rig: Rig) -> None:
    rig.old.make(ALL, "\\All")
    rig.old.make(("Starred",), "\\Flagged")
    rig.old.deliver(("Starred",), plain(1))
    assert rig.pull().total.new == 0
    assert rig.pull(only=["Starred"]).total.new == 1


@pytest.mark.parametrize("role", ["\\Flagged", "\\Important"])
def test_what_is_called_a_view_and_holds_messages_of_its_own_is_kept_and_moved(
    rig: Rig, role: str
) -> None:
    rig.old.make(("Starred",), role)
    rig.old.deliver(INBOX, routed(1))
    rig.old.deliver(("Starred",), routed(1))
    assert rig.pull().total.new == 1
    rig.push()
    assert not rig.there(("Starred",))
    rig.old.deliver(("Starred",), routed(2))
    rig.pull()
    rig.push()
    assert rig.there(("Starred",)) == [routed(2)]


def test_a_name_of_the_configuration_that_the_server_does_not_list_is_no_complete_backup(
    rig: Rig,
) -> None:
    filled(rig)
    report = rig.pull(among=["INBOX", "Sentt"])
    assert report.exit_code == 3
    assert rig.rehearse(among=["INBOX", "Sentt"]).exit_code == 3
    assert "no mailbox there matches Sentt" in report.notes[0].text
    assert rig.pull(among=["INBOX", "!Sentt", "Nothing*"]).exit_code == 0
    assert rig.pull(among=["Nothing*"]).exit_code == 3


def test_only_what_globs_choose_is_pulled_and_the_rest_is_not_believed_gone(rig: Rig) -> None:
    filled(rig)
    rig.old.deliver(("Spam",), plain(40))
    rig.old.deliver(("Work", "2024"), plain(41))
    rig.pull()
    rig.old.deliver(INBOX, plain(50))
    rig.old.deliver(("Spam",), plain(51))
    rig.old.deliver(("Work", "2024"), plain(52))
    report = rig.pull(among=["*", "!Spam"], only=["work*", "Work*"])
    assert (report.total.new, report.total.gone, report.exit_code) == (1, 0, 0)
    assert len(rig.archived(("Work", "2024"))) == 2
    assert len(rig.archived(("Spam",))) == 1
    assert rig.pull().total.new == 2


def test_one_message_id_on_two_messages_keeps_both_and_says_so(rig: Rig) -> None:
    one, two = plain(1), plain(1).replace(b"second line", b"third line")
    rig.old.deliver(INBOX, one)
    rig.old.deliver(INBOX, two)
    report = rig.pull()
    assert kinds(report)["collision"] == 1
    assert report.exit_code == 0
    assert rig.archived(INBOX) == sorted([one, two])
    assert kinds(rig.pull())["collision"] == 0


def test_very_many_messages_vanishing_at_once_is_said_loudly_and_loses_nothing(rig: Rig) -> None:
    uids = filled(rig, 100)
    rig.pull()
    for uid in uids[:60]:
        rig.old.expunge(INBOX, uid)
    report = rig.pull()
    assert (report.total.gone, report.exit_code, report.complete) == (60, 5, True)
    assert kinds(report)["mass-vanishing"] == 1
    assert f"mailsync restore {ACCOUNT} --mailbox INBOX --gone-since 20" in report.notes[0].text
    assert len(rig.archived(INBOX, gone=True)) == 100
    assert rig.pull().exit_code == 0


def test_what_a_full_disk_did_not_take_is_not_counted(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(rig, 5)
    assert rig.pull().total.new == 5
    for number in range(20, 30):
        rig.old.deliver(INBOX, plain(number))

    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    report = Report("pull", ACCOUNT)
    with monkeypatch.context() as disk, rig.archive() as archive, archive.pull(ACCOUNT) as run:
        disk.setattr(write_worker, "write", full)
        with pytest.raises(DiskFull):
            pull(MemoryStore(rig.old, ACCOUNT), run, report, Silence())
    assert (report.total.new, report.total.octets) == (0, 0)
    assert rig.pull().total.new == 10


def test_a_damaged_message_is_fetched_anew(rig: Rig) -> None:
    filled(rig)
    rig.pull()
    rig.damage(plain(4))
    with rig.archive() as archive:
        assert len(list(archive.verify(Silence()))) == 1
    report = rig.pull()
    assert (report.total.mended, report.total.new, report.exit_code) == (1, 0, 0)
    assert rig.archived(INBOX) == sorted(rig.old.contents(INBOX))


def test_a_rehearsal_counts_what_would_come_and_writes_nothing(rig: Rig) -> None:
    uids = filled(rig)
    rig.pull()
    rig.old.flag(INBOX, uids[0], "\\Seen")
    rig.old.expunge(INBOX, uids[1])
    rig.old.deliver(INBOX, plain(50))
    before, served = rig.everything(), rig.old.served
    report = rig.rehearse()
    assert (report.total.new, report.total.flags, report.total.gone, report.total.octets) == (
        1,
        1,
        1,
        len(plain(50)),
    )
    assert rig.everything() == before
    assert rig.old.served == served


@pytest.mark.parametrize("uidls", [True, False])
def test_a_maildrop_is_pulled_once_and_what_left_it_is_never_gone(uidls: bool, rig: Rig) -> None:
    class Drop(MemoryMaildrop):
        pass

    Drop.uidls = uidls
    uids = filled(rig)
    rig.pull(source=Drop(rig.old))
    for uid in uids[:9]:
        rig.old.expunge(INBOX, uid)
    rig.old.deliver(INBOX, plain(60))
    served = rig.old.served
    report = rig.pull(source=Drop(rig.old))
    assert (report.total.new, report.total.gone, report.exit_code) == (1, 0, 0)
    assert rig.old.served == served + len(plain(60))
    assert len(rig.archived(INBOX)) == 11


@pytest.mark.parametrize("tails", [True, False])
def test_messages_of_one_size_from_a_server_without_uidls_are_not_taken_for_each_other(
    tails: bool, rig: Rig
) -> None:
    """Nothing in its listing tells them apart but their numbers."""
    Tailless = type("Tailless", (MemoryMaildrop,), {"tails": None})  # noqa: N806  it is a class

    def drop() -> MemoryMaildrop:
        session: MemoryMaildrop = (MemoryMaildrop if tails else Tailless)(rig.old, ACCOUNT)
        session.uidls = False
        return session

    rig.old.deliver(INBOX, plain(1))
    rig.old.deliver(INBOX, plain(2))
    rig.pull(source=drop())
    for number in (3, 4, 5):
        assert len(plain(number)) == len(plain(1))
        rig.old.deliver(INBOX, plain(number))
    report = rig.pull(source=drop())
    assert (report.total.new, report.total.matched, report.exit_code) == (3, 2, 0)
    assert rig.archived(INBOX) == sorted(map(plain, range(1, 6)))


def test_messages_without_any_field_are_each_their_own(rig: Rig) -> None:
    bodies = [b"\r\nno header, number %d\r\n" % number for number in range(5)]
    for body in bodies:
        rig.old.deliver(INBOX, body)
    rig.pull()
    assert rig.archived(INBOX) == sorted(bodies)
    rig.old.renumber(INBOX)
    assert rig.pull().exit_code == 0
    assert rig.archived(INBOX) == sorted(bodies)


def test_a_mailbox_that_stands_still_was_checked_all_the_same(rig: Rig) -> None:
    rig.old.deliver(INBOX, plain(1))
    rig.old.deliver(("Work",), plain(2))
    rig.pull()
    rig.clock.now += 86_400
    report = rig.pull()
    assert report.unchanged in {0, 2}
    with Archive.read(rig.directory) as archive:
        seen = {box.complete_at for box in archive.mailboxes(ACCOUNT)}
    assert seen == {int(rig.clock.now)}
