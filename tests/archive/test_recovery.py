"""Interruptions at the worst moments within one process, and what the next opening makes of
them."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailsync.archive import Archive, reindex
from mailsync.errors import ArchiveError, DiskFull
from mailsync.model import INBOX, Excerpt, Kind, Mailbox, MailboxPath
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
    scan,
    sha256,
    temporary,
    uid,
)
from tests.messages import plain

WORK: MailboxPath = ("Work",)
LONG: MailboxPath = ("x" * 300,)
SIX = [
    uid(1, plain(1), flags=["\\Seen"]),
    uid(2, plain(2), flags=["work", "\\Flagged"]),
    uid(1, plain(1), WORK),
    uid(2, plain(3), WORK, flags=["later"]),
    uid(1, plain(4), LONG),
    uid(1, plain(5), ("work",)),
]


def interrupted_before_commit(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """Pull SIX; everything is on disk, nothing is committed."""

    def fail() -> None:
        raise error

    def run_and_fail() -> None:
        with pulling(archive) as run:
            for message in SIX:
                run.add(message)
            with monkeypatch.context() as patched:
                patched.setattr(archive._catalogue, "commit", fail)
                run.flush()

    with pytest.raises((ArchiveError, KeyboardInterrupt), match=str(error.args[-1])):
        run_and_fail()


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt("now"), OSError(errno.EIO, "Input/output error")]
)
def test_files_put_in_place_just_before_an_interruption_are_taken_in_by_the_next_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    with opened(tmp_path / "a") as archive:
        interrupted_before_commit(archive, monkeypatch, error)
        assert messages(archive) == []
    before = [(path.name.partition(":2,")[0], path.stat().st_ino) for path in files(tmp_path / "a")]
    assert len(before) == len(SIX)
    with opened(tmp_path / "a") as archive:
        assert damages(archive) == []
        assert [stored.kind for stored in pull(archive, SIX)] == [Kind.NEW] * len(SIX)
        assert damages(archive) == []
        assert [
            (path.name.partition(":2,")[0], path.stat().st_ino) for path in files(tmp_path / "a")
        ] == before
        assert [archived.flags for archived in messages(archive)] in (
            [{"\\Seen"}, {"work", "\\Flagged"}],
            [{"work", "\\Flagged"}, {"\\Seen"}],
        )
        assert messages(archive, WORK, gone=True)[0].digest in {sha256(plain(1)), sha256(plain(3))}
        assert len(messages(archive, LONG)) == len(messages(archive, ("work",))) == 1


def test_the_same_process_may_go_on_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "a") as archive:
        interrupted_before_commit(archive, monkeypatch, KeyboardInterrupt("now"))
        again = [uid(1, plain(1), flags=["\\Answered"]), *SIX[1:]]
        pull(archive, again)
        assert damages(archive) == []
        assert len(files(tmp_path / "a")) == len(SIX)
        assert temporary(tmp_path / "a") == []


@pytest.mark.parametrize("dedupe", ["message-id", "exact", "none"])
def test_adopted_copies_are_used_and_not_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dedupe: str
) -> None:
    with opened(tmp_path / "a", dedupe) as archive:
        interrupted_before_commit(archive, monkeypatch, KeyboardInterrupt("now"))
    with opened(tmp_path / "a", dedupe) as archive:
        pull(archive, SIX)
        assert len(files(tmp_path / "a")) == len(SIX)
        assert all(archived.copy == 1 for archived in messages(archive))


def failing(call: Callable[..., Any], after: int, error: OSError) -> Callable[..., Any]:
    """Do as `call` does, but raise from its `after`-th time on."""
    times = 0

    def instead(*values: Any, **named: Any) -> Any:
        nonlocal times
        times += 1
        if times > after:
            raise error
        return call(*values, **named)

    return instead


@pytest.mark.parametrize("call", ["fsync", "write", "rename", "link", "open"])
@pytest.mark.parametrize("after", [0, 1, 3, 5])
def test_a_disk_that_fails_at_any_call_costs_no_committed_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, after: int
) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(9, plain(9), flags=["\\Seen"])])
        with monkeypatch.context() as patched:
            patched.setattr(
                os,
                call,
                failing(getattr(os, call), after, OSError(errno.ENOSPC, "No space left on device")),
            )
            try:
                pull(archive, [*SIX, *SIX])
                assert call in {
                    "link",
                    "rename",
                }, "only links can be done without, and few names are needed"
            except DiskFull:
                assert {archived.digest for archived in messages(archive)} == {sha256(plain(9))}
    with opened(tmp_path / "a") as archive:
        assert [damage for damage in damages(archive) if damage.damaged] == []
        pull(archive, SIX)
        assert damages(archive) == []
        assert len(messages(archive)) == 3
        assert len(files(tmp_path / "a")) == len(SIX) + 1
        assert temporary(tmp_path / "a") == []


def test_a_failed_fsync_of_one_message_lets_none_of_its_group_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "a") as archive:

        def run_and_fail() -> None:
            with pulling(archive) as run:
                with monkeypatch.context() as patched:
                    patched.setattr(
                        os, "fsync", failing(os.fsync, 0, OSError(errno.EIO, "Input/output error"))
                    )
                    run.mailbox(Mailbox(INBOX))
                    run.add(SIX[0])
                    with pytest.raises(ArchiveError, match="Input/output error"):
                        run.flush()
                run.complete(scan(SIX[:1]))

        with pytest.raises(ArchiveError):
            run_and_fail()
        assert messages(archive) == []
        assert archive.last_known("alice").state(INBOX) is None


def test_a_half_written_file_under_our_name_goes_to_quarantine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "a") as archive:
        interrupted_before_commit(archive, monkeypatch, KeyboardInterrupt("now"))
    for path in files(tmp_path / "a"):
        os.truncate(path, 20)
    with opened(tmp_path / "a") as archive:
        assert files(tmp_path / "a") == []
        assert len(
            [path for path in (tmp_path / "a/quarantine").iterdir() if path.name != "README.txt"]
        ) == len(SIX)
        pull(archive, SIX)
        assert damages(archive) == []


def test_one_name_twice_does_not_stop_the_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "a") as archive:
        interrupted_before_commit(archive, monkeypatch, KeyboardInterrupt("now"))
    for path in files(tmp_path / "a"):
        shutil.copy(path, path.parent.parent / "new" / path.name.partition(":2,")[0])
    for _ in range(2):
        with opened(tmp_path / "a") as archive:
            pull(archive, SIX)
            assert [damage for damage in damages(archive) if damage.damaged] == []


def test_keywords_are_explained_before_any_name_uses_their_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "a") as archive:
        interrupted_before_commit(archive, monkeypatch, KeyboardInterrupt("now"))
    assert (tmp_path / "a/mail/dovecot-keywords").read_text() == "0 work\n"
    assert (tmp_path / "a/mail/.Work/dovecot-keywords").read_text() == "0 later\n"


def test_a_file_that_others_left_in_tmp_is_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "a") as archive:
        interrupted_before_commit(archive, monkeypatch, KeyboardInterrupt("now"))
    (tmp_path / "a/mail/tmp/1700000000.M1P2.host").write_bytes(b"being delivered")
    (tmp_path / "a/mail/tmp/77.0.mailsync").write_bytes(b"half")
    opened(tmp_path / "a").close()
    assert temporary(tmp_path / "a") == [tmp_path / "a/mail/tmp/1700000000.M1P2.host"]


def test_a_temporary_name_that_is_taken_stops_nothing(tmp_path: Path) -> None:
    """A process id comes again, in containers always the same one."""
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1))])
        for n in range(20):
            (tmp_path / f"a/mail/tmp/{os.getpid()}.{n}.mailsync").write_bytes(b"half")
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(2, plain(2)), uid(3, plain(3))])
        assert damages(archive) == []
        assert len(messages(archive)) == 3


def test_with_the_catalogue_lost_no_message_need_be_fetched_again(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, SIX)
        names = files(tmp_path / "a")
    for path in (tmp_path / "a").glob("catalogue*"):
        path.unlink()
    reindex(tmp_path / "a", "alice", by_uid=True)
    with opened(tmp_path / "a") as archive:
        assert [damage for damage in damages(archive) if damage.damaged] == []
        with pulling(archive) as run:
            for message in SIX:
                assert run.candidates([message.entry]) == [message.entry]
                digest = run.recognise(
                    Excerpt(message.entry, message.content.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
                )
                assert digest == sha256(message.content)
                stored = run.match(message.entry, digest)
                assert stored is not None
        assert damages(archive) == []
        assert files(tmp_path / "a") == names
        assert {archived.flags for archived in messages(archive)} == {
            frozenset({"\\Seen"}),
            frozenset({"work", "\\Flagged"}),
        }
        for mailbox in (INBOX, WORK, LONG, ("work",)):
            for archived in messages(archive, mailbox):
                assert archive.content(archived.digest)


def test_a_mending_interrupted_before_its_commit_is_made_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise KeyboardInterrupt

    def mend_and_fail(archive: Archive) -> None:
        with pulling(archive) as run:
            run.add(SIX[0])
            monkeypatch.setattr(archive._tree, "sync", fail)
            run.flush()

    with opened(tmp_path / "a") as archive:
        pull_whole(archive, SIX[:1])
        rot(only_file(tmp_path / "a"))
        assert len(damages(archive)) == 1
        with pytest.raises(KeyboardInterrupt):
            mend_and_fail(archive)
    with opened(tmp_path / "a") as archive:
        assert archive.last_known("alice").state(INBOX) is None
        assert pull(archive, SIX[:1])[0].kind is Kind.MENDED
        assert damages(archive) == []
        assert archive.content(sha256(plain(1))) == plain(1)


def test_with_the_catalogue_lost_every_folder_keeps_its_messages_whatever_its_name(
    tmp_path: Path,
) -> None:
    mailboxes: list[MailboxPath] = [
        ("work",),
        ("WORK",),
        ("Work",),
        LONG,
        ("x" * 299 + "y",),
        ("a.b", "c/d"),
        ("\ud83d",),
    ]
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(n), mailbox) for n, mailbox in enumerate(mailboxes)])
        names = files(tmp_path / "a")
    for path in (tmp_path / "a").glob("catalogue*"):
        path.unlink()
    reindex(tmp_path / "a", "alice", by_uid=True)
    with opened(tmp_path / "a") as archive:
        assert damages(archive) == []
        pull(archive, [uid(1, plain(n), mailbox) for n, mailbox in enumerate(mailboxes)])
        assert files(tmp_path / "a") == names
        assert damages(archive) == []


def test_a_shortened_folder_that_lost_its_name_file_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(7, plain(7), LONG)])
        interrupted_before_commit(archive, monkeypatch, KeyboardInterrupt("now"))
    (name_file,) = (tmp_path / "a/mail").glob(".x*/mailsync-mailbox.json")
    name_file.unlink()
    with opened(tmp_path / "a") as archive:
        pull(archive, SIX)
        assert damages(archive) == []
        assert {archived.digest for archived in messages(archive, LONG)} == {
            sha256(plain(4)),
            sha256(plain(7)),
        }
        assert len(files(tmp_path / "a")) == len(SIX) + 1
