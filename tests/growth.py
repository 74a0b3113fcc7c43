"""How the cost of work grows with its size: a verdict that a slow or busy machine does not change.

What grows with the square of the size costs `TIMES` times more than its size says. Both sizes are
measured in turn, so that whatever slows one down slows down the other.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Final, Self

TIMES: Final = 16
TRIES: Final = 4
LINEAR: Final = 4.0
"""So many times more than the size says is not linear any more."""


def growth(work: Callable[[int], object], size: int) -> float:
    """Return how many times more a piece of work of `size` costs, by its size, than a 16th of it.

    1 is linear, 16 the square. `work` is given the size; its own CPU time is what counts, and of
    several measurements the least.
    """
    small = large = float("inf")
    for _ in range(TRIES):
        small = min(small, _cost(work, size // TIMES))
        large = min(large, _cost(work, size))
        if large < LINEAR * TIMES * small:
            break
    return large / small / TIMES


def _cost(work: Callable[[int], object], size: int) -> float:
    begun = time.process_time()
    work(size)
    return max(time.process_time() - begun, 1e-4)


class Steps:
    """Counts what SQLite does on a connection, in steps of its machine, while a context lasts.

    What a statement does beyond a multiple of `every` steps is not counted.
    """

    def __init__(self, connection: sqlite3.Connection, every: int = 100) -> None:
        self._connection = connection
        self._every = every
        self.taken = 0

    def __enter__(self) -> Self:
        self._connection.set_progress_handler(self._count, self._every)
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.set_progress_handler(None, 0)

    def _count(self) -> int:
        self.taken += self._every
        return 0
