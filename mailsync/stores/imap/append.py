"""APPEND commands as bytes (RFC 9051 section 6.3.12, RFC 7888). Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from mailsync.model import Parcel
from mailsync.stores.imap.command_queue import Literal, Piece

_LAST_SECOND: Final = 253_402_300_799
_MONTHS: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)


@dataclass(frozen=True, slots=True)
class Send:
    """A parcel in the form in which it is sent now: its own content or a repaired one, with or
    without keywords.

    `refusal` is what the server said of an earlier form. `odd`: it looks as if a strict server may
    refuse it.
    """

    parcel: Parcel
    content: bytes = field(repr=False)
    flags: frozenset[str]
    repaired: str = ""
    refusal: str = ""
    odd: bool = False

    @property
    def lonely(self) -> bool:
        """Whether it must not join others: an empty literal cancels a whole MULTIAPPEND, and so
        does any refusal.
        """
        return not self.content or self.odd or bool(self.refusal)


def date_time(epoch: int) -> bytes:
    """Write an INTERNALDATE in UTC; the years 1970 to 9999 are what servers and the grammar agree
    on.
    """
    when = time.gmtime(min(max(0, epoch), _LAST_SECOND))
    clock = f"{when.tm_hour:02}:{when.tm_min:02}:{when.tm_sec:02}"
    return f'"{when.tm_mday:02}-{_MONTHS[when.tm_mon - 1]}-{when.tm_year:04} {clock} +0000"'.encode(
        "ascii"
    )


def append_parts(
    name: Piece, sends: Iterable[Send], instant: Callable[[int], bool]
) -> Iterator[Piece]:
    """Write one APPEND of one or more messages; `instant` returns whether a literal of so many
    octets need not wait.
    """
    yield b"APPEND "
    yield name
    for send in sends:
        flags = " ".join(sorted(send.flags)).encode("ascii")
        yield b" (" + flags + b") " + date_time(send.parcel.message.internaldate) + b" "
        yield Literal(send.content, waiting=not instant(len(send.content)))
