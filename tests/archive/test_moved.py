"""An account whose server is another one: what only the old server knew of its messages says
nothing about the new one, and what is here is matched by its content.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mailsync.archive import Archive, PullRun, ServerOf
from mailsync.model import INBOX, Kind, Mailbox
from tests.archive.archive_steps import (
    ACCOUNT,
    DAY,
    START,
    damages,
    files,
    messages,
    opened,
    scan,
    sha256,
    uid,
    uidl,
)
from tests.messages import plain

OLD = "imap://alice@old.example"
NEW = "imap://alice@new.example"


def listed(run: PullRun) -> PullRun:
    run.mailbox(Mailbox(INBOX))
    return run


def pulled(directory: Path, numbers: range, server: ServerOf, *, first_uid: int = 1) -> list[Kind]:
    """Pull a whole IMAP inbox whose messages are new to the archive or are fetched again."""
    with opened(directory) as archive, archive.pull(ACCOUNT, server) as run:
        listed(run)
        there = [
            uid(first_uid + at, plain(number), object_id=f"M{first_uid + at}")
            for at, number in enumerate(numbers)
        ]
        kinds = [run.add(message).kind for message in there]
        run.complete(scan(there))
        run.finish(complete=True, report={})
    return kinds


def server_of(directory: Path) -> str:
    with Archive.read(directory) as archive:
        return archive.server(ACCOUNT)


def test_the_server_is_remembered_once_it_answered(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        with archive.pull(ACCOUNT, ServerOf(OLD)) as run:
            run.finish(complete=False, report={})
        assert archive.server(ACCOUNT) == ""
        with archive.pull(ACCOUNT, ServerOf(NEW)) as run:
            listed(run).finish(complete=True, report={})
        assert archive.server(ACCOUNT) == NEW
        assert archive.server("nobody") == ""
        # Nothing but a move changes it.
        with archive.pull(ACCOUNT, ServerOf(OLD)) as run:
            listed(run).finish(complete=True, report={})
        assert archive.server(ACCOUNT) == NEW


def test_the_uids_of_another_server_name_no_message_of_this_one(tmp_path: Path) -> None:
    pulled(tmp_path / "a", range(1, 6), ServerOf(OLD))
    with opened(tmp_path / "a") as archive, archive.pull(ACCOUNT, ServerOf(NEW, moved=True)) as run:
        listed(run)
        # Other mail under the same UIDVALIDITY, UIDs and ids.
        assert run.state(INBOX) is None
        there = [uid(number, plain(100 + number), object_id=f"M{number}") for number in range(1, 6)]
        assert run.known(scan(there)).messages == {}
        assert [run.same_object(message.entry) for message in there] == [None] * 5
        assert {run.add(message).kind for message in there} == {Kind.NEW}
        # Ten are live until the server has shown all it has; then five are gone, and kept.
        assert len(messages(archive)) == 10
        assert run.complete(scan(there)) == 5
        run.finish(complete=True, report={})
        assert {one.digest for one in messages(archive)} == {
            sha256(plain(100 + number)) for number in range(1, 6)
        }
        assert len(messages(archive, gone=True)) == 10
    assert server_of(tmp_path / "a") == NEW


def test_the_same_mail_on_another_server_is_there_once_and_nothing_is_gone(tmp_path: Path) -> None:
    pulled(tmp_path / "a", range(1, 6), ServerOf(OLD))
    kinds = pulled(tmp_path / "a", range(1, 6), ServerOf(NEW, moved=True), first_uid=71)
    assert kinds == [Kind.DUPLICATE] * 5
    with opened(tmp_path / "a") as archive:
        (box,) = archive.mailboxes(ACCOUNT)
        assert (box.live, box.gone, len(files(tmp_path / "a"))) == (5, 0, 5)
        assert damages(archive) == []


def test_uidls_of_another_server_are_not_believed_and_nothing_counts_twice(tmp_path: Path) -> None:
    numbers = range(1, 4)
    with opened(tmp_path / "a") as archive, archive.pull(ACCOUNT, ServerOf("pop3://a@old")) as run:
        listed(run)
        for number in numbers:
            run.add(uidl(b"%d" % number, plain(number)))
        run.complete(scan([], validity=0))
        run.finish(complete=True, report={})
    with (
        opened(tmp_path / "a", begin=START + 90 * DAY) as archive,
        archive.pull(ACCOUNT, ServerOf("pop3://a@new", moved=True)) as run,
    ):
        listed(run)
        # The new server has 2 and 3 under the UIDLs of 1 and 2, in sizes that fit.
        there = [uidl(b"%d" % (number - 1), plain(number)) for number in (2, 3)]
        assert run.known(scan(there, validity=0)).messages == {}
        entries = [message.entry for message in there]
        assert run.held(entries, before=START + 89 * DAY) == {}
        assert [run.add(message).kind for message in there] == [Kind.DUPLICATE] * 2
        run.complete(scan(there, validity=0))
        run.finish(complete=True, report={})
    with opened(tmp_path / "a") as archive:
        # What the new server does not have is not gone: over POP3 nothing ever is.
        (box,) = archive.mailboxes(ACCOUNT)
        assert (box.live, box.gone, box.copies) == (3, 0, 0)


@pytest.mark.parametrize("answered", [False, True])
def test_a_move_that_is_broken_off_is_made_by_the_next_run(
    tmp_path: Path, *, answered: bool
) -> None:
    pulled(tmp_path / "a", range(1, 4), ServerOf(OLD))
    with opened(tmp_path / "a") as archive, archive.pull(ACCOUNT, ServerOf(NEW, moved=True)) as run:
        if answered:
            listed(run)
        run.flush()
    assert server_of(tmp_path / "a") == (NEW if answered else OLD)
    with opened(tmp_path / "a") as archive:
        assert len(messages(archive)) == 3
    pulled(tmp_path / "a", range(1, 4), ServerOf(NEW, moved=True))
    with opened(tmp_path / "a") as archive:
        (box,) = archive.mailboxes(ACCOUNT)
        assert (box.live, box.gone) == (3, 0)
