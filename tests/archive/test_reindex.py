"""The catalogue built again: lost, damaged, old, or fine; what the mail tree proves and what only a
copy could tell.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mailsync.archive import Archive, Reindexed, reindex
from mailsync.archive.catalogue import COPY
from mailsync.errors import ArchiveLocked, ArchiveNotFound, IntegrityError, SchemaTooNew
from mailsync.model import INBOX, Kind, MailboxPath
from tests.archive.archive_steps import (
    damages,
    files,
    messages,
    only_file,
    opened,
    pull,
    pull_whole,
    pulling,
    rot,
    sha256,
    uid,
    uidl,
)
from tests.messages import plain

WORK: MailboxPath = ("Work",)
LONG: MailboxPath = ("x" * 300,)
SOME = [
    uid(1, plain(1), flags=["\\Seen"]),
    uid(2, plain(2), flags=["work", "\\Flagged"]),
    uid(1, plain(1), WORK),
    uid(2, plain(3), WORK, flags=["later"]),
    uid(1, plain(4), LONG),
]


def lose_catalogue(directory: Path, *, also_copy: bool = True) -> None:
    for path in directory.glob("catalogue*"):
        if also_copy or path.name != COPY:
            path.unlink()


def again(directory: Path, *, by_uid: bool = True) -> Reindexed:
    return reindex(directory, "alice", by_uid=by_uid)


@pytest.mark.parametrize("attempt", [opened, Archive.read])
def test_without_its_catalogue_an_archive_is_not_used_and_the_remedy_is_named(
    tmp_path: Path, attempt: object
) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, SOME)
    lose_catalogue(tmp_path / "a")
    with pytest.raises(IntegrityError, match="mailsync reindex"):
        attempt(tmp_path / "a")  # type: ignore[operator]
    assert not list((tmp_path / "a").glob("catalogue*"))


def test_a_lost_catalogue_is_built_from_the_tree_with_mailboxes_flags_and_dates(
    tmp_path: Path,
) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, SOME)
        before = {mailbox: messages(archive, mailbox) for mailbox in (INBOX, WORK, LONG)}
        names = files(tmp_path / "a")
    lose_catalogue(tmp_path / "a")

    done = again(tmp_path / "a")

    assert (done.basis, done.files, done.adopted, done.unplaced, done.damaged, done.missing) == (
        "tree",
        5,
        5,
        5,
        (),
        0,
    )
    assert files(tmp_path / "a") == names
    with opened(tmp_path / "a") as archive:
        assert {mailbox: messages(archive, mailbox) for mailbox in (INBOX, WORK, LONG)} == before
        assert damages(archive) == []
        assert archive.last_known("alice").state(INBOX) is None
        assert [record.kind for record in archive.runs("alice", 5)] == ["reindex"]


def test_a_complete_scan_confirms_what_it_finds_and_the_rest_is_gone_without_an_alarm(
    tmp_path: Path,
) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, SOME)
    lose_catalogue(tmp_path / "a")
    again(tmp_path / "a")
    with opened(tmp_path / "a") as archive:
        assert len(messages(archive)) == 2
        with pulling(archive) as run:
            assert run.candidates([SOME[0].entry]) == [SOME[0].entry]
        pull_whole(archive, [SOME[0]])
        assert [message.digest for message in messages(archive)] == [sha256(plain(1))]
        assert [message.digest for message in messages(archive, gone=True) if message.gone] == [
            sha256(plain(2))
        ]
        (inbox,) = [mailbox for mailbox in archive.mailboxes("alice") if mailbox.path == INBOX]
        assert (inbox.live, inbox.gone) == (1, 1)
        # What no scan has looked at yet stays as it is.
        assert len(messages(archive, WORK)) == 2
        assert damages(archive) == []


def test_messages_of_a_pop3_account_stay_live_for_good(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uidl(b"one", plain(1)), uidl(b"two", plain(2))])
    lose_catalogue(tmp_path / "a")
    again(tmp_path / "a", by_uid=False)
    with opened(tmp_path / "a") as archive:
        pull_whole(archive, [uidl(b"two", plain(2))], validity=0)
        assert len(messages(archive)) == 2
        (inbox,) = archive.mailboxes("alice")
        assert (inbox.live, inbox.gone) == (2, 0)


def test_from_the_copy_history_comes_back_and_what_came_later_is_taken_from_the_tree(
    tmp_path: Path,
) -> None:
    with opened(tmp_path / "a") as archive:
        pull_whole(archive, SOME[:2])
        with pulling(archive) as run:
            run.mark_gone(INBOX, 1, [2])
        gone = [message.digest for message in messages(archive, gone=True) if message.gone]
    with opened(tmp_path / "a") as archive:
        pull_whole(archive, SOME[:1])
    copy = tmp_path / "a" / COPY
    day = copy.stat().st_mtime
    kept = copy.read_bytes()
    with opened(tmp_path / "a") as archive:
        pull(archive, SOME[2:])
    copy.write_bytes(kept)
    os.utime(copy, (day, day))
    (tmp_path / "a/catalogue.sqlite3").write_bytes(b"rubbish" * 1000)

    done = again(tmp_path / "a")

    assert (done.basis, done.as_of, done.adopted, done.unplaced) == ("copy", int(day), 3, 3)
    assert done.aside is not None
    assert done.aside.read_bytes() == b"rubbish" * 1000
    assert "could not be read" in (tmp_path / "a/quarantine/README.txt").read_text()
    with opened(tmp_path / "a") as archive:
        assert (
            [message.digest for message in messages(archive, gone=True) if message.gone]
            == gone
            == [sha256(plain(2))]
        )
        assert archive.last_known("alice").state(INBOX) is not None
        assert len(messages(archive, WORK)) == 2
        assert damages(archive) == []


def test_a_damaged_copy_is_not_used(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, SOME)
    lose_catalogue(tmp_path / "a")
    (tmp_path / "a" / COPY).write_bytes(b"SQLite format 3\0" + b"rubbish" * 1000)
    assert again(tmp_path / "a").basis == "tree"


def test_a_page_torn_out_of_the_catalogue_is_found_and_mended_from_the_copy(tmp_path: Path) -> None:
    for _ in range(2):
        with opened(tmp_path / "a") as archive:
            pull_whole(archive, [uid(number, plain(number)) for number in range(1, 60)])
    path = tmp_path / "a/catalogue.sqlite3"
    content = bytearray(path.read_bytes())
    for page in range(4096, len(content), 4096):
        content[page : page + 300] = b"\xff" * 300
    path.write_bytes(content)
    done = again(tmp_path / "a")
    assert done.basis == "copy"
    with opened(tmp_path / "a") as archive:
        assert len(messages(archive)) == 59
        assert damages(archive) == []


def test_a_sound_catalogue_is_kept_with_its_history_and_agrees_with_the_tree_afterwards(
    tmp_path: Path,
) -> None:
    with opened(tmp_path / "a") as archive:
        pull_whole(archive, SOME[:2])
        with pulling(archive) as run:
            run.mark_gone(INBOX, 1, [2])
        history = messages(archive, gone=True)
    bad, *_ = files(tmp_path / "a")
    rot(bad)

    done = again(tmp_path / "a")

    assert (done.basis, done.aside, done.adopted, len(done.damaged), done.missing) == (
        "catalogue",
        None,
        0,
        1,
        0,
    )
    assert len(list((tmp_path / "a/quarantine").iterdir())) == 2
    with opened(tmp_path / "a") as archive:
        assert messages(archive, gone=True) == history
        assert archive.last_known("alice").state(INBOX) is None or bad.name.startswith(
            str(history[-1].internaldate)
        )
        assert len([damage for damage in damages(archive) if damage.damaged]) == 1
    assert again(tmp_path / "a").missing == 1


def test_a_damaged_file_nobody_knows_goes_to_quarantine_and_is_named(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, SOME[:1])
    path = only_file(tmp_path / "a")
    rot(path)
    rotten = path.read_bytes()
    lose_catalogue(tmp_path / "a")
    done = again(tmp_path / "a")
    assert (done.files, done.damaged) == (0, (path,))
    assert (tmp_path / "a/quarantine" / path.name).read_bytes() == rotten
    with opened(tmp_path / "a") as archive:
        assert pull(archive, SOME[:1])[0].kind is Kind.NEW
        assert archive.content(sha256(plain(1))) == plain(1)


def test_two_hundred_messages_that_a_device_sent_alike_come_back_as_two_hundred(
    tmp_path: Path,
) -> None:
    alerts = [
        b"Received: by relay id %d\r\nSubject: alert\r\n\r\nthe same\r\n" % number
        for number in range(200)
    ]
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(number, alert) for number, alert in enumerate(alerts, 1)])
    lose_catalogue(tmp_path / "a")
    again(tmp_path / "a")
    with opened(tmp_path / "a") as archive:
        assert {message.digest for message in messages(archive)} == {
            sha256(alert) for alert in alerts
        }


def test_with_no_archive_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(ArchiveNotFound):
        again(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_newer_catalogue_is_left_alone_also_when_it_is_the_copy(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, SOME[:1])
    for name in ("catalogue.sqlite3", COPY):
        path = tmp_path / "a" / name
        if name == COPY:
            (tmp_path / "a/catalogue.sqlite3").rename(path)
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
        with pytest.raises(SchemaTooNew):
            again(tmp_path / "a")


def test_an_archive_in_use_is_left_alone(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, SOME[:1])
        with pytest.raises(ArchiveLocked):
            again(tmp_path / "a")


def test_killed_anywhere_a_reindex_is_done_by_the_next_one(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(number, plain(number)) for number in range(1, 300)])
        whole = messages(archive)
    (tmp_path / "a/catalogue.sqlite3").write_bytes(b"rubbish" * 1000)
    lines = (
        "import pathlib, sys; from mailsync.archive import reindex; "
        "print('.', flush=True); reindex(pathlib.Path(sys.argv[1]), 'alice', by_uid=True)"
    )
    for pause in (0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.13, 0.16):
        with subprocess.Popen(
            [sys.executable, "-c", lines, str(tmp_path / "a")], stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(pause)
            child.send_signal(signal.SIGKILL)
    again(tmp_path / "a")
    with opened(tmp_path / "a") as archive:
        assert messages(archive) == whole
        assert damages(archive) == []
    assert (tmp_path / "a/quarantine/catalogue.sqlite3").read_bytes() == b"rubbish" * 1000
