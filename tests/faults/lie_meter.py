"""What a trial of lies has used up, shared by its servers and the process that runs the command, so
that an endless run is told by what was done and never by how long it took. Imports no test.
"""

from __future__ import annotations

import mmap
import threading
from pathlib import Path
from typing import Final

_RUN, _SERVERS, _ANSWERS, _OCTETS = range(4)
OCTETS: Final = 600_000_000
"""What servers may say in one run; all the truth of a trial has less than 100,000."""

ANSWERS: Final = 4_000
"""How often servers may speak in one run; telling the truth takes less than 100 answers."""

SLOW: Final = 6 * 3600.0
"""Seconds that servers may pretend to need in one run."""


class Meter:
    """Counters and a clock in a shared file; every method may be called from any thread."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._numbers = memoryview(mmap.mmap(file.fileno(), 4 * 8)).cast("d")
        self._lock = threading.Lock()

    @staticmethod
    def made(path: Path) -> Meter:
        """Make the file, all counters at 0."""
        path.write_bytes(bytes(4 * 8))
        return Meter(path)

    def _add(self, counter: int, amount: float) -> None:
        with self._lock:
            self._numbers[counter] += amount

    @property
    def ahead(self) -> float:
        """By how many seconds the run's clock is ahead of the real one."""
        return self._numbers[_RUN] + self._numbers[_SERVERS]

    def waited(self, seconds: float) -> None:
        """Move the clock instead of waiting."""
        self._add(_RUN, seconds)

    def paused(self, seconds: float) -> None:
        """Move the clock by what a server pretends to need."""
        self._add(_SERVERS, seconds)

    def said(self, answers: int, octets: int) -> None:
        """Count answers and octets."""
        self._add(_ANSWERS, answers)
        self._add(_OCTETS, octets)

    def reset(self) -> None:
        """Set the clock right again, for another trial."""
        self.begin()
        self._numbers[_RUN] = 0.0

    def begin(self) -> None:
        """Count anew, for another run at a later time."""
        self._numbers[_RUN] += self._numbers[_SERVERS]
        for counter in (_SERVERS, _ANSWERS, _OCTETS):
            self._numbers[counter] = 0.0

    @property
    def endless(self) -> bool:
        """Whether more was said, or pretended, than any run may need."""
        return (
            self._numbers[_OCTETS] > OCTETS
            or self._numbers[_ANSWERS] > ANSWERS
            or self._numbers[_SERVERS] > SLOW
        )
