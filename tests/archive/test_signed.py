"""A content with signatures is never stood in for by one without them, and what an earlier version
told otherwise is brought along.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mailsync import identity
from mailsync.archive import Archive
from mailsync.archive.reindex import reindex
from mailsync.model import INBOX, Kind, MailboxPath
from tests.archive.archive_steps import (
    ACCOUNT,
    damages,
    files,
    messages,
    opened,
    pull,
    pulling,
    sha256,
    uid,
    uidl,
)
from tests.messages import plain

SENT: MailboxPath = ("Sent",)
UNSIGNED = plain(1)
SIGNED = b"DKIM-Signature: v=1; b=abc\r\nReceived: by mx with id 1\r\n" + plain(1)
FORWARDED = b"ARC-Seal: i=1; b=def\r\n" + SIGNED
ALERT = b"Subject: disk full\r\n\r\nAgain."
"""Without a Message-ID, and without its last line end."""


@pytest.mark.parametrize("mailbox", [INBOX, SENT])
def test_the_signed_original_after_an_unsigned_copy_is_kept_too(
    tmp_path: Path, mailbox: MailboxPath
) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, UNSIGNED, mailbox)])
        (stored,) = pull(archive, [uid(2, SIGNED)])
        assert (stored.kind, stored.digest, stored.collides) == (Kind.NEW, sha256(SIGNED), None)
        assert archive.content(sha256(SIGNED)) == SIGNED
        assert archive.content(sha256(UNSIGNED)) == UNSIGNED
        # As one message that is there twice, not as two with one Message-ID.
        there = (
            messages(archive)
            if mailbox == INBOX
            else [*messages(archive, SENT), *messages(archive)]
        )
        assert len({message.identity for message in there}) == 1
        assert sorted(message.copy for message in there) == ([1, 2] if mailbox == INBOX else [1, 1])
        assert archive.duplicates(ACCOUNT)[1] == []
        assert damages(archive) == []


def test_an_unsigned_copy_after_the_signed_original_is_the_original(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, SIGNED)])
        # Nor does a second way of a signed one, whose signatures another server added to.
        kinds = [one.kind for one in pull(archive, [uid(2, UNSIGNED), uid(3, FORWARDED)])]
        assert kinds == [Kind.DUPLICATE] * 2
        assert [path.read_bytes() for path in files(tmp_path / "a")] == [SIGNED]


def test_both_are_told_apart_in_a_catalogue_that_does_not_say_which_is_signed(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "a"
    with opened(directory) as archive:
        pull(archive, [uid(1, UNSIGNED, SENT), uid(2, b"ARC-Seal: i=1\r\n" + plain(2))])
    with closing(sqlite3.connect(directory / "catalogue.sqlite3")) as catalogue, catalogue:
        catalogue.execute("UPDATE messages SET signed = NULL")
    with opened(directory) as archive:
        there = [uid(3, SIGNED), uid(4, b"DKIM-Signature: v=1\r\n" + plain(2))]
        kinds = [one.kind for one in pull(archive, there)]
    assert kinds == [Kind.NEW, Kind.DUPLICATE]


def test_without_the_unsigned_copy_the_signed_one_stands_in_for_it(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, UNSIGNED)])
        (path,) = files(tmp_path / "a")
        path.unlink()
        damages(archive)
        (stored,) = pull(archive, [uid(2, SIGNED)])
        assert (stored.kind, stored.digest) == (Kind.MENDED, sha256(SIGNED))
        assert [path.read_bytes() for path in files(tmp_path / "a")] == [SIGNED]


def test_a_message_without_a_message_id_is_one_over_pop3_and_imap(tmp_path: Path) -> None:
    shown = ALERT + b"\r\nWith \x80\r\n"
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, ALERT), uid(2, shown)])
        over_pop3 = [uidl(b"a", ALERT + b"\r\n"), uidl(b"b", shown.replace(b"\x80", b"\0"))]
        kinds = [one.kind for one in pull(archive, over_pop3, "pop3")]
        assert kinds == [Kind.DUPLICATE] * 2
        assert len(files(tmp_path / "a")) == 2


@pytest.mark.parametrize("how", ["reindex", "fetched again"])
def test_identities_of_an_earlier_version_are_brought_along_with_what_was_sent(
    tmp_path: Path, how: str
) -> None:
    directory = tmp_path / "a"
    with opened(directory) as archive:
        pull(archive, [uid(1, ALERT)])
    earlier, now = sha256(ALERT), identity.identity(ALERT, sha256(ALERT))
    assert earlier != now
    with closing(sqlite3.connect(directory / "catalogue.sqlite3")) as catalogue, catalogue:
        catalogue.execute("UPDATE messages SET identity = digest")
        catalogue.execute(
            "INSERT INTO ledger VALUES ('there', 'INBOX', ?, 1, 'sent', 1, 7, '', 0, 0, 1)",
            (earlier,),
        )
    if how == "reindex":
        reindex(directory, ACCOUNT, by_uid=True)
    else:
        with opened(directory) as archive:
            pull(archive, [uid(2, ALERT)])
    with opened(directory) as archive:
        (message,) = messages(archive)
        assert message.identity == now
        with archive.push(ACCOUNT, "there") as run:
            assert run.ledger(INBOX)[message.key].uid == 7
        with pulling(archive) as pulled:
            assert pulled.add(uidl(b"a", ALERT + b"\r\n")).kind is Kind.DUPLICATE
    assert len(files(directory)) == 1
    with Archive.read(directory) as archive:
        assert damages(archive) == []
