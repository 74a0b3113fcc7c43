"""APPEND commands as bytes, and which letters go together in one (RFC 9051 section 6.3.12, RFC 3502, RFC 7888). Pure."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from mailsync.model import SYSTEM_FLAGS, MailboxPath, Parcel
from mailsync.stores.imap.fetched import ranges_of
from mailsync.stores.imap.wire import Literal, Part, Result

BATCH_LETTERS: Final = 200
BATCH_OCTETS: Final = 4 << 20
"""A MULTIAPPEND is all or nothing: large enough to be worth it, small enough to be said again."""

_KEYWORD: Final = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z^_`a-z|~\[}]+")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Send:
    """A parcel in the form in which it is sent now: its own content or a repaired one, with or without keywords."""

    parcel: Parcel
    content: bytes = field(repr=False)
    flags: frozenset[str]
    repaired: str = ""
    refusal: str = ""

    @property
    def lonely(self) -> bool:
        """Whether it must not join others: an empty literal cancels a whole MULTIAPPEND."""
        return not self.content or bool(self.refusal)


def verbatim(parcel: Parcel, permanent: frozenset[str] | None) -> Send:
    """Give the form in which a parcel is tried first."""
    return Send(parcel, parcel.content, allowed(parcel.letter.flags, permanent))


def allowed(flags: frozenset[str], permanent: frozenset[str] | None) -> frozenset[str]:
    """Leave out flags the mailbox does not keep (PERMANENTFLAGS; None: it did not say) and keywords no server can be told."""
    anything = permanent is None or "\\*" in permanent
    known = {flag.lower() for flag in permanent or ()}

    def kept(flag: str) -> bool:
        if flag in SYSTEM_FLAGS:
            return permanent is None or flag.lower() in known
        return bool(_KEYWORD.fullmatch(flag)) and (anything or flag.lower() in known)

    return frozenset(filter(kept, flags))


def date_time(epoch: int) -> bytes:
    """Write an INTERNALDATE in UTC."""
    when = time.gmtime(max(0, epoch))
    clock = f"{when.tm_hour:02}:{when.tm_min:02}:{when.tm_sec:02}"
    return f'"{when.tm_mday:02}-{_MONTHS[when.tm_mon - 1]}-{when.tm_year:04} {clock} +0000"'.encode("ascii")


def append_parts(name: Part, sends: Iterable[Send], instant: Callable[[int], bool]) -> Iterator[Part]:
    """Write one APPEND of one or more letters; `instant` tells whether a literal of so many octets need not wait."""
    yield b"APPEND "
    yield name
    for send in sends:
        flags = " ".join(sorted(send.flags)).encode("ascii")
        yield b" (" + flags + b") " + date_time(send.parcel.letter.internaldate) + b" "
        yield Literal(send.content, waiting=not instant(len(send.content)))


def batches(sends: Iterable[Send], *, together: bool) -> Iterator[list[Send]]:
    """Group what goes to the same mailbox, in order, within the bounds; lonely ones alone. Lazy: holds one group."""
    group: list[Send] = []
    octets = 0
    for send in sends:
        place: MailboxPath | None = group[0].parcel.mailbox if group else None
        full = len(group) >= BATCH_LETTERS or octets + len(send.content) > BATCH_OCTETS
        if group and (not together or full or place != send.parcel.mailbox or send.lonely or group[0].lonely):
            yield group
            group, octets = [], 0
        group.append(send)
        octets += len(send.content)
        if not together or send.lonely:
            yield group
            group, octets = [], 0
    if group:
        yield group


def append_uids(result: Result, count: int) -> tuple[int | None, list[int | None]]:
    """Read APPENDUID (RFC 4315 section 3): UIDVALIDITY and a UID a letter, in order; Nones where the server did not tell."""
    validity, _, uids = result.argument.partition(b" ")
    if result.code == b"APPENDUID" and validity.isdigit():
        spans = ranges_of(uids)
        if sum(len(span) for span in spans) == count:
            return int(validity), [uid for span in spans for uid in span]
    return None, [None] * count
