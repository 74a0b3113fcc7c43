"""How much may cross the line: so many octets in 24 hours, kept across runs, and so many in a
second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from mailsync.errors import BudgetReached

Thing = TypeVar("Thing")


class Budget:
    """One account's limits; None means no limit.

    `spent` is what the last 24 hours used up, `record` hears what is spent now.
    """

    def __init__(
        self,
        per_day: int | None,
        per_second: int | None,
        *,
        spent: int,
        record: Callable[[int], None],
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._per_day = per_day
        self._per_second = per_second
        self._spent = spent
        self._promised = 0
        self._record = record
        self._clock = clock
        self._sleep = sleep
        self._free_at = clock()
        self.exhausted = False

    def within(self, things: Iterable[Thing], octets: Callable[[Thing], int]) -> Iterator[Thing]:
        """Let things through while the day has room for them; a single one larger than the whole
        day passes on a fresh day.
        """
        for thing in things:
            size = octets(thing)
            used = self._spent + self._promised
            if self._per_day is not None and used and used + size > self._per_day:
                self.exhausted = True
                return
            self._promised += size
            yield thing

    def spend(self, octets: int) -> None:
        """Count what crossed the line, and wait as long as the limit a second asks."""
        self._promised = max(0, self._promised - octets)
        self._spent += octets
        self._record(octets)
        if self._per_second:
            now = self._clock()
            self._free_at = max(now, self._free_at) + octets / self._per_second
            if self._free_at > now:
                self._sleep(self._free_at - now)

    def raise_if_exhausted(self, account: str) -> None:
        """Raise BudgetReached if something had to stay behind."""
        if self.exhausted:
            raise BudgetReached(
                account,
                "the limit of octets a day (`limits: bytes_per_day`) is reached; the next run goes"
                " on from here",
            )


def unlimited() -> Budget:
    """Return a budget that never ends."""
    return Budget(
        None, None, spent=0, record=lambda _: None, clock=lambda: 0.0, sleep=lambda _: None
    )
