"""Which known messages of a POP3 listing to look at again: whether their UIDLs still name them.
Pure.

A server that counts its messages begins anew when it was set up anew, and gives names to other
messages that it gave before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from mailsync.model import Entry, Known, Scan, UidlRef

SAMPLE: Final = 4
"""Messages looked at in each run where nothing points to reused names."""

MOST: Final = 2000
"""Messages looked at in one run at most, other ones each time."""

Pick: TypeAlias = Callable[[Sequence[Entry], int], list[Entry]]
"""Picks so many at random."""

_COUNTER: Final = re.compile(rb"[A-Za-z_.-]{0,6}\d{1,10}")


def to_recheck(scan: Scan, known: Known, pick: Pick) -> tuple[list[Entry], list[Entry]]:
    """Return which messages to look at in any case, and which then if one of them is another: of
    UIDLs that look like a counter all in any case.
    """
    there = [entry for entry in scan.entries if _is_known(entry, known)]
    names = [entry.ref.uidl or b"" for entry in there if isinstance(entry.ref, UidlRef)]
    if all(_COUNTER.fullmatch(name) for name in names):
        return pick(there, min(MOST, len(there))), []
    sample = pick(there, min(SAMPLE, len(there)))
    taken = {entry.ref for entry in sample}
    return sample, [entry for entry in there if entry.ref not in taken]


def _is_known(entry: Entry, known: Known) -> bool:
    if not isinstance(entry.ref, UidlRef) or entry.ref.uidl is None or entry.size is None:
        return False
    message = known.messages.get(entry.ref.uidl)
    return message is not None and not message.damaged and message.size == entry.size
