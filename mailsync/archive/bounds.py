"""What a server may hand over and a catalogue can hold: 63 bits of any number, and text that is
text.

Whatever lies beyond says nothing that could be true of a message, so it counts as not told. UIDs
are the stores' to check: one that is none names no message.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from mailsync.model import Entry, SyncState

LARGEST: Final = 2**63 - 1
"""The largest number that SQLite holds."""

LATEST: Final = 2**40
"""Epoch seconds, 35,000 years away in both directions."""


def storable(entry: Entry) -> Entry:
    """Return an entry with nothing in it that a catalogue cannot hold."""
    size, date, name = entry.size, entry.internaldate, entry.object_id
    if (
        (size is None or 0 <= size <= LARGEST)
        and (date is None or -LATEST <= date <= LATEST)
        and (name is None or _is_text(name))
        and all(map(_is_text, entry.flags))
    ):
        return entry
    return replace(
        entry,
        size=size if size is not None and 0 <= size <= LARGEST else None,
        internaldate=date if date is not None and -LATEST <= date <= LATEST else None,
        object_id=name if name is not None and _is_text(name) else None,
        flags=frozenset(filter(_is_text, entry.flags)),
    )


def storable_state(state: SyncState) -> SyncState:
    """Return a mailbox's state with nothing in it that a catalogue cannot hold; one that was cut is
    never the server's own, so that the mailbox is looked at again.
    """
    modseq = state.highestmodseq
    return SyncState(
        min(state.uidvalidity, LARGEST),
        min(state.uidnext, LARGEST),
        min(state.messages, LARGEST),
        modseq if modseq is None or modseq <= LARGEST else None,
    )


def storable_uids(uids: Iterable[int]) -> list[int]:
    """Return the UIDs that a catalogue can hold: of the others it holds none."""
    return [uid for uid in uids if uid <= LARGEST]


def _is_text(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)
