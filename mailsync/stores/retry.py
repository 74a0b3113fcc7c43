"""How long to wait before a server is asked again, and how often: what it states, else longer each
time, with jitter, up to a bound. One formula for every protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mailsync.errors import ConnectionLost, StoreUnavailable, Throttled, Unreachable

RETRIES: Final = 4
FIRST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 60.0
LONGEST_STATED: Final = 3600.0
"""Seconds: the first wait, the longest one we choose, the longest a server may ask of one run."""


class Retry:
    """The failures in a row of one account, and the wait after each; at most `retries` of them.

    `note` tells a person why we wait; `sleep` takes seconds, `jitter` gives 0 … 1.
    """

    def __init__(
        self,
        *,
        note: Callable[[str], None],
        sleep: Callable[[float], None],
        jitter: Callable[[], float],
        retries: int = RETRIES,
    ) -> None:
        self._note = note
        self._sleep = sleep
        self._jitter = jitter
        self._retries = retries
        self._failures = 0
        self._reached = False

    def reached(self) -> None:
        """Take in that a login succeeded: a server that was there and is not is most likely
        starting again.
        """
        self._reached = True

    def progressed(self) -> None:
        """Count failures anew: something was brought home."""
        self._failures = 0

    def wait(self, error: StoreUnavailable) -> None:
        """Wait before the next try. Raises `error` when another try is of no use, or was the last
        one.
        """
        self._failures += 1
        hopeful = error.retryable or (self._reached and isinstance(error, Unreachable))
        if not hopeful or self._failures > self._retries:
            raise self._final(error)
        stated = error.wait if isinstance(error, Throttled) else None
        if stated is not None and stated > LONGEST_STATED:
            raise error
        seconds = backoff(self._failures, self._jitter()) if stated is None else stated
        again = f"trying again in {seconds:.0f} s" if seconds >= 1 else "trying again"
        self._note(f"{error.account}: {error}; {again}")
        self._sleep(seconds)

    def _final(self, error: StoreUnavailable) -> StoreUnavailable:
        """Return what ends the work: a server that was there and is not is no mistyped one."""
        if not (self._reached and isinstance(error, Unreachable)):
            return error
        lost = ConnectionLost(
            error.account,
            "the connection was lost, and the server cannot be reached since; run it again later",
        )
        lost.__cause__ = error
        return lost


def longer(known: StoreUnavailable | None, stop: StoreUnavailable) -> StoreUnavailable:
    """Choose whom to believe when several answers say how long to wait."""
    if isinstance(known, Throttled) and (
        not isinstance(stop, Throttled) or (known.wait or 0) >= (stop.wait or 0)
    ):
        return known
    return stop


def backoff(failures: int, jitter: float) -> float:
    """Return the seconds to wait after so many failures in a row: twice as long each time up to
    LONGEST_WAIT, and by `jitter` (0 … 1) half as long to half as long again, so that many clients
    of one server do not come back together.
    """
    return min(FIRST_WAIT * 2.0 ** (failures - 1), LONGEST_WAIT) * (0.5 + jitter)
