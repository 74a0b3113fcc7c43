"""Rot, loss and strangers: found, named, never believed, mended with what the server sends."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mailsync.archive import Archive
from mailsync.errors import ArchiveLocked, IntegrityError
from mailsync.model import INBOX, Kind
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

WORK = ("Work",)
ONE = uid(1, plain(1))
BY_ANOTHER_ROUTE = plain(1).replace(b"mx.example.org", b"mx2.example.org", 1)


def quarantined(directory: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in (directory / "quarantine").glob("*")
        if path.name != "README.txt"
    }


def test_a_sound_archive_has_nothing_to_tell(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull_whole(archive, [uid(n, plain(n)) for n in range(200)])
        pull_whole(archive, [uid(n, plain(n), WORK) for n in range(200)], WORK)
        assert damages(archive) == []


@pytest.mark.parametrize("harm", ["a bit", "cut short", "emptied", "gone"])
def test_verify_names_a_damaged_file_and_the_next_pull_mends_it(tmp_path: Path, harm: str) -> None:
    with opened(tmp_path / "a") as archive:
        pull_whole(archive, [ONE, uid(2, plain(2))])
        path = next(path for path in files(tmp_path / "a") if path.read_bytes() == plain(1))
        if harm == "a bit":
            rot(path)
        elif harm == "cut short":
            os.truncate(path, 40)
        elif harm == "emptied":
            os.truncate(path, 0)
        else:
            path.unlink()
        (damage,) = damages(archive)
        assert (damage.digest, damage.damaged) == (sha256(plain(1)), True)
        assert damage.path.name.partition(":2,")[0] == path.name.partition(":2,")[0]
        assert archive.last_known("alice").state(INBOX) is None
        known = archive.last_known("alice").known(scan([ONE]))
        assert [archived.damaged for archived in known.messages.values()] == [True, False]
        with pytest.raises(IntegrityError, match=sha256(plain(1)).hex()[:12]):
            archive.content(sha256(plain(1)))
        (stored,) = pull(archive, [ONE])
        assert stored.kind is Kind.MENDED
        assert archive.content(sha256(plain(1))) == plain(1)
        assert damages(archive) == []
        assert archive.last_known("alice").state(INBOX) is not None
        assert len(messages(archive)) == len(files(tmp_path / "a")) == 2


def test_what_was_damaged_lies_in_quarantine_with_the_reason(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [ONE])
        rot(only_file(tmp_path / "a"))
        spoiled = only_file(tmp_path / "a").read_bytes()
        damages(archive)
        pull(archive, [ONE])
        assert list(quarantined(tmp_path / "a").values()) == [spoiled]
        (name,) = quarantined(tmp_path / "a")
        assert f"{name}: " in (tmp_path / "a/quarantine/README.txt").read_text()


def test_nothing_in_quarantine_is_ever_overwritten(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [ONE])
        for n in range(3):
            only_file(tmp_path / "a").write_bytes(b"rubbish %d" % n)
            damages(archive)
            pull(archive, [ONE])
        assert sorted(quarantined(tmp_path / "a").values()) == [b"rubbish %d" % n for n in range(3)]


def test_content_finds_damage_by_itself_and_remembers_it(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull_whole(archive, [ONE])
        rot(only_file(tmp_path / "a"))
        with pytest.raises(IntegrityError):
            archive.content(sha256(plain(1)))
    with opened(tmp_path / "a") as archive:
        assert archive.last_known("alice").state(INBOX) is None


def test_content_is_read_from_another_mailbox_when_one_file_rotted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    with opened(tmp_path / "a") as archive:
        with monkeypatch.context() as patched:
            patched.setattr(os, "link", refuse)
            pull(archive, [ONE, uid(1, plain(1), WORK)])
        rot(next(path for path in files(tmp_path / "a") if path.parent.parent.name == "mail"))
        assert archive.content(sha256(plain(1))) == plain(1)
        assert archive.last_known("alice").known(scan([ONE])).messages[1].damaged
        (stored,) = pull(archive, [ONE])
        assert stored.digest == sha256(plain(1))
        assert damages(archive) == []


def test_one_rotten_inode_is_mended_in_all_its_mailboxes(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [ONE, uid(1, plain(1), WORK)])
        rot(files(tmp_path / "a")[0])
        assert len(damages(archive)) == 2
        pull(archive, [ONE])
        assert damages(archive) == []
        assert all(path.read_bytes() == plain(1) for path in files(tmp_path / "a"))


def test_a_message_stored_as_another_copy_of_itself_is_mended_by_what_the_server_still_has(
    tmp_path: Path,
) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [ONE, uid(2, BY_ANOTHER_ROUTE)])
        rot(only_file(tmp_path / "a"))
        damages(archive)
        with pulling(archive) as run:
            run.mark_gone(INBOX, 1, [1])
            run.add(uid(2, BY_ANOTHER_ROUTE))
        (archived,) = messages(archive)
        assert archive.content(archived.digest) == BY_ANOTHER_ROUTE
        assert archived.copy == 1
        assert (
            archive.last_known("alice")
            .known(scan([ONE, uid(2, BY_ANOTHER_ROUTE)]))
            .messages[2]
            .damaged
            is False
        )


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_a_message_that_came_twice_is_one_file_again_after_mending(
    tmp_path: Path, order: tuple[int, int]
) -> None:
    both = {1: ONE, 2: uid(2, BY_ANOTHER_ROUTE)}
    with opened(tmp_path / "a") as archive:
        pull_whole(archive, list(both.values()))
        rot(only_file(tmp_path / "a"))
        damages(archive)
        pull(archive, [both[n] for n in order])
        (archived,) = messages(archive)
        assert archive.content(archived.digest) in {plain(1), BY_ANOTHER_ROUTE}
        assert archived.copy == 1
        assert len(files(tmp_path / "a")) == 1
        assert archive.last_known("alice").state(INBOX) is not None


def test_a_damaged_message_for_which_the_server_now_sends_other_bytes_ends_the_waiting(
    tmp_path: Path,
) -> None:
    with opened(tmp_path / "a") as archive:
        pull_whole(archive, [ONE])
        rot(only_file(tmp_path / "a"))
        damages(archive)
        (stored,) = pull(archive, [uid(1, plain(7))])
        assert stored.digest == sha256(plain(7))
        assert [archived.digest for archived in messages(archive)] == [sha256(plain(7))]
        assert archive.last_known("alice").state(INBOX) is not None


def test_each_copy_is_mended_where_every_copy_is_kept(tmp_path: Path) -> None:
    copies = [uid(n, plain(1)) for n in (1, 2, 3)]
    with opened(tmp_path / "a", "none") as archive:
        pull_whole(archive, copies)
        rot(files(tmp_path / "a")[0])
        assert len(damages(archive)) == 3
        pull(archive, copies)
        assert damages(archive) == []
        assert sorted(archived.copy for archived in messages(archive)) == [1, 2, 3]
        assert len(files(tmp_path / "a")) == 3


def test_a_stranger_is_named_and_left_alone(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [ONE])
        stranger = tmp_path / "a/mail/cur/1700000000.M1P2.host:2,S"
        stranger.write_bytes(b"Subject: mine\r\n\r\n")
        (damage,) = damages(archive)
        assert (damage.path, damage.damaged) == (stranger, False)
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(2, plain(2))])
        assert stranger.read_bytes() == b"Subject: mine\r\n\r\n"
        assert len(messages(archive)) == 2


def test_a_message_that_another_program_moved_is_stored_in_its_mailbox_again(
    tmp_path: Path,
) -> None:
    with opened(tmp_path / "a") as archive:
        pull_whole(archive, [ONE])
        pull(archive, [uid(1, plain(2), WORK)])
        path = next(path for path in files(tmp_path / "a") if path.read_bytes() == plain(1))
        path.rename(tmp_path / "a/mail/.Work/cur" / path.name)
        assert [damage.damaged for damage in damages(archive)] == [True, False]
        pull(archive, [ONE])
        assert path.read_bytes() == plain(1)
        assert [damage.damaged for damage in damages(archive)] == [False]


@pytest.mark.parametrize("harm", ["sound", "rotten"])
def test_a_file_that_lies_under_our_name_already_is_neither_believed_nor_lost(
    tmp_path: Path, harm: str
) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [ONE, uid(1, plain(2), WORK)])
        path = next(path for path in files(tmp_path / "a") if path.read_bytes() == plain(1))
        copied = tmp_path / "a/mail/.Work/cur" / path.name
        shutil.copy(path, copied)
        if harm == "rotten":
            rot(copied)
        was = copied.read_bytes()
        pull(archive, [uid(2, plain(1), WORK)])
        assert damages(archive) == []
        assert copied.read_bytes() == plain(1)
        if harm == "rotten":
            assert was in quarantined(tmp_path / "a").values()


def test_a_file_that_cannot_be_read_is_damage_and_not_the_end(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [ONE, uid(2, plain(2))])
        path = next(path for path in files(tmp_path / "a") if path.read_bytes() == plain(1))
        path.unlink()
        path.symlink_to("/proc/self/mem")  # whose first octets read as a bad sector does: EIO
        assert [damage.digest for damage in damages(archive) if damage.damaged] == [
            sha256(plain(1))
        ]
        with pytest.raises(IntegrityError):
            archive.content(sha256(plain(1)))


def test_a_reader_may_verify_and_the_writer_learns_of_it(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull_whole(archive, [ONE])
    rot(only_file(tmp_path / "a"))
    with Archive.read(tmp_path / "a") as reader:
        assert len(damages(reader)) == 1
    with opened(tmp_path / "a") as archive:
        assert archive.last_known("alice").state(INBOX) is None


def test_a_reader_verifies_beside_a_writer_without_stopping_it(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull_whole(archive, [ONE])
        rot(only_file(tmp_path / "a"))
        with archive.pull("alice") as run, Archive.read(tmp_path / "a") as reader:
            run.add(uid(2, plain(2)))
            assert len(damages(reader)) == 1
            with pytest.raises(IntegrityError):
                reader.content(sha256(plain(1)))
            with pytest.raises(ArchiveLocked):
                opened(tmp_path / "a")
            run.finish(complete=True, report={})
        assert temporary(tmp_path / "a") == []


def test_a_file_that_turns_out_sound_after_all_is_no_longer_damaged(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull_whole(archive, [ONE])
        path = only_file(tmp_path / "a")
        path.rename(tmp_path / "elsewhere")
        assert len(damages(archive)) == 1
        (tmp_path / "elsewhere").rename(path)
        assert damages(archive) == []
        assert archive.last_known("alice").state(INBOX) is not None


def test_a_catalogue_that_is_no_database_is_said_to_be_damaged(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [ONE])
    (tmp_path / "a/catalogue.sqlite3").write_bytes(b"rubbish" * 1000)
    for attempt in (opened, Archive.read):
        with pytest.raises(IntegrityError, match="mail"):
            attempt(tmp_path / "a")
    assert only_file(tmp_path / "a").read_bytes() == plain(1)
