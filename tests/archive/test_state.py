"""When a mailbox counts as complete, what is known of it, and what became of messages that went."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from mailsync import identity
from mailsync.archive import Archive, PullRun
from mailsync.model import INBOX, KnownMessage, Mailbox, MailboxPath, Scan, SyncState
from tests.archive.archive_steps import (
    files,
    messages,
    opened,
    pull,
    pull_whole,
    pulling,
    scan,
    sha256,
    uid,
)
from tests.messages import plain

WORK: MailboxPath = ("Work",)
THREE = [uid(n, plain(n)) for n in (1, 2, 3)]


def test_a_mailbox_has_no_state_before_it_was_complete_once(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        with pulling(archive) as run:
            assert run.state(INBOX) is None
            for message in THREE:
                run.add(message)
            run.incomplete(INBOX)
            assert run.state(INBOX) is None
        assert archive.last_known("alice").state(INBOX) is None
        assert archive.mailboxes("alice")[0].incomplete


def test_the_state_is_that_of_the_scan(tmp_path: Path) -> None:
    seen = replace(scan(THREE), state=SyncState(1, 4, 3, 77))
    with opened(tmp_path / "a") as archive:
        with pulling(archive) as run:
            for message in THREE:
                run.add(message)
            run.complete(seen)
        (box,) = archive.mailboxes("alice")
        assert (box.incomplete, box.complete_at is not None) == (False, True)
    with opened(tmp_path / "a") as archive, archive.pull("alice") as run:
        assert run.state(INBOX) == SyncState(1, 4, 3, 77)


def interrupted(archive: Archive, steps: Callable[[PullRun], object]) -> None:
    with archive.pull("alice") as run:
        run.add(THREE[0])
        run.flush()
        run.add(THREE[1])
        steps(run)
        raise KeyboardInterrupt


def test_a_run_that_is_interrupted_keeps_what_it_took_in_whole(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        with pytest.raises(KeyboardInterrupt):
            interrupted(archive, lambda run: run.taken)
        assert archive.last_known("alice").state(INBOX) is None
        assert len(messages(archive)) == len(files(tmp_path / "a")) == 2
        assert archive.runs("alice", 1)[0].ended is None
    with opened(tmp_path / "a") as archive:
        newest = archive.runs("alice", 1)[0]
        assert (newest.complete, newest.ended is not None) == (False, True)


def test_a_run_that_breaks_off_while_it_stores_keeps_nothing_it_had_not_committed(
    tmp_path: Path,
) -> None:
    with opened(tmp_path / "a") as archive:

        def half_stored(run: PullRun) -> None:
            with patch.object(identity, "fingerprint", side_effect=KeyboardInterrupt):
                run.add(THREE[2])

        with pytest.raises(KeyboardInterrupt):
            interrupted(archive, half_stored)
        assert [archived.digest for archived in messages(archive)] == [sha256(plain(1))]
        assert len(files(tmp_path / "a")) == 1
    with opened(tmp_path / "a") as archive:
        newest = archive.runs("alice", 1)[0]
        assert (newest.complete, newest.ended is not None) == (False, True)


def test_a_full_scan_knows_every_message_of_its_uidvalidity(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull_whole(archive, THREE)
        with pulling(archive) as run:
            run.mark_gone(INBOX, 1, [2])
            known = run.known(scan(THREE))
            assert set(known.messages) == {1, 2, 3}
            assert (known.live, known.messages[2].gone) == (2, True)
            first = replace(known.messages[1], internaldate=None)
            assert first == KnownMessage(len(plain(1)), frozenset())
            assert run.known(scan(THREE, validity=9)).messages == {}
            assert run.known(scan(THREE, WORK)).messages == {}


def test_a_delta_knows_only_what_it_names(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull_whole(archive, [uid(n, plain(n)) for n in range(1, 30)])
        with pulling(archive) as run:
            since = run.state(INBOX)
            delta = Scan(
                Mailbox(INBOX),
                SyncState(1, 31, 28),
                (uid(2, plain(2)).entry, uid(30, plain(30)).entry),
                since,
                (range(5, 8), range(90, 99)),
            )
            known = run.known(delta)
            assert set(known.messages) == {2, 5, 6, 7}
            assert known.live == 29
            assert known.state == since


def test_a_message_that_goes_and_returns_is_never_lost(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull_whole(archive, THREE)
        with pulling(archive) as run:
            assert run.mark_gone(INBOX, 1, [2, 99]) == 1
            assert run.mark_gone(INBOX, 1, [2]) == 0
            run.complete(scan([THREE[0], THREE[2]]))
        assert len(messages(archive)) == 2
        (gone,) = (archived for archived in messages(archive, gone=True) if archived.gone)
        assert archive.content(gone.digest) == plain(2)
        with pulling(archive) as run:
            assert run.reflag([THREE[1].entry]) == 1
        assert len(messages(archive)) == 3
        assert len(files(tmp_path / "a")) == 3


def test_a_new_uidvalidity_makes_what_was_not_seen_again_gone(tmp_path: Path) -> None:
    again = [uid(n + 10, plain(n), validity=2) for n in (1, 2)]
    with opened(tmp_path / "a") as archive:
        pull_whole(archive, THREE)
        with pulling(archive) as run:
            for message in again:
                run.add(message)
            assert run.complete(scan(again, validity=2)) == 1
        assert {archived.digest for archived in messages(archive)} == {
            sha256(plain(1)),
            sha256(plain(2)),
        }
        assert len(messages(archive, gone=True)) == 3
        assert len(files(tmp_path / "a")) == 3
        assert archive.last_known("alice").state(INBOX) == SyncState(2, 13, 2)


def test_messages_live_on_while_a_new_uidvalidity_is_half_seen(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull_whole(archive, THREE)
        with pulling(archive) as run:
            run.add(uid(11, plain(1), validity=2))
            run.incomplete(INBOX)
        assert len(messages(archive)) == 3


def test_retired_uids_may_mean_other_messages(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull_whole(archive, THREE)
        with pulling(archive) as run:
            run.retire(INBOX)
            assert run.state(INBOX) is None
            assert run.known(scan(THREE)).messages == {}
            assert len(messages(archive)) == 3
            now = [uid(1, plain(7)), uid(2, plain(2))]
            for message in now:
                run.add(message)
            assert run.complete(scan(now)) == 2
        assert {archived.digest for archived in messages(archive)} == {
            sha256(plain(7)),
            sha256(plain(2)),
        }
        assert {archived.digest for archived in messages(archive, gone=True)} == {
            sha256(plain(n)) for n in (1, 2, 3, 7)
        }


def test_uids_can_be_retired_twice(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        for n in range(3):
            pull_whole(archive, [uid(1, plain(n))])
            with pulling(archive) as run:
                run.retire(INBOX)
        assert {archived.digest for archived in messages(archive, gone=True)} == {
            sha256(plain(n)) for n in range(3)
        }


def test_a_mailbox_that_is_no_longer_listed_is_removed_with_its_messages_kept(
    tmp_path: Path,
) -> None:
    with opened(tmp_path / "a") as archive:
        pull_whole(archive, THREE)
        pull_whole(archive, [uid(1, plain(4), WORK)], WORK)
        with pulling(archive) as run:
            assert list(run.absent([INBOX])) == [WORK]
            assert not run.absent([INBOX])
            assert run.state(WORK) is None
            assert run.state(INBOX) is not None
        assert messages(archive, WORK) == []
        assert [archived.digest for archived in messages(archive, WORK, gone=True)] == [
            sha256(plain(4))
        ]
        assert [box.removed for box in archive.mailboxes("alice")] == [False, True]
        with pulling(archive) as run:
            run.mailbox(Mailbox(WORK))
            seen = scan([uid(1, plain(4), WORK)], WORK)
            assert run.known(seen).messages[1].gone
            run.reflag(seen.entries)
            run.complete(seen)
        assert [box.removed for box in archive.mailboxes("alice")] == [False, False]
        assert len(messages(archive, WORK)) == 1


def test_an_empty_list_of_one_account_leaves_the_others_alone(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull_whole(archive, THREE)
        with pulling(archive, "bob") as run:
            assert not run.absent([])
        assert len(messages(archive)) == 3


def test_roles_and_subscription_of_a_mailbox_are_remembered(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        with pulling(archive) as run:
            run.mailbox(Mailbox(WORK, frozenset({"\\Sent", "\\HasNoChildren"}), subscribed=True))
        (box,) = archive.mailboxes("alice")
        assert (box.special_use, box.subscribed, box.live) == (frozenset({"\\Sent"}), True, 0)
        with pulling(archive) as run:
            run.mailbox(Mailbox(WORK))
        (box,) = archive.mailboxes("alice")
        assert (box.special_use, box.subscribed) == (frozenset(), False)


def test_a_message_stays_live_while_one_of_its_placements_does(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1), flags=["\\Seen"]), uid(2, plain(1), flags=["\\Flagged"])])
        with pulling(archive) as run:
            run.mark_gone(INBOX, 1, [2])
        (archived,) = messages(archive)
        assert archived.flags == {"\\Seen"}
        assert len(messages(archive, gone=True)) == 1


def test_a_uid_that_suddenly_holds_another_message_costs_neither(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1))])
        pull(archive, [uid(1, plain(2))])
        assert len(files(tmp_path / "a")) == 2
        assert [archived.digest for archived in messages(archive)] == [sha256(plain(2))]
        assert {archived.digest for archived in messages(archive, gone=True)} == {
            sha256(plain(1)),
            sha256(plain(2)),
        }


def test_messages_are_counted_as_the_server_shows_them_and_renumbering_takes_none_away(
    tmp_path: Path,
) -> None:
    with opened(tmp_path / "a") as archive:
        pull_whole(
            archive, [uid(1, plain(1)), uid(2, plain(1)), uid(3, plain(2)), uid(4, plain(3))]
        )
        pull_whole(archive, [uid(n, plain(1 + n // 3), validity=2) for n in (1, 2, 3)], validity=2)
        (box,) = archive.mailboxes("alice")
        assert (box.live, box.copies, box.gone) == (3, 1, 1)
        assert archive.size()[:2] == (4, 3)
