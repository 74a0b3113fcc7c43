"""A pull and a push over one open archive, each in its own thread: neither harms what the other
wrote.
"""

from __future__ import annotations

import resource
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mailsync.archive import Archive
from mailsync.errors import ArchiveError
from mailsync.model import INBOX, ArchivedMessage, SyncState
from tests.archive.archive_steps import ACCOUNT, damages, files, messages, opened, pull, sha256, uid
from tests.messages import plain

STATE = SyncState(7, 100, 3)
TARGET = "imap://bob@new.example"


def arrived(directory: Path, above: int = 0) -> list[ArchivedMessage]:
    """What another process may believe to be there."""
    with Archive.read(directory) as looking:
        return list(looking.arrived(ACCOUNT, above, 10_000)[1])


def test_messages_are_shown_in_the_order_they_came_once_they_are_durable(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1))])
        before = archive.newest()
        with archive.pull(ACCOUNT) as run:
            run.add(uid(3, plain(3)))
            run.add(uid(2, plain(2)))
            assert arrived(tmp_path / "a", before) == []
            archive.flush()
            assert [message.digest for message in arrived(tmp_path / "a", before)] == [
                sha256(plain(3)),
                sha256(plain(2)),
            ]
            assert len(files(tmp_path / "a")) == 3
            with Archive.read(tmp_path / "a") as looking:
                last, some = looking.arrived(ACCOUNT, before, 1)
                assert [message.digest for message in some] == [sha256(plain(3))]
                assert [message.digest for message in looking.arrived(ACCOUNT, last, 1)[1]] == [
                    sha256(plain(2))
                ]


def test_an_intent_is_durable_together_with_the_messages_that_came_before_it(
    tmp_path: Path,
) -> None:
    with opened(tmp_path / "a") as archive, archive.pull(ACCOUNT) as pulling:
        pulling.add(uid(1, plain(1)))
        pushing = archive.push(ACCOUNT, TARGET)
        (message,) = arrived(tmp_path / "a")
        pulling.add(uid(2, plain(2)))
        pushing.intend(INBOX, STATE, [message])
        with Archive.read(tmp_path / "a") as looking:
            lines = looking.push(ACCOUNT, TARGET, rehearsal=True).ledger(INBOX)
        assert [line.pending for line in lines.values()] == [True]
        assert len(arrived(tmp_path / "a")) == len(files(tmp_path / "a")) == 2


def test_a_pull_that_breaks_off_takes_no_answer_of_the_push_with_it_that_was_durable(
    tmp_path: Path,
) -> None:
    def breaks_off(archive: Archive) -> None:
        with archive.pull(ACCOUNT) as pulling:
            pulling.add(uid(1, plain(1)))
            pushing = archive.push(ACCOUNT, TARGET)
            (message,) = arrived(tmp_path / "a")
            pushing.intend(INBOX, STATE, [message])
            pulling.add(uid(2, plain(2)))
            raise KeyboardInterrupt

    with opened(tmp_path / "a") as archive:
        with pytest.raises(KeyboardInterrupt):
            breaks_off(archive)
        first, second = messages(archive)
        message = first if first.digest == sha256(plain(1)) else second
        with archive.push(ACCOUNT, TARGET) as pushing:
            assert pushing.ledger(INBOX)[message.identity, message.copy].pending
            pushing.settle(INBOX, message.key, 7, 100, message.flags)
            pushing.finish(complete=True, report={})
    with opened(tmp_path / "a") as archive:
        assert len(messages(archive)) == len(files(tmp_path / "a")) == 2
        with archive.push(ACCOUNT, TARGET) as pushing:
            assert pushing.ledger(INBOX)[message.identity, message.copy].uid == 100


def test_a_push_commits_nothing_of_a_pull_that_broke_off_in_the_middle_of_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "a") as archive:
        with archive.pull(ACCOUNT) as pulling:
            pulling.add(uid(1, plain(1)))
            pushing = archive.push(ACCOUNT, TARGET)
            (message,) = arrived(tmp_path / "a")

            def interrupted(*_: object) -> None:
                raise KeyboardInterrupt

            with monkeypatch.context() as patched:
                patched.setattr(archive._tree, "write", interrupted)
                with pytest.raises(KeyboardInterrupt):
                    pulling.add(uid(2, plain(2)))
            with pytest.raises(ArchiveError):
                pushing.intend(INBOX, STATE, [message])
            with pytest.raises(ArchiveError):
                pushing.flush()
        assert [message.digest for message in messages(archive)] == [sha256(plain(1))]
        assert damages(archive) == []


def test_a_disk_that_is_full_when_the_push_commits_ends_both_and_believes_nothing_half_written(
    tmp_path: Path,
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with opened(tmp_path / "a") as archive:
        with archive.pull(ACCOUNT) as pulling:
            pulling.add(uid(1, plain(1)))
            pushing = archive.push(ACCOUNT, TARGET)
            (message,) = arrived(tmp_path / "a")
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
            try:
                pulling.add(uid(2, plain(2) + b"x" * 2_000_000))
                with pytest.raises(ArchiveError, match="File too large"):
                    pushing.intend(INBOX, STATE, [message])
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            # Neither side hides from the other what happened.
            with pytest.raises(ArchiveError, match="File too large"):
                pulling.add(uid(3, plain(3)))
            with pytest.raises(ArchiveError, match="File too large"):
                pushing.flush()
        assert [message.digest for message in messages(archive)] == [sha256(plain(1))]
        with archive.push(ACCOUNT, TARGET) as pushing:
            assert pushing.ledger(INBOX) == {}


def test_two_threads_lose_nothing_of_either_side(tmp_path: Path) -> None:
    many = 600
    done = threading.Event()

    def bring(archive: Archive) -> None:
        with archive.pull(ACCOUNT) as run:
            ready.set()
            for number in range(many):
                run.add(uid(number + 1, plain(number), ("Work",) if number % 2 else INBOX))
            run.finish(complete=True, report={})

    def send(archive: Archive) -> int:
        sent = above = 0
        with archive.push(ACCOUNT, TARGET) as run, Archive.read(tmp_path / "a") as looking:
            while True:
                ended = done.is_set()
                above, some = looking.arrived(ACCOUNT, above, 50)
                for message in some:
                    run.intend(message.mailbox, STATE, [message])
                    assert sha256(looking.content(message.digest)) == message.digest
                    run.settle(message.mailbox, message.key, 7, sent, message.flags)
                    sent += 1
                if not some:
                    if ended:
                        break
                    archive.flush()
            run.finish(complete=True, report={})
        return sent

    ready = threading.Event()
    with opened(tmp_path / "a") as archive, ThreadPoolExecutor(1) as other:
        pulled = other.submit(bring, archive)
        assert ready.wait(100)
        pulled.add_done_callback(lambda _: done.set())
        assert send(archive) == many
        pulled.result()
    with opened(tmp_path / "a") as archive:
        assert damages(archive) == []
        assert len(messages(archive)) + len(messages(archive, ("Work",))) == many
        with archive.push(ACCOUNT, TARGET) as run:
            lines = [*run.ledger(INBOX).values(), *run.ledger(("Work",)).values()]
        assert len(lines) == many
        assert not any(line.pending for line in lines)
