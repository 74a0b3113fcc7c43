"""Sets of UIDs (`3:7,9`) written and read (RFC 9051 section 9, sequence-set)."""

from __future__ import annotations

from mailsync.stores.imap.response import UID_LIMIT


def uid_set(uids: list[int]) -> bytes:
    """Write UIDs as a set (`3:7,9`), in the order given; only UIDs that follow each other directly
    become a range.
    """
    parts: list[bytes] = []
    first = last = 0
    for uid in uids:
        if uid == last + 1 and last:
            last = uid
            continue
        if last:
            parts.append(b"%d:%d" % (first, last) if last > first else b"%d" % first)
        first = last = uid
    if last:
        parts.append(b"%d:%d" % (first, last) if last > first else b"%d" % first)
    return b",".join(parts)


def ranges_of(raw: bytes) -> tuple[range, ...]:
    """Read a set of UIDs (`3:7,9`); parts that are none, such as `*`, or that no UID can be, are
    left out.
    """
    found = []
    for part in raw.split(b","):
        first, _, last = part.strip().partition(b":")
        if first.isdigit() and (last or first).isdigit() and len(part) < 40:
            low, high = sorted((int(first), int(last or first)))
            if low <= UID_LIMIT:
                found.append(range(max(low, 1), min(high, UID_LIMIT) + 1))
    return tuple(found)
