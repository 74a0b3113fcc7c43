"""APPEND commands as bytes, and which messages go together in one (RFC 9051 section 6.3.12, RFC
3502, RFC 7888). Pure.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from mailsync.model import SYSTEM_FLAGS, Parcel
from mailsync.stores.imap.command_queue import Literal, Piece, Result
from mailsync.stores.imap.fetch_response import ranges_of

BATCH_MESSAGES: Final = 200
BATCH_OCTETS: Final = 4 << 20
"""A MULTIAPPEND is all or nothing: large enough to be worth it, small enough to be said again."""

WINDOW_MESSAGES: Final = 4096
"""More messages than this are never without an answer."""

_ODD_ALONE: Final = 16
_LAST_SECOND: Final = 253_402_300_799
_KEYWORD: Final = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z^_`a-z|~\[}]+")
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


def allowed(flags: frozenset[str], permanent: frozenset[str] | None) -> frozenset[str]:
    """Leave out flags the mailbox does not keep (PERMANENTFLAGS; None: it did not say) and keywords
    no server can be told.
    """
    anything = permanent is None or "\\*" in permanent
    known = {flag.lower() for flag in permanent or ()}

    def kept(flag: str) -> bool:
        if flag in SYSTEM_FLAGS:
            return permanent is None or flag.lower() in known
        return bool(_KEYWORD.fullmatch(flag)) and (anything or flag.lower() in known)

    return frozenset(filter(kept, flags))


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


class Batches:
    """Messages grouped for one APPEND each: to the same mailbox, in order, within the bounds,
    lonely ones alone.

    Lazy: holds at most one message that is not in a group yet. `together` False makes every group
    one message. `octets` bounds a group; a single message may be larger.
    """

    def __init__(
        self, sends: Iterator[Send], *, together: bool, octets: int = BATCH_OCTETS
    ) -> None:
        self._sends = sends
        self._together = together
        self._octets = octets
        self._ahead: Send | None = None

    def take(self, messages: int = BATCH_MESSAGES) -> list[Send]:
        """Return the next group, of at most so many messages; empty when there are no more."""
        group: list[Send] = []
        octets = 0
        while len(group) < max(1, min(messages, BATCH_MESSAGES)):
            send = self._ahead or next(self._sends, None)
            self._ahead = None
            if send is None:
                break
            octets += len(send.content)
            if group and (
                send.parcel.mailbox != group[0].parcel.mailbox
                or octets > self._octets
                or send.lonely
            ):
                self._ahead = send
                break
            group.append(send)
            if not self._together or send.lonely:
                break
        return group


def split(group: Sequence[Send], looks_odd: Callable[[bytes], bool]) -> list[list[Send]]:
    """Split a group that was refused as a whole, so that few more tries find the offender.

    The messages that look odd go alone when they are few, else together; a group of one look goes
    in halves.
    """
    sound: list[Send] = []
    odd: list[Send] = []
    for send in group:
        (odd if looks_odd(send.content) else sound).append(send)
    if sound and odd:
        return [sound, *([[send] for send in odd] if len(odd) <= _ODD_ALONE else [odd])]
    middle = len(group) // 2
    return [list(group[:middle]), list(group[middle:])]


class Pace:
    """How many messages may be without an answer at once.

    All that the window holds, until a connection broke or the server had enough; then one, and with
    each answer more. So a message that breaks connections takes no others with it for long, and a
    server that is short of breath is not run down.
    """

    def __init__(self) -> None:
        self.messages = WINDOW_MESSAGES

    def slow(self) -> None:
        """Begin again with one."""
        self.messages = 1

    def answered(self, messages: int) -> None:
        """Allow as many more as were answered, which doubles them each round trip."""
        self.messages = min(self.messages + messages, WINDOW_MESSAGES)


def append_uids(result: Result, count: int) -> tuple[int | None, list[int | None]]:
    """Read APPENDUID (RFC 4315 section 3): UIDVALIDITY and a UID a message, in order; Nones where
    the server did not tell.
    """
    validity, _, uids = result.argument.partition(b" ")
    if result.code == b"APPENDUID" and validity.isdigit() and len(validity) <= 10:
        spans = ranges_of(uids)
        if (
            all(0 < span.start < span.stop <= 1 << 32 for span in spans)
            and sum(map(len, spans)) == count
        ):
            return int(validity), [uid for span in spans for uid in span]
    return None, [None] * count
