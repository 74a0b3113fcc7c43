"""Which messages go together in one APPEND (MULTIAPPEND, RFC 3502), and how a batch that was
refused as a whole is split. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from mailsync.stores.imap.append import Send

BATCH_MESSAGES: Final = 200


BATCH_OCTETS: Final = 4 << 20
"""A MULTIAPPEND is all or nothing: large enough to be worth it, small enough to be said again."""


_ODD_ALONE: Final = 16


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

    def part(self) -> None:
        """Put no messages together any more."""
        self._together = False

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
