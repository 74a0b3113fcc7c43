"""What is said to be in an archive is a file that is there, with its size: not a row."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailsync.archive import Archive
from mailsync.model import INBOX, MailboxPath
from tests.archive.archive_steps import ACCOUNT, files, opened, pull, pulling, sha256, uid
from tests.messages import plain

WORK: MailboxPath = ("Work",)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Messages 1 to 3 in the inbox, 3 in Work too."""
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(number, plain(number)) for number in (1, 2, 3)])
        pull(archive, [uid(1, plain(3), WORK)])
    return tmp_path / "a"


def lost(directory: Path, mailbox: MailboxPath = INBOX) -> frozenset[bytes]:
    with Archive.read(directory) as archive:
        return archive.lost(ACCOUNT, mailbox)


def file_of(directory: Path, content: bytes) -> Path:
    return next(path for path in files(directory) if path.read_bytes() == content)


def test_of_a_whole_archive_nothing_is_lost(archive: Path) -> None:
    assert lost(archive) == lost(archive, WORK) == frozenset()
    assert lost(archive, ("nowhere",)) == frozenset()


def test_files_that_were_deleted_are_named_without_any_run_between(archive: Path) -> None:
    for path in (archive / "mail" / "cur").iterdir():
        path.unlink()
    assert lost(archive) == {sha256(plain(number)) for number in (1, 2, 3)}
    assert lost(archive, WORK) == frozenset()


def test_a_file_that_was_cut_is_lost(archive: Path) -> None:
    path = file_of(archive, plain(2))
    path.write_bytes(plain(2)[:-1])
    assert lost(archive) == {sha256(plain(2))}


def test_a_file_that_another_program_renamed_is_there(archive: Path) -> None:
    path = file_of(archive, plain(1))
    path.rename(archive / "mail" / "new" / path.name.partition(":")[0])
    assert lost(archive) == frozenset()


def test_what_left_the_server_is_not_asked_for(archive: Path) -> None:
    with opened(archive) as writing, pulling(writing) as run:
        run.mark_gone(INBOX, 1, [1])
    file_of(archive, plain(1)).unlink()
    assert lost(archive) == frozenset()


def test_an_mbox_from_which_a_message_was_taken_has_lost_it(tmp_path: Path) -> None:
    with Archive.open(tmp_path / "a", container="mbox") as archive:
        pull(archive, [uid(1, plain(1)), uid(2, plain(2))])
        assert archive.lost(ACCOUNT, INBOX) == frozenset()
    (file,) = (path for path in (tmp_path / "a" / "mail").rglob("*") if path.is_file())
    octets = file.read_bytes()
    file.write_bytes(octets[: octets.rindex(b"\nFrom ") + 1])
    assert lost(tmp_path / "a") == {sha256(plain(2))}
