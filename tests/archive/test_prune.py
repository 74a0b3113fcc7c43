"""Taking messages out of an archive: only what left its server long ago, wholly, and at no moment
half.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from mailsync.archive import Archive, Prunable
from mailsync.archive.reindex import reindex
from mailsync.errors import ArchiveError
from mailsync.model import INBOX, MailboxPath, SyncState
from tests.archive.archive_steps import (
    DAY,
    START,
    damages,
    files,
    messages,
    opened,
    pull,
    pull_whole,
    pulling,
    sha256,
    uid,
    uidl,
)
from tests.messages import plain

WORK: MailboxPath = ("Work",)
LATER = START + 100 * DAY
"""When the runs that open at LATER take place; those opened without a time take place shortly after
START.
"""


def everything(_: MailboxPath) -> bool:
    return True


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Messages 1 to 5 in the inbox, of which 1, 2, 3 left at START and 4 at LATER; 1 is in Work
    too, 2 was there and left at START.
    """
    directory = tmp_path / "a"
    with opened(directory) as archive:
        pull_whole(archive, [uid(number, plain(number)) for number in range(1, 6)])
        pull_whole(archive, [uid(1, plain(1), WORK), uid(2, plain(2), WORK)], WORK)
        with pulling(archive) as run:
            run.mark_gone(INBOX, 1, [1, 2, 3])
            run.mark_gone(WORK, 1, [2])
    with opened(directory, begin=LATER) as archive, pulling(archive) as run:
        run.mark_gone(INBOX, 1, [4])
    return directory


def held(archive: Archive, mailbox: MailboxPath = INBOX) -> set[bytes]:
    return {message.digest for message in messages(archive, mailbox, gone=True)}


def test_only_messages_gone_for_so_long_go_and_a_dry_look_tells_the_same(archive: Path) -> None:
    # Message 1 stays in Work, so its file in the inbox gives nothing back; message 2 goes from
    # both, which is one file on the disk.
    told = [Prunable(INBOX, 3, len(plain(2)) + len(plain(3))), Prunable(WORK, 1, 0)]
    with Archive.read(archive, lambda: LATER) as reading:
        assert list(reading.prunable("alice", START + DAY, everything)) == told
        assert list(reading.prunable("alice", START - DAY, everything)) == []
    before = len(files(archive))
    with opened(archive, begin=LATER) as writing:
        assert list(writing.prune("alice", START + DAY, everything)) == told
        assert held(writing) == {sha256(plain(4)), sha256(plain(5))}
        assert held(writing, WORK) == {sha256(plain(1))}
        assert writing.content(sha256(plain(1))) == plain(1)
        assert writing.find(sha256(plain(2)).hex()) == []
        assert damages(writing) == []
        assert list(writing.prune("alice", START + DAY, everything)) == []
        assert [(run.kind, run.report) for run in writing.runs("alice", 2)][1][1]["messages"] == 4
    assert len(files(archive)) == before - 4


def test_a_mailbox_may_be_chosen(archive: Path) -> None:
    with opened(archive, begin=LATER) as writing:
        assert [
            one.mailbox for one in writing.prune("alice", START + DAY, lambda path: path == WORK)
        ] == [WORK]
        assert len(held(writing)) == 5


def test_a_message_that_came_back_is_not_gone(archive: Path) -> None:
    with opened(archive, begin=LATER) as writing:
        with pulling(writing) as run:
            run.reflag([uid(3, plain(3)).entry])
        writing.prune("alice", START + DAY, everything)
        assert sha256(plain(3)) in held(writing)


def test_a_message_that_was_sent_back_is_not_gone_although_no_pull_has_seen_it(
    archive: Path,
) -> None:
    with opened(archive, begin=LATER) as writing:
        gone = {one.digest: one for one in messages(writing, gone=True)}
        with writing.push("alice", "alice@mx.example") as run:
            back = gone[sha256(plain(3))]
            run.intend(INBOX, SyncState(7, 9, 0), [back])
            run.settle(INBOX, back.key, 7, 9, frozenset())
            run.finish(complete=True, report={})
        writing.prune("alice", START + DAY, everything)
        assert {sha256(plain(3)), sha256(plain(4))} <= held(writing)
        assert sha256(plain(2)) not in held(writing)


def test_messages_of_a_pop3_account_and_of_another_account_never_go(archive: Path) -> None:
    with opened(archive, begin=LATER) as writing:
        pull(writing, [uidl(b"two", plain(2)), uidl(b"nine", plain(9))], account="pop")
        pull(writing, [uid(7, plain(3))], account="other")
        assert list(writing.prune("pop", LATER + 9 * DAY, everything)) == []
        writing.prune("alice", START + DAY, everything)
        assert {sha256(plain(2)), sha256(plain(3)), sha256(plain(9))} <= held(writing) | {
            message.digest for message in messages(writing, account="pop")
        } | {message.digest for message in messages(writing, account="other")}
        assert [message.digest for message in messages(writing, account="other")] == [
            sha256(plain(3))
        ]
        assert damages(writing) == []
        assert all(writing.content(sha256(plain(number))) for number in (2, 3, 9))


def test_a_clock_that_was_set_back_makes_no_message_older(archive: Path) -> None:
    with opened(archive, begin=LATER - DAY // 2) as writing, pulling(writing) as run:
        run.mark_gone(INBOX, 1, [5])
    with opened(archive, begin=LATER) as writing:
        writing.prune("alice", LATER - DAY // 4, everything)
        assert sha256(plain(5)) in held(writing)


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        # The clock that removes is wrong, or the one by which messages went was.
        (LATER + DAY, LATER + 70 * 365 * DAY, "went from 2024-02-23 to 2094"),
        (DAY, LATER, "said 1970-01-02"),
        (LATER - 500 * DAY, LATER, "went from 2022"),
        (LATER - 50 * DAY, LATER, "went back from 2024-02-22 to 2024-01-03"),
    ],
)
def test_nothing_is_removed_by_a_clock_that_jumped(
    archive: Path, wrong: int, right: int, said: str
) -> None:
    with opened(archive, begin=wrong) as writing, pulling(writing) as run:
        run.mark_gone(INBOX, 1, [5])
    with opened(archive, begin=right) as writing:
        for remove in (writing.prunable, writing.prune):
            with pytest.raises(ArchiveError, match=said):
                remove("alice", right - 365 * DAY, everything)
        assert len(held(writing)) == 5
        # It comes to an end: once later runs cover what is asked for.
        pull(writing, [])
    with opened(archive, begin=right + 2 * DAY) as writing:
        writing.prune("alice", right + DAY, everything)
        assert held(writing) == set()


def test_a_pull_knows_whether_its_clock_can_be_believed(archive: Path) -> None:
    with opened(archive, begin=LATER + DAY) as writing, pulling(writing) as run:
        assert run.clock_doubt(14 * DAY) == ""
    with opened(archive, begin=LATER + 70 * 365 * DAY) as writing, pulling(writing) as run:
        assert "went from 2024" in run.clock_doubt(14 * DAY)
        assert "went from 2024" in writing.last_known("alice").clock_doubt(run.started, 14 * DAY)


def test_a_catalogue_that_is_lost_afterwards_is_built_again_without_them(archive: Path) -> None:
    assert (archive / "catalogue.copy.sqlite3").exists()  # with the messages that go now
    with opened(archive, begin=LATER) as writing:
        writing.prune("alice", START + DAY, everything)
    (archive / "catalogue.sqlite3").unlink()

    found = reindex(archive, "alice", by_uid=True)

    assert (found.basis, found.missing, found.adopted) == ("copy", 0, 0)
    with Archive.read(archive) as reading:
        assert damages(reading) == []
        assert held(reading) == {sha256(plain(4)), sha256(plain(5))}
        assert [message.digest for message in messages(reading)] == [sha256(plain(5))]


def test_a_disk_too_full_for_a_copy_of_the_catalogue_is_emptied_all_the_same(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> bool:
        raise OSError(errno.ENOSPC, "No space left on device")

    with opened(archive, begin=LATER) as writing:
        monkeypatch.setattr("mailsync.archive.catalogue.backup.keep_copy", full)
        writing.prune("alice", START + DAY, everything)
        assert held(writing) == {sha256(plain(4)), sha256(plain(5))}


@pytest.mark.parametrize("step", ["commit", "locate", "unlink", "sync"])
def test_interrupted_anywhere_it_is_finished_by_the_next_opening_and_no_message_comes_back(
    archive: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    places: dict[str, Callable[[], None]] = {
        "commit": lambda: monkeypatch.setattr("mailsync.archive.prune.remove_condemned", fail),
        "locate": lambda: monkeypatch.setattr(
            "mailsync.archive.storage.maildir.MaildirStorage._find", fail
        ),
        "unlink": lambda: monkeypatch.setattr("mailsync.archive.storage.maildir.os.unlink", fail),
        "sync": lambda: monkeypatch.setattr(
            "mailsync.archive.storage.maildir.sync_directory", fail
        ),
    }
    with opened(archive, begin=LATER) as writing:
        places[step]()
        with pytest.raises(KeyboardInterrupt):
            writing.prune("alice", START + DAY, everything)
        monkeypatch.undo()
    with Archive.read(archive) as reading:
        assert [damage for damage in damages(reading) if damage.damaged] == []
    with opened(archive, begin=LATER) as writing:
        assert damages(writing) == []
        assert held(writing) == {sha256(plain(4)), sha256(plain(5))}
        assert held(writing, WORK) == {sha256(plain(1))}
        assert writing.find(sha256(plain(2)).hex()) == []
        (run,) = [run for run in writing.runs("alice", 9) if run.kind == "prune"]
        assert (run.complete, run.report) == (
            False,
            {"messages": 4, "octets": len(plain(2)) + len(plain(3)), "killed": True},
        )
    assert len(files(archive)) == 3
