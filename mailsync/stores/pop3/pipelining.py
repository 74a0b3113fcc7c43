"""How many POP3 commands may be in flight, and which messages they are for (RFC 2449 section
6.6).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from mailsync.model import Entry, Unfetched

WINDOW_OCTETS: Final = 32 << 20
WINDOW_COMMANDS: Final = 2048
"""Messages asked for ahead: in octets what a fast line holds in a round trip, in commands about 24
KB, which any socket buffer takes.

They lie in the network, not in memory: a message is read when it is given.
"""


class Flight:
    """Which messages are asked for and not yet answered, in order, and which come next; bounded in
    commands and octets.
    """

    def __init__(self, wanted: Iterable[Entry]) -> None:
        self.flying: deque[Entry] = deque()
        self.hesitant: Entry | None = None
        self._rest = iter(wanted)
        self._again: deque[Entry] = deque()
        self._octets = 0

    def ahead(
        self, limit: int, unlisted: Callable[[Entry], Unfetched | None]
    ) -> tuple[list[Entry], list[Unfetched]]:
        """Take what may be asked for now, many at a time: nothing while more than half of `limit`
        is in flight. What is `unlisted` is not asked for.
        """
        taken: list[Entry] = []
        missing: list[Unfetched] = []
        octets = self._octets
        room = limit - len(self.flying) if len(self.flying) <= limit // 2 else 0
        while len(taken) + len(missing) < room and (
            octets < WINDOW_OCTETS or not (self.flying or taken)
        ):
            entry = self._again.popleft() if self._again else next(self._rest, None)
            if entry is None:
                break
            unfetched = unlisted(entry)
            if unfetched is not None:
                missing.append(unfetched)
                continue
            taken.append(entry)
            octets += entry.size or 0
        return taken, missing

    def begin(self, entries: Iterable[Entry]) -> None:
        """Count entries as asked for."""
        for entry in entries:
            self.flying.append(entry)
            self._octets += entry.size or 0

    def landed(self) -> Entry:
        """Return the entry that was answered."""
        entry = self.flying.popleft()
        self._octets -= entry.size or 0
        return entry

    def back(self, more: Sequence[Entry] = ()) -> None:
        """Take back everything in flight, and `more`: it is to be asked for again."""
        self._again.extendleft(reversed([*self.flying, *more]))
        self.flying.clear()
        self._octets = 0
