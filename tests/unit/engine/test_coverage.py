"""What of a server's messages the archive has: told by their names there, and by their number where
they have none.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.archive import Archive
from mailsync.engine.coverage import Coverage, compare, cover
from mailsync.model import (
    INBOX,
    NO_FLAGS,
    Entry,
    Known,
    KnownMessage,
    Mailbox,
    Scan,
    SyncState,
    UidlRef,
    UidRef,
)
from mailsync.progress import Silence
from mailsync.stores.base import Source
from mailsync.stores.memory import MemoryMaildrop, MemoryStore
from tests.messages import plain
from tests.unit.engine.rig import ACCOUNT, Rig

WORK = ("Work",)


def looked(rig: Rig, source: Source | None = None) -> dict[tuple[str, ...], Coverage]:
    source = source or MemoryStore(rig.old, ACCOUNT)
    with Archive.read(rig.directory) as archive:
        list(archive.verify(Silence()))
        live = {box.path: box.live for box in archive.mailboxes(ACCOUNT)}
        return {
            one.mailbox: one
            for one in cover(source, archive.last_known(ACCOUNT), live, source.mailboxes())
        }


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    rig = Rig(tmp_path / "archive")
    for number in range(6):
        rig.old.deliver(INBOX, plain(number))
    rig.old.deliver(WORK, plain(0))
    rig.pull()
    return rig


def test_after_a_pull_everything_is_there(rig: Rig) -> None:
    served = rig.old.served
    found = looked(rig)
    assert all(one.complete for one in found.values())
    assert (found[INBOX].on_server, found[INBOX].covered) == (6, 6)
    assert rig.old.served == served


def test_new_messages_changed_flags_and_vanished_ones_are_told_apart(rig: Rig) -> None:
    new = rig.old.deliver(INBOX, plain(7))
    box = rig.old.boxes[INBOX]
    first, second, *_ = sorted(box.messages)
    rig.old.flag(INBOX, first, "\\Seen", "\\Flagged")
    rig.old.expunge(INBOX, second)
    found = looked(rig)[INBOX]
    assert [entry.ref for entry in found.missing] == [UidRef(INBOX, box.uidvalidity, new)]
    assert (found.on_server, found.covered, found.gone, found.reflagged, found.complete) == (
        6,
        5,
        1,
        1,
        False,
    )


def test_a_message_whose_file_is_damaged_is_not_covered(rig: Rig) -> None:
    rig.damage(plain(3))
    found = looked(rig)[INBOX]
    assert (len(found.damaged), found.covered, found.complete) == (1, 5, False)


def test_a_mailbox_never_pulled_is_missing_as_a_whole(rig: Rig) -> None:
    rig.old.deliver(("New",), plain(9))
    assert len(looked(rig)[("New",)].missing) == 1


def test_of_messages_without_names_only_the_number_is_compared(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "archive")
    for number in range(4):
        rig.old.deliver(INBOX, plain(number))
    maildrop = MemoryMaildrop(rig.old, ACCOUNT)
    maildrop.uidls = False
    rig.pull(source=maildrop)
    found = looked(rig, maildrop)[INBOX]
    assert (found.nameless, found.short, found.complete) == (4, 0, True)
    rig.old.deliver(INBOX, plain(9))
    rig.old.deliver(INBOX, plain(10))
    found = looked(rig, maildrop)[INBOX]
    assert (found.nameless, found.short, found.covered, found.complete) == (6, 2, 4, False)


uids = st.sets(st.integers(1, 60))


@given(uids, uids, uids)
def test_missing_covered_and_gone_are_what_the_sets_say(
    there: set[int], known: set[int], rotten: set[int]
) -> None:
    entries = tuple(Entry(UidRef(INBOX, 1, uid), 10 * uid, NO_FLAGS) for uid in sorted(there))
    messages: dict[int | bytes, KnownMessage] = {
        uid: KnownMessage(10 * uid, NO_FLAGS, damaged=uid in rotten) for uid in known
    }
    scan = Scan(Mailbox(INBOX), SyncState(1, 99, len(there)), entries)
    found = compare(scan, Known(None, messages, len(known)), len(known))
    assert {
        entry.ref.uid for entry in found.missing if isinstance(entry.ref, UidRef)
    } == there - known
    assert {
        entry.ref.uid for entry in found.damaged if isinstance(entry.ref, UidRef)
    } == there & known & rotten
    assert (found.gone, found.covered) == (len(known - there), len((there & known) - rotten))
    assert found.complete == (there <= known - rotten)


@given(
    st.lists(st.sampled_from([None, b"a", b"b", b"c", b"d"])),
    st.sets(st.sampled_from([b"a", b"b", b"c"])),
    st.integers(0, 9),
)
def test_messages_without_names_never_make_an_archive_look_fuller_than_it_is(
    names: list[bytes | None], known: set[bytes], spare: int
) -> None:
    seen: set[bytes] = set()
    refs = []
    for number, name in enumerate(names, 1):
        refs.append(UidlRef(None if name is None or name in seen else name, number))
        seen |= {name} - {None} if name else set()
    entries = tuple(Entry(ref, None, NO_FLAGS) for ref in refs)
    messages: dict[int | bytes, KnownMessage] = {
        name: KnownMessage(None, NO_FLAGS) for name in known
    }
    live = len(known) + spare
    found = compare(
        Scan(Mailbox(INBOX), SyncState(0, 0, len(entries)), entries),
        Known(None, messages, len(known)),
        live,
    )
    assert found.covered <= live
    assert found.covered + len(found.missing) + found.short == len(entries)
