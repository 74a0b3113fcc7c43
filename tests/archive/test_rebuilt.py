"""Messages that a store put together again, and the same ones as they were sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from mailsync.archive import Archive, reindex
from mailsync.model import INBOX, Entry, KeyRef, Kind, MailboxPath, Message
from tests.archive.archive_steps import START, files, messages, opened, pull, sha256, uid
from tests.messages import plain

VERBATIM = plain(1)
REBUILT = b"X-Mailsync-Rebuilt: test\r\n" + VERBATIM.replace(b"second line", b"second  line")
OLD: MailboxPath = ("Old",)


def rebuilt(content: bytes, mailbox: MailboxPath = INBOX) -> Message:
    ref = KeyRef(mailbox, sha256(content))
    return Message(Entry(ref, len(content), frozenset(), START), content, rebuilt=True)


def live(archive: Archive, mailbox: MailboxPath = INBOX) -> Iterable[bytes]:
    return [message.digest for message in messages(archive, mailbox)]


def test_a_rebuilt_message_points_to_the_one_that_was_sent(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, VERBATIM)])
        (stored,) = pull(archive, [rebuilt(REBUILT, OLD)])
        assert (stored.kind, stored.digest) == (Kind.DUPLICATE, sha256(VERBATIM))
        assert live(archive, OLD) == [sha256(VERBATIM)]
        assert {path.read_bytes() for path in files(tmp_path / "a")} == {VERBATIM}


def test_the_message_that_was_sent_takes_the_places_of_the_rebuilt_one(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [rebuilt(REBUILT), rebuilt(REBUILT, OLD)])
        pull(archive, [uid(1, VERBATIM)])
        assert live(archive) == [sha256(VERBATIM)]
        assert live(archive, OLD) == [sha256(VERBATIM)]
        # Nothing is taken out of the archive.
        assert {path.read_bytes() for path in files(tmp_path / "a")} == {VERBATIM, REBUILT}


def test_both_come_in_one_run(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [rebuilt(REBUILT, OLD), uid(1, VERBATIM), rebuilt(REBUILT)])
        assert live(archive) == live(archive, OLD) == [sha256(VERBATIM)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Subject: Message", b"Subject: Another message"),
        (b"Mon, 05 Jan 2004 09", b"Mon, 05 Jan 2004 10"),
        (b"<plain.1@", b"<other.1@"),
        (b"Date: ", b"X-Date: "),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_what_differs_in_more_than_its_body_is_kept_beside(
    tmp_path: Path, old: bytes, new: bytes, *, first: bool
) -> None:
    other = rebuilt(REBUILT.replace(old, new))
    with opened(tmp_path / "a") as archive:
        for message in (other, uid(1, VERBATIM)) if first else (uid(1, VERBATIM), other):
            pull(archive, [message])
        assert set(live(archive)) == {sha256(VERBATIM), sha256(other.content)}


def test_where_two_messages_bear_one_id_nobody_knows_and_all_are_kept(tmp_path: Path) -> None:
    twin = VERBATIM.replace(b"This is", b"That was")
    with opened(tmp_path / "a") as archive:
        stored = pull(archive, [uid(1, VERBATIM), uid(2, twin), rebuilt(REBUILT)])
        assert stored[2].kind is Kind.NEW
        assert stored[2].collides is not None
        assert len(list(live(archive))) == 3


def test_a_header_that_anybody_may_write_makes_no_message_a_rebuilt_one(tmp_path: Path) -> None:
    liar = replace(rebuilt(REBUILT), rebuilt=False)
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, VERBATIM), liar])
        assert set(live(archive)) == {sha256(VERBATIM), sha256(REBUILT)}


def test_a_reindex_gives_no_place_to_a_rebuilt_message_that_lost_its_own(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [rebuilt(REBUILT)])
        pull(archive, [uid(1, VERBATIM)])
    reindex(tmp_path / "a", "alice", by_uid=False)
    with opened(tmp_path / "a") as archive:
        assert live(archive) == [sha256(VERBATIM)]
        assert archive.is_rebuilt(sha256(REBUILT))
        assert not archive.is_rebuilt(sha256(VERBATIM))


def test_a_rebuilt_message_that_comes_again_is_one(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [rebuilt(REBUILT)])
        (again,) = pull(archive, [rebuilt(REBUILT, OLD)])
        assert again.kind is Kind.DUPLICATE
        assert live(archive, OLD) == [sha256(REBUILT)]
