"""Which messages are the same one, and which only bear the same Message-ID."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailsync.model import INBOX, MailboxPath
from tests.archive.archive_steps import (
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
from tests.messages import plain, ugly

WORK: MailboxPath = ("Work",)


def by_route(content: bytes, number: int) -> bytes:
    return (
        b"Received: from relay-%d.example.org by mail.example.org; Tue, 3 Jun 2014 10:11:12"
        b" +0200\r\n" % number + content
    )


def test_one_message_over_two_routes_and_in_two_mailboxes_is_one_group(tmp_path: Path) -> None:
    routes = [by_route(plain(1), route) for route in (1, 22)]
    with opened(tmp_path / "a") as archive:
        pull(
            archive,
            [uid(1, routes[0]), uid(2, routes[1]), uid(3, plain(2)), uid(1, routes[0], WORK)],
        )
        same, different = archive.duplicates("alice")
        (group,) = same
        assert (group.digest, group.places, group.contents, group.mailboxes) == (
            sha256(routes[0]),
            3,
            2,
            (INBOX, WORK),
        )
        assert group.saved == len(routes[1]) + len(routes[0])
        assert (group.subject, group.message_id) == ("Message number 1", "<plain.1@example.org>")
        assert different == []
        assert archive.duplicates("nobody") == ([], [])


def test_a_message_that_left_a_mailbox_is_no_longer_there_twice(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1)), uid(1, plain(1), WORK)])
        with pulling(archive) as run:
            run.mark_gone(WORK, 1, [1])
        assert archive.duplicates("alice") == ([], [])


def test_a_pop3_message_with_another_name_every_session_is_one_message(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        for session in (b"one", b"two"):
            pull(archive, [uidl(session, plain(1))])
        assert archive.duplicates("alice") == ([], [])


def test_different_messages_with_one_message_id_are_listed_together(tmp_path: Path) -> None:
    alike = [
        ugly()[name] for name in ("shared_id_draft", "shared_id_sent", "shared_id_other_subject")
    ]
    with opened(tmp_path / "a") as archive:
        pull(
            archive,
            [*(uid(number, content) for number, content in enumerate(alike, 1)), uid(9, plain(1))],
        )
        same, different = archive.duplicates("alice")
        assert same == []
        assert [one.digest for one in different] == [sha256(content) for content in alike]
        assert {one.message_id for one in different} == {"<ugly.shared@example.net>"}


@pytest.mark.parametrize(("dedupe", "stored"), [("message-id", 1), ("exact", 2), ("none", 3)])
def test_what_counts_as_one_message_is_a_choice_that_never_takes_one_out_of_a_mailbox(
    tmp_path: Path, dedupe: str, stored: int
) -> None:
    contents = [by_route(plain(1), 1), by_route(plain(1), 2), by_route(plain(1), 2)]
    with opened(tmp_path / "a", dedupe=dedupe) as archive:
        pull_whole(archive, [uid(number, content) for number, content in enumerate(contents, 1)])
        assert len(files(tmp_path / "a")) == stored == len(messages(archive))
        (group,) = archive.duplicates("alice")[0]
        assert (group.places, group.contents) == (3, 2)


def test_365_alerts_without_an_id_that_differ_only_in_their_route_stay_365(tmp_path: Path) -> None:
    alert = b"Subject: disk full\r\n\r\nDisk 7 is full.\r\n"
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(day, by_route(alert, day)) for day in range(1, 366)])
        assert len(files(tmp_path / "a")) == len(messages(archive)) == 365
        assert archive.duplicates("alice") == ([], [])
