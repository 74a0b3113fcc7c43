"""A hundred thousand messages, a thousand mailboxes: what asking costs, in steps of SQLite's own
machine and in memory, which no load makes more.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from mailsync.archive import Archive
from mailsync.model import INBOX, Mailbox, Scan, SyncState
from tests.archive.archive_steps import ACCOUNT, opened, pulling, scan, uid
from tests.growth import Steps
from tests.messages import plain

T = TypeVar("T")

MANY = 100_000
BOXES = 1_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """An archive whose catalogue says that the inbox holds MANY messages, and BOXES other mailboxes
    ten each; the files are not there.
    """
    with opened(tmp_path_factory.mktemp("large") / "a") as archive:
        with pulling(archive) as run:
            run.mailbox(Mailbox(INBOX))
            for n in range(BOXES):
                run.mailbox(Mailbox((f"Box {n}",)))
            run.complete(Scan(Mailbox(INBOX), SyncState(1, MANY + 1, MANY, 9), ()))
        sql = archive._catalogue.sql
        sql.execute("PRAGMA foreign_keys = OFF")
        sql.execute("PRAGMA cache_size = -200000")
        sql.execute("BEGIN")
        numbers = range(1, MANY + BOXES * 10 + 1)
        sql.execute_each(
            "INSERT INTO messages (id, digest, size, identity, message_id, header, presence,"
            " subject, sender, first_run) VALUES (?, ?, 5000, ?, ?, ?, ?, 'A subject of ordinary"
            " length', 'Somebody <s@example.org>', 1)",
            (
                (
                    n,
                    n.to_bytes(32, "big"),
                    n.to_bytes(32, "little"),
                    f"<{n}@example.org>",
                    b"h" * 16,
                    b"p" * 16,
                )
                for n in numbers
            ),
        )
        folders = dict(sql.execute("SELECT name, id FROM folders").fetchall())
        boxes = dict(sql.execute("SELECT folder, id FROM mailboxes").fetchall())

        def folder(n: int) -> int:
            return int(folders["" if n <= MANY else f".Box {(n - MANY - 1) // 10}"])

        sql.execute_each(
            "INSERT INTO files (id, folder, message, copy, base, internaldate, flags) VALUES (?, ?,"
            " ?, 1, ?, ?, '\\Seen')",
            (
                (n, folder(n), n, f"{n}.{n:032x}.mailsync,S=5000", 1_600_000_000 + n * 7919 % MANY)
                for n in numbers
            ),
        )
        sql.execute_each(
            "INSERT INTO placements (mailbox, file, digest, size, uidvalidity, uid, flags,"
            " first_run, since_run) VALUES (?, ?, ?, 5000, 1, ?, '\\Seen', 1, 1)",
            ((boxes[folder(n)], n, n.to_bytes(32, "big"), n) for n in numbers),
        )
        sql.execute("COMMIT")
        sql.execute("PRAGMA foreign_keys = ON")
        yield archive


def cost(archive: Archive, call: Callable[[], T], *, every: int = 100) -> tuple[T, int]:
    """Return what a call returns, and the steps of SQLite it costs."""
    with Steps(archive._catalogue.sql.sqlite, every) as steps:
        found = call()
    return found, steps.taken


def memory(call: Callable[[], T]) -> tuple[T, int]:
    tracemalloc.start()
    try:
        found = call()
        return found, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def everything() -> Scan:
    return Scan(Mailbox(INBOX), SyncState(1, MANY + 1, MANY, 9), ())


def test_knowing_all_of_a_large_mailbox_is_a_matter_of_a_second_and_few_megabytes(
    large: Archive,
) -> None:
    remembered = large.last_known(ACCOUNT)
    known, steps = cost(large, lambda: remembered.known(everything()))
    assert (len(known.messages), known.live) == (MANY, MANY)
    assert steps < 50 * MANY
    _, octets = memory(lambda: remembered.known(everything()))
    assert octets < 40_000_000


def test_knowing_what_a_delta_names_does_not_cost_the_mailbox(large: Archive) -> None:
    remembered = large.last_known(ACCOUNT)
    since = remembered.state(INBOX)
    named = tuple(uid(n, plain(1)).entry for n in range(MANY - 5, MANY + 5))
    delta = Scan(Mailbox(INBOX), SyncState(1, MANY + 5, MANY, 10), named, since, (range(7, 9),))
    known, steps = cost(large, lambda: remembered.known(delta))
    assert (len(known.messages), known.live) == (8, MANY)
    assert steps < 5 * MANY


def test_the_messages_of_a_large_mailbox_are_never_all_in_memory(large: Archive) -> None:
    def count() -> int:
        dates = [message.internaldate for message in large.messages(ACCOUNT, INBOX)]
        assert dates == sorted(dates)
        return len(dates)

    found, steps = cost(large, count)
    assert found == MANY
    assert steps < 150 * MANY
    _, octets = memory(lambda: sum(1 for _ in large.messages(ACCOUNT, INBOX)))
    assert octets < 5_000_000


def test_describing_a_thousand_mailboxes_is_quick(large: Archive) -> None:
    boxes, steps = cost(large, lambda: large.mailboxes(ACCOUNT))
    assert len(boxes) == BOXES + 1
    assert boxes[0].path == INBOX
    assert {(box.live, box.octets) for box in boxes[1:]} == {(10, 50_000)}
    assert (boxes[0].live, boxes[0].octets) == (MANY, MANY * 5000)
    assert steps < 200 * MANY


def test_asking_for_the_states_of_a_thousand_mailboxes_is_quick(large: Archive) -> None:
    remembered = large.last_known(ACCOUNT)
    _, steps = cost(large, lambda: [remembered.state((f"Box {n}",)) for n in range(BOXES)])
    assert steps < 100 * BOXES


def test_a_new_message_costs_the_same_in_a_large_mailbox(large: Archive) -> None:
    def bring() -> None:
        with pulling(large) as run:
            entry = uid(MANY + 99, plain(7)).entry
            assert run.candidates([entry]) == []
            run.add(uid(MANY + 99, plain(7)))
            run.mark_gone(INBOX, 1, [MANY + 99])
            run.complete(scan([], INBOX))

    _, steps = cost(large, bring, every=1)
    assert steps < 2_000
