"""How much a server may say over one connection before it counts as one that never ends, or that no
longer speaks IMAP. Reads and sends nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

from mailsync.errors import ConnectionLost, ProtocolViolation

LITERAL_LIMIT: Final = 1 << 30
"""No message has more octets than this; a server that announces one is broken, or means to exhaust
us.
"""

NAME_LIMIT: Final = 1 << 20
LITERALS_LIMIT: Final = 1_000
"""The most octets of a literal in an answer to anything but a fetch of messages, and the most
literals in one answer.
"""

UNREAD_LIMIT: Final = 250_000
REMARKS_LIMIT: Final = 10_000
GARBAGE_LIMIT: Final = 1_000
"""The most answers to one command that wait to be looked at, the most of them that are mere remarks
(`* OK still here`), and the most lines of a connection that are no answer at all.
"""


REMARKING_LIMIT: Final = 1800.0
"""Seconds for which remarks may be all that comes. Servers say in them that a long command still
runs; the longest one seen, a search of a million messages, took minutes.
"""


class Asked(Protocol):
    """A command that is being answered; `fetches`: it asks for messages or parts of them."""

    @property
    def name(self) -> str:
        """How it begins."""

    @property
    def fetches(self) -> bool:
        """Whether it asks for messages or parts of them."""


class Limits:
    """The limits of one connection; every method raises ProtocolViolation beyond them."""

    def __init__(
        self, account: str, endpoint: object, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._remarking: float | None = None
        self._account = account
        self._endpoint = endpoint
        self._garbage = 0

    def literal(self, asked: Asked | None, octets: int, number: int) -> None:
        """Judge the announcement of a literal, the `number`-th of its answer."""
        of_messages = asked is None or asked.name.startswith("UID FETCH")
        most = LITERAL_LIMIT if of_messages else NAME_LIMIT
        if octets > most or number > LITERALS_LIMIT:
            raise ProtocolViolation(
                self._account, f"{self._endpoint} announced a literal of more than {most:,} octets"
            )

    def answers(self, unread: int, remarks: int) -> None:
        """Judge how many answers to a command wait, and how many were remarks."""
        if unread > UNREAD_LIMIT or remarks > REMARKS_LIMIT:
            raise ProtocolViolation(self._account, f"{self._endpoint} answers without end")

    def answered(self) -> None:
        """Take in that something came which was not a mere remark."""
        self._remarking = None

    def remarked(self) -> None:
        """Judge for how long nothing but remarks came."""
        now = self._clock()
        if self._remarking is None:
            self._remarking = now
        if now - self._remarking > REMARKING_LIMIT:
            raise ConnectionLost(
                self._account,
                f"{self._endpoint} said for {REMARKING_LIMIT / 60:.0f} minutes that it is still at"
                " it, and nothing else",
            )

    def garbage(self, asked: Asked | None, said: str) -> None:
        """Judge a line that is nothing a server may say, for instance since a line end stood in the
        middle of another one; one here and there is passed over.

        Among messages it is a sign that a literal was longer than announced: what comes then may be
        anybody's words, so nothing more is to be read. Raises ConnectionLost.
        """
        self._garbage += 1
        if asked is not None and asked.fetches:
            raise ConnectionLost(
                self._account, f"{self._endpoint} sent what is no answer among messages: {said!r}"
            )
        if self._garbage > GARBAGE_LIMIT:
            raise ProtocolViolation(
                self._account, f"{self._endpoint} sends what is no answer: {said!r}"
            )
