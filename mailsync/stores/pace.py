"""The least speed of a connection: a server that sends an octet now and then is never silent, and
would hold a run, and the archive's lock, for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

SLOWEST: Final = 16
"""Octets a second, on average over a window; the slowest modems did twice that."""


class TooSlow(TimeoutError):
    """Less came, or was taken, than the slowest line carries."""


class Pace:
    """Watches one direction, in windows of `seconds`; `clock` tells seconds that only ever grow.

    Time counts from the first octet of what is awaited: until then the server may think, and its
    silence is bounded by the timeout of the socket.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self.seconds = seconds
        self._clock = clock
        self._since: float | None = None
        self._octets = 0

    def begin(self) -> None:
        """Wait for something new, of which nothing has come yet."""
        self._since = None

    def moved(self, octets: int) -> None:
        """Count octets. Raises TooSlow at the end of a window in which too few came."""
        now = self._clock()
        if self._since is None:
            self._since, self._octets = now, 0
            return
        self._octets += octets
        if now - self._since < self.seconds:
            return
        if self._octets < SLOWEST * (now - self._since):
            raise TooSlow(f"less than {SLOWEST} octets a second for {self.seconds:g} s")
        self._since, self._octets = now, 0
