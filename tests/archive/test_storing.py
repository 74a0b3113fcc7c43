"""What a message becomes on disk."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from mailsync.model import INBOX, Kind
from tests.archive.archive_steps import (
    START,
    files,
    messages,
    only_file,
    opened,
    pull,
    sha256,
    temporary,
    uid,
)
from tests.messages import plain

WORK = ("Work",)


def test_a_file_is_named_by_its_digest_and_size(tmp_path: Path) -> None:
    content = plain(1)
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, content)])
        name = only_file(tmp_path / "a").name
        assert name.split(".")[1] == hashlib.sha256(content).hexdigest()[:32]
        assert f",S={len(content)}:2," in name


def test_a_message_of_many_megabytes_comes_back_whole(tmp_path: Path) -> None:
    content = plain(1) + b"x" * 76 + b"\r\n" + os.urandom(1 << 24).hex().encode()
    with opened(tmp_path / "a") as archive:
        (stored,) = pull(archive, [uid(1, content)])
        assert archive.content(stored.digest) == content


def test_the_name_begins_with_the_internaldate(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1), date=1_234_567_890)])
        assert only_file(tmp_path / "a").name.startswith("1234567890.")
        assert messages(archive)[0].internaldate == 1_234_567_890


def test_a_message_without_an_internaldate_gets_the_time_of_the_run(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1), date=None)])
        assert START <= messages(archive)[0].internaldate < START + 10


def test_a_date_before_1970_is_kept(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1), date=-5)])
        assert messages(archive)[0].internaldate == -5
    with opened(tmp_path / "a") as archive:
        assert archive.content(sha256(plain(1))) == plain(1)


def test_the_same_content_in_two_mailboxes_is_one_inode(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1)), uid(1, plain(1), WORK)])
        first, second = files(tmp_path / "a")
        assert first.stat().st_ino == second.stat().st_ino
        assert len(messages(archive)) == len(messages(archive, WORK)) == 1


def test_the_same_content_of_a_later_run_is_still_one_inode(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1), flags=["\\Seen"])])
    with opened(tmp_path / "a") as archive:
        (stored,) = pull(archive, [uid(1, plain(1), WORK)])
        assert stored.kind is Kind.DUPLICATE
        first, second = files(tmp_path / "a")
        assert first.stat().st_ino == second.stat().st_ino


def test_where_links_are_impossible_a_copy_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1)), uid(1, plain(1), WORK)])
        first, second = files(tmp_path / "a")
        assert first.read_bytes() == second.read_bytes() == plain(1)
        assert first.stat().st_ino != second.stat().st_ino
        assert temporary(tmp_path / "a") == []


def test_files_and_directories_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with opened(tmp_path / "a") as archive:
            pull(archive, [uid(1, plain(1), flags=["work"]), uid(1, plain(2), ("A" * 300,))])
            for path in (tmp_path / "a", *(tmp_path / "a").rglob("*")):
                mode = stat.S_IMODE(path.stat().st_mode)
                assert mode == (0o700 if path.is_dir() else 0o600), path
    finally:
        os.umask(before)


def test_a_placement_added_twice_is_one(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1)), uid(1, plain(1))])
        pull(archive, [uid(1, plain(1))])
        (box,) = archive.mailboxes("alice")
        assert box.live == 1
        assert len(files(tmp_path / "a")) == 1


def test_messages_come_oldest_first_one_a_file(tmp_path: Path) -> None:
    dates = {1: 300, 2: 100, 3: 200, 4: 200}
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(n, plain(n), date=date) for n, date in dates.items()])
        found = messages(archive)
        assert [message.internaldate for message in found] == [100, 200, 200, 300]
        assert [message.digest for message in found] == sorted(
            (message.digest for message in found),
            key=lambda digest: (
                dates[next(n for n in dates if sha256(plain(n)) == digest)],
                digest,
            ),
        )


def test_a_message_can_be_found_by_the_first_digits_of_its_digest(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        one, _ = pull(archive, [uid(1, plain(1)), uid(2, plain(2))])
        for digits in (2, 7, 12, 64):
            assert one.digest in archive.find(one.digest.hex()[:digits].upper())
        assert archive.find(one.digest.hex()) == [one.digest]
        assert archive.find("") == archive.find("xyz") == archive.find("0" * 65) == []


def test_the_header_of_a_message_ends_with_its_blank_line(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        (stored,) = pull(archive, [uid(1, plain(1))])
        assert archive.header(stored.digest) == plain(1).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def test_two_accounts_share_an_archive_and_see_their_own(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1)), uid(2, plain(2))], "alice")
        pull(archive, [uid(7, plain(2), date=5), uid(8, plain(3))], "bob")
        assert list(archive.accounts()) == ["alice", "bob"]
        assert [len(messages(archive, account=name)) for name in ("alice", "bob", "carol")] == [
            2,
            2,
            0,
        ]
        assert len(files(tmp_path / "a")) == 3
        assert archive.mailboxes("carol") == []


def test_an_archive_is_described_by_its_mailboxes(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1)), uid(2, plain(2)), uid(1, plain(3), ("Archive", "2024"))])
        inbox, other = archive.mailboxes("alice")
        assert (inbox.path, inbox.live, inbox.gone, inbox.octets) == (
            INBOX,
            2,
            0,
            len(plain(1)) + len(plain(2)),
        )
        assert (other.path, other.live, other.incomplete) == (("Archive", "2024"), 1, True)


def test_runs_are_recorded_newest_first(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1))])
        with archive.pull("bob") as run:
            run.finish(complete=False, report={"new": 0})
        newest, oldest = archive.runs(None, 5)
        assert (newest.account, newest.complete, newest.report) == ("bob", False, {"new": 0})
        assert (oldest.account, oldest.kind, oldest.complete) == ("alice", "pull", True)
        assert oldest.ended is not None
        assert oldest.started < oldest.ended <= newest.started
        assert [run.account for run in archive.runs("alice", 5)] == ["alice"]
        assert len(archive.runs(None, 1)) == 1
