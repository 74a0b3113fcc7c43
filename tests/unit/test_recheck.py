"""Which known UIDLs are looked at again."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

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
from mailsync.plan.recheck import MOST, SAMPLE, to_recheck


def listed(*names: bytes) -> Scan:
    entries = tuple(Entry(UidlRef(name, number), 100) for number, name in enumerate(names, 1))
    return Scan(Mailbox(INBOX), SyncState(0, 0, len(entries)), entries)


def held(*names: bytes, size: int = 100, damaged: bool = False) -> Known:
    message = KnownMessage(size, NO_FLAGS, damaged=damaged)
    return Known(None, dict.fromkeys(names, message), len(names))


def first(entries: Sequence[Entry], count: int) -> list[Entry]:
    return list(entries)[:count]


def test_of_names_that_tell_nothing_a_few_are_looked_at_and_the_others_if_need_be() -> None:
    names = [b"%032x" % (number << 90) for number in range(20)]
    scan = listed(*names)
    sample, rest = to_recheck(scan, held(*names), first)
    assert (len(sample), len(rest)) == (SAMPLE, 20 - SAMPLE)
    assert {entry.ref for entry in (*sample, *rest)} == {entry.ref for entry in scan.entries}


@pytest.mark.parametrize("form", [b"%d", b"msg-%06d", b"UID%d"])
def test_all_names_of_a_counter_are_looked_at_up_to_a_bound(form: bytes) -> None:
    for count, looked in ((20, 20), (MOST + 5, MOST)):
        names = [form % number for number in range(count)]
        sample, rest = to_recheck(listed(*names), held(*names), first)
        assert (len(sample), rest) == (looked, [])


@pytest.mark.parametrize(
    "known", [held(), held(b"1", size=99), held(b"1", damaged=True)], ids=["new", "size", "damaged"]
)
def test_what_is_fetched_anyway_is_not_looked_at(known: Known) -> None:
    assert to_recheck(listed(b"1"), known, first) == ([], [])


@pytest.mark.parametrize(
    "entry",
    [Entry(UidRef(INBOX, 1, 1), 100), Entry(UidlRef(None, 1), 100), Entry(UidlRef(b"1", 1), None)],
)
def test_what_has_no_uidl_or_no_size_is_not_looked_at(entry: Entry) -> None:
    scan = Scan(Mailbox(INBOX), SyncState(0, 0, 1), (entry,))
    assert to_recheck(scan, held(b"1"), first) == ([], [])
