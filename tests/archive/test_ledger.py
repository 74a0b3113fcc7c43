"""What was pushed where, written down so that no crash makes a second copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailsync.archive import Archive
from mailsync.model import INBOX, LedgerLine, MailboxPath, SyncState
from tests.archive.archive_steps import START, messages, opened, pull, uid
from tests.messages import plain

STATE = SyncState(7, 100, 3)
TARGET = "imap://bob@new.example"


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(n, plain(n)) for n in (1, 2, 3)])
    return opened(tmp_path / "a", begin=START + 1000)


def reopened(archive: Archive) -> Archive:
    archive.close()
    return opened(archive.directory, begin=START + 2000)


def ledger(
    archive: Archive, mailbox: MailboxPath = INBOX, target: str = TARGET
) -> dict[tuple[bytes, int], LedgerLine]:
    with archive.push("alice", target) as run:
        return run.ledger(mailbox)


def test_an_intent_survives_a_process_that_dies(archive: Archive) -> None:
    one, two, _ = messages(archive)

    def push_and_die() -> None:
        with archive.push("alice", TARGET) as run:
            run.intend(INBOX, STATE, [one, two])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        push_and_die()
    again = reopened(archive)
    lines = ledger(again)
    assert set(lines) == {one.key, two.key}
    line = lines[one.key]
    assert (line.pending, line.uidvalidity, line.uid, line.uidnext, line.removed) == (
        True,
        7,
        None,
        100,
        False,
    )
    assert START + 1000 <= line.since < START + 1100
    again.close()


def test_answers_that_came_before_an_exception_are_kept(archive: Archive) -> None:
    one, two, three = messages(archive)

    def push_and_die() -> None:
        with archive.push("alice", TARGET) as run:
            run.intend(INBOX, STATE, [one, two, three])
            run.settle(INBOX, one.key, 7, 100, frozenset({"\\Seen"}))
            run.withdraw(INBOX, two.key)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        push_and_die()
    again = reopened(archive)
    lines = ledger(again)
    assert lines[one.key].uid == 100
    assert lines[one.key].flags == {"\\Seen"}
    assert not lines[one.key].pending
    assert two.key not in lines
    assert lines[three.key].pending
    again.close()


def test_a_settled_message_without_appenduid_is_settled_all_the_same(archive: Archive) -> None:
    one, *_ = messages(archive)
    with archive.push("alice", TARGET) as run:
        run.intend(INBOX, STATE, [one])
        run.settle(INBOX, one.key, None, None, frozenset())
        run.finish(complete=True, report={})
    again = reopened(archive)
    line = ledger(again)[one.key]
    assert (line.pending, line.uid, line.uidvalidity) == (False, None, None)
    again.close()


def test_only_an_intent_can_be_withdrawn(archive: Archive) -> None:
    one, *_ = messages(archive)
    with archive.push("alice", TARGET) as run:
        run.settle(INBOX, one.key, 7, 1, frozenset())
        run.withdraw(INBOX, one.key)
        assert one.key in run.ledger(INBOX)
        run.finish(complete=True, report={})
    archive.close()


def test_what_the_user_removed_or_reflagged_there_is_remembered(archive: Archive) -> None:
    one, two, _ = messages(archive)
    with archive.push("alice", TARGET) as run:
        run.settle(INBOX, one.key, 7, 1, frozenset())
        run.settle(INBOX, two.key, 7, 2, frozenset())
        run.removed(INBOX, [one.key])
        run.reflagged(INBOX, two.key, frozenset({"\\Flagged"}))
        run.finish(complete=True, report={})
    again = reopened(archive)
    lines = ledger(again)
    assert lines[one.key].removed
    assert not lines[two.key].removed
    assert lines[two.key].flags == {"\\Flagged"}
    again.close()


def test_each_destination_and_mailbox_has_lines_of_its_own(archive: Archive) -> None:
    one, *_ = messages(archive)
    with archive.push("alice", TARGET) as run:
        run.settle(INBOX, one.key, 7, 1, frozenset())
        run.settle(("A", "B"), one.key, 8, 2, frozenset())
        run.settle(("A/B",), one.key, 9, 3, frozenset())
        run.finish(complete=True, report={})
    assert ledger(archive)[one.key].uid == 1
    assert ledger(archive, ("A", "B"))[one.key].uid == 2
    assert ledger(archive, ("A/B",))[one.key].uid == 3
    assert ledger(archive, target="imap://carol@new.example") == {}
    archive.close()


def test_many_answers_are_durable_without_a_flush_of_the_callers(archive: Archive) -> None:
    one, *_ = messages(archive)
    with archive.push("alice", TARGET) as run:
        for n in range(1000):
            run.settle((f"Box {n}",), one.key, 7, n, frozenset())
        with Archive.read(archive.directory) as reader:
            assert reader._catalogue.sql.execute("SELECT count(*) FROM ledger").fetchone()[0] >= 500
        run.finish(complete=True, report={})
    archive.close()


def test_a_push_is_recorded_as_a_run(archive: Archive) -> None:
    with archive.push("alice", TARGET) as run:
        run.finish(complete=True, report={"sent": 3})
    newest = archive.runs("alice", 1)[0]
    assert (newest.id, newest.kind, newest.complete, newest.report) == (
        run.id,
        "push",
        True,
        {"sent": 3},
    )
    archive.close()


def test_messages_can_be_settled_while_they_are_listed(archive: Archive) -> None:
    with archive.push("alice", TARGET) as run:
        for n, message in enumerate(archive.messages("alice", INBOX)):
            run.intend(INBOX, STATE, [message])
            run.settle(INBOX, message.key, 7, n, frozenset())
            run.flush()
        assert len(run.ledger(INBOX)) == 3
        run.finish(complete=True, report={})
    archive.close()


def test_octets_moved_are_counted_for_a_day(archive: Archive) -> None:
    with archive.push("alice", TARGET) as run:
        archive.spend(TARGET, "up", 500)
        archive.spend(TARGET, "up", 70)
        run.finish(complete=True, report={})
    assert (
        archive.spent(TARGET, "up"),
        archive.spent(TARGET, "down"),
        archive.spent("alice", "up"),
    ) == (570, 0, 0)
    archive.close()
    with opened(archive.directory, begin=START + 90_000 + 3600) as later:
        assert later.spent(TARGET, "up") == 0


def test_octets_moved_while_the_clock_was_ahead_do_not_count_once_it_is_right(
    archive: Archive,
) -> None:
    archive.close()
    with opened(archive.directory, begin=START + 400 * 86_400) as ahead:
        ahead.spend(TARGET, "up", 500)
    with opened(archive.directory) as right:
        assert right.spent(TARGET, "up") == 0
        right.spend(TARGET, "up", 70)
        assert right.spent(TARGET, "up") == 70
