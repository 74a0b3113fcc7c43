"""Thousands of messages that are alike in what an index looks at: no question may get slower with
each of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mailsync.model import INBOX, NO_FLAGS, Entry, Message, UidlRef
from tests.archive.archive_steps import START, messages, opened, pulling, uid, uidl
from tests.growth import Steps

MANY = 1_800


def alert(number: int, *, message_id: bytes = b"") -> bytes:
    """A device's message: all of one size, without a Message-ID or all with the same one."""
    return (
        b"From: printer@example.org\r\nDate: Tue, 3 Jun 2014 10:11:12 +0200\r\n%s\r\nPage %06d\r\n"
        % (message_id, number)
    )


def parts(messages: Iterator[Message], directory: Path) -> tuple[int, int]:
    """Steps of SQLite that the second and the last sixth of the messages cost."""
    taken = []
    with opened(directory) as archive, pulling(archive) as run:
        for _ in range(6):
            with Steps(archive._catalogue.sql.sqlite) as steps:
                for _ in range(MANY // 6):
                    run.add(next(messages))
                run.flush()
            taken.append(steps.taken)
    return taken[1], taken[5]


def test_messages_of_one_size_without_uidl_cost_no_more_as_they_become_many(tmp_path: Path) -> None:
    second, last = parts((uidl(None, alert(n)) for n in range(MANY)), tmp_path / "a")
    assert 0 < last < 2 * second


def test_messages_of_one_size_with_uidl_cost_no_more_as_they_become_many(tmp_path: Path) -> None:
    second, last = parts((uidl(b"%d" % n, alert(n)) for n in range(MANY)), tmp_path / "a")
    assert 0 < last < 2 * second


def test_one_message_id_in_every_message_costs_no_more_as_they_become_many(tmp_path: Path) -> None:
    shared = b"Message-ID: <always@example.org>\r\n"
    second, last = parts(
        (uid(n + 1, alert(n, message_id=shared)) for n in range(MANY)), tmp_path / "a"
    )
    assert 0 < last < 2 * second


def test_candidates_of_one_size_cost_no_more_where_none_was_here_before(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive, pulling(archive) as run:
        for n in range(MANY):
            run.add(uid(n + 1, alert(n)))
        with Steps(archive._catalogue.sql.sqlite) as steps:
            entries = [uid(n + 1, alert(n), ("Work",)).entry for n in range(MANY)]
            assert run.candidates(entries) == []
        assert steps.taken < 100 * MANY


def test_a_server_that_goes_back_to_an_older_message_under_its_uidl_loses_neither(
    tmp_path: Path,
) -> None:
    one, two = b"Subject: one\r\n\r\n", b"Subject: another\r\n\r\n"
    with opened(tmp_path / "a") as archive, pulling(archive) as run:
        for content in (one, two, one):
            run.add(Message(Entry(UidlRef(b"x", 1), len(content), NO_FLAGS, START), content))
        run.flush()
        assert len(messages(archive, INBOX)) == 2
