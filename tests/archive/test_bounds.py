"""Whatever a server hands over, no run of all accounts ends over it: what cannot be true counts as
not told.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.archive import Archive
from mailsync.archive.bounds import LARGEST, storable
from mailsync.errors import ArchiveError
from mailsync.model import (
    INBOX,
    Excerpt,
    Kind,
    Mailbox,
    MailboxPath,
    Message,
    Scan,
    SyncState,
)
from tests.archive.archive_steps import damages, messages, opened, pull, pulling, sha256, uid, uidl
from tests.messages import plain

HUGE = 10**26
DEEP: MailboxPath = ("a",) * 60_000


@pytest.mark.parametrize("container", ["maildir", "mbox"])
def test_messages_of_whom_nothing_can_be_true_are_stored_all_the_same(
    tmp_path: Path, container: str
) -> None:
    odd = [
        replace(uid(1, plain(1)).entry, size=HUGE),
        replace(uid(2, plain(2)).entry, size=-1, internaldate=HUGE),
        replace(uid(3, plain(3)).entry, internaldate=-HUGE, object_id="\ud800"),
        replace(uid(4, plain(4)).entry, flags=frozenset({"\\Seen", "\udfff"})),
        replace(uidl(b"x" * 100_000, plain(5)).entry, size=HUGE),
    ]
    there = [Message(entry, plain(number)) for number, entry in enumerate(odd, 1)]
    with Archive.open(tmp_path / "a", container=container) as archive:
        assert {one.kind for one in pull(archive, there)} == {Kind.NEW}
    with Archive.open(tmp_path / "a", container=container) as archive:
        found = messages(archive)
        assert {one.digest for one in found} == {sha256(plain(number)) for number in range(1, 6)}
        assert {flag for one in found for flag in one.flags} == {"\\Seen"}
        with pulling(archive) as run:
            assert run.candidates(odd) == odd[2:4]
            assert run.held(odd, before=2**40) == {}
            for entry in odd:
                part = Excerpt(entry, b"")
                assert (run.recognise(part), run.recognise_place(part)) == (None, None)
                assert run.same_object(entry) is None
            assert run.reflag(odd) == 0
        assert damages(archive) == []


@pytest.mark.parametrize("container", ["maildir", "mbox"])
@pytest.mark.parametrize("path", [DEEP, ("",) * 60_000, ("x" * 10_000_000,)])
def test_a_mailbox_60_000_levels_deep_is_a_mailbox(
    tmp_path: Path, container: str, path: MailboxPath
) -> None:
    with Archive.open(tmp_path / "a", container=container) as archive:
        with pulling(archive) as run:
            run.mailbox(Mailbox(path))
            run.add(uid(1, plain(1), path))
            assert list(run.absent([path])) == []
        assert [box.path for box in archive.mailboxes("alice")] == [path]
        assert [one.digest for one in messages(archive, path)] == [sha256(plain(1))]
    with Archive.read(tmp_path / "a") as archive:
        assert damages(archive) == []


def test_states_and_uids_that_nobody_counts_to_are_no_ones(tmp_path: Path) -> None:
    inbox = Mailbox(INBOX)
    with opened(tmp_path / "a") as archive, pulling(archive) as run:
        run.mailbox(inbox)
        run.add(uid(1, plain(1)))
        delta = Scan(
            inbox,
            SyncState(1, 2, 1, 5),
            (uid(HUGE, b"").entry,),
            since=SyncState(1, 2, 1, 4),
            vanished=(range(1, HUGE), range(HUGE, 2 * HUGE)),
        )
        assert list(run.known(delta).messages) == [1]
        assert run.mark_gone(INBOX, 1, [HUGE, 1]) == 1
        run.complete(Scan(inbox, SyncState(HUGE, HUGE, HUGE, HUGE), ()))
        assert run.state(INBOX) == SyncState(LARGEST, LARGEST, LARGEST, None)


def test_a_uid_that_is_none_stops_its_account_and_not_the_program(tmp_path: Path) -> None:
    wrong = pytest.raises(ArchiveError, match="cannot use the catalogue")
    with opened(tmp_path / "a") as archive, wrong:
        pull(archive, [uid(HUGE, plain(1))])
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1))])
        assert len(messages(archive)) == 1


@given(
    st.none() | st.integers(-HUGE, HUGE),
    st.none() | st.integers(-HUGE, HUGE),
    st.none() | st.text(st.characters(), max_size=3),
    st.frozensets(st.text(st.characters(), max_size=3), max_size=3),
)
def test_what_can_be_stored_stays_and_what_cannot_is_not_told(
    size: int | None, date: int | None, name: str | None, flags: frozenset[str]
) -> None:
    entry = replace(uid(1, b"").entry, size=size, internaldate=date, object_id=name, flags=flags)
    found = storable(entry)
    assert found.size == (size if size is not None and 0 <= size < 2**63 else None)
    assert found.internaldate in {date, None}
    assert date is None or abs(date) > 2**40 or found.internaldate == date
    for text in (found.object_id or "", *found.flags):
        text.encode()
    assert found.ref == entry.ref
    assert storable(found) is found


def test_of_a_message_that_came_in_part_it_stays_known_that_the_rest_is_lacking(
    tmp_path: Path,
) -> None:
    part = replace(uidl(b"a", plain(1)), lacking="its end")
    with opened(tmp_path / "a") as archive:
        pull(archive, [part])
        with pulling(archive) as run:
            known = run.known(Scan(Mailbox(INBOX), SyncState(0, 0, 1), (part.entry,)))
            assert known.messages[b"a"].size not in {None, part.entry.size}
