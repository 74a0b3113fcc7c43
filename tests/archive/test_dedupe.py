"""Which messages count as the same, and what is kept of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailsync.model import Kind
from tests.archive.archive_steps import files, messages, opened, pull, rot, sha256, uid
from tests.messages import plain

MESSAGE = plain(1)
BY_ANOTHER_ROUTE = MESSAGE.replace(b"mx.example.org", b"mx2.example.org", 1)
LISTED = ("Lists",)


def test_another_route_is_the_same_message(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        one, two, three = pull(
            archive, [uid(1, MESSAGE), uid(2, BY_ANOTHER_ROUTE), uid(1, BY_ANOTHER_ROUTE, LISTED)]
        )
        assert [one.kind, two.kind, three.kind] == [Kind.NEW, Kind.DUPLICATE, Kind.DUPLICATE]
        assert two.digest == three.digest == sha256(MESSAGE)
        assert len(files(tmp_path / "a")) == 2
        assert (
            archive.mailboxes("alice")[0].live,
            len(messages(archive)),
            len(messages(archive, LISTED)),
        ) == (2, 1, 1)


def test_exact_keeps_each_content_and_each_once(tmp_path: Path) -> None:
    with opened(tmp_path / "a", "exact") as archive:
        stored = pull(archive, [uid(1, MESSAGE), uid(2, BY_ANOTHER_ROUTE), uid(3, MESSAGE)])
        assert [one.kind for one in stored] == [Kind.NEW, Kind.NEW, Kind.DUPLICATE]
        assert {path.read_bytes() for path in files(tmp_path / "a")} == {MESSAGE, BY_ANOTHER_ROUTE}
        assert sorted(message.copy for message in messages(archive)) == [1, 2]
        assert len({message.identity for message in messages(archive)}) == 1


def test_none_keeps_every_copy_as_a_name_of_its_own(tmp_path: Path) -> None:
    with opened(tmp_path / "a", "none") as archive:
        pull(archive, [uid(1, MESSAGE), uid(2, MESSAGE), uid(3, MESSAGE)])
        paths = files(tmp_path / "a")
        assert len(paths) == 3
        assert len({path.stat().st_ino for path in paths}) == 1
        assert sorted(message.copy for message in messages(archive)) == [1, 2, 3]
        assert sum(".2.mailsync," in path.name for path in paths) == 1


def test_none_does_not_copy_a_placement_that_comes_twice(tmp_path: Path) -> None:
    with opened(tmp_path / "a", "none") as archive:
        pull(archive, [uid(1, MESSAGE), uid(2, MESSAGE)])
        pull(archive, [uid(1, MESSAGE), uid(2, MESSAGE)])
        assert len(files(tmp_path / "a")) == 2
        assert sorted(message.copy for message in messages(archive)) == [1, 2]


@pytest.mark.parametrize("dedupe", ["message-id", "exact", "none"])
def test_one_message_id_on_two_different_messages_keeps_both_and_says_so(
    tmp_path: Path, dedupe: str
) -> None:
    other = MESSAGE.replace(b"second line", b"different line")
    with opened(tmp_path / "a", dedupe) as archive:
        one, two = pull(archive, [uid(1, MESSAGE), uid(2, other)])
        assert (one.collides, two.collides) == (None, sha256(MESSAGE))
        assert two.kind is Kind.NEW
        assert {path.read_bytes() for path in files(tmp_path / "a")} == {MESSAGE, other}


def test_alerts_without_a_message_id_are_as_many_as_were_sent(tmp_path: Path) -> None:
    alerts = [
        b"Date: Mon, 1 Jan 2024 00:00:0%d +0000\r\nSubject: disk\r\n\r\nfull\r\n" % n
        for n in range(5)
    ]
    with opened(tmp_path / "a") as archive:
        stored = pull(archive, [uid(n + 1, alert) for n, alert in enumerate(alerts)])
        assert all(one.kind is Kind.NEW and one.collides is None for one in stored)
        assert len(files(tmp_path / "a")) == 5


def test_a_duplicate_is_not_believed_to_be_here_when_its_file_has_vanished(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, MESSAGE)])
        files(tmp_path / "a")[0].unlink()
        pull(archive, [uid(2, BY_ANOTHER_ROUTE)])
        (path,) = files(tmp_path / "a")
        assert path.read_bytes() in {MESSAGE, BY_ANOTHER_ROUTE}
        assert archive.content(messages(archive)[0].digest) == path.read_bytes()


def test_a_duplicate_is_not_linked_to_a_file_that_rotted(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, MESSAGE)])
        rot(files(tmp_path / "a")[0])
        pull(archive, [uid(1, MESSAGE, LISTED)])
        (message,) = messages(archive, LISTED)
        assert archive.content(message.digest) == MESSAGE
        assert all(path.read_bytes() == MESSAGE for path in files(tmp_path / "a"))
