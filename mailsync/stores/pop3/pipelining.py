"""How many POP3 commands may be in flight, and which messages they are for (RFC 2449 section
6.6).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mailsync.model import Entry, Unfetched
from mailsync.stores.refusals import Refusal

WINDOW_OCTETS: Final = 32 << 20
WINDOW_COMMANDS: Final = 2048
"""Messages asked for ahead: in octets what a fast line holds in a round trip, in commands about 24
KB, which any socket buffer takes.

They lie in the network, not in memory: a message is read when it is given.
"""

_DOUBTS: Final = 8
"""So many doubtful answers are looked at before more is asked for."""

_NEAR_BY: Final = 2


@dataclass(slots=True)
class Doubt:
    """A message whose answer may be another's, or a part; `digest` is that of what came, or
    `refusal` what was said instead.
    """

    entry: Entry
    digest: bytes = b""
    refusal: Refusal | None = None
    attempts: int = 0


class Flight:
    """Which messages are asked for and not yet answered, in order, and which come next; bounded in
    commands and octets.
    """

    def __init__(self, wanted: Iterable[Entry]) -> None:
        self.flying: deque[Entry] = deque()
        self.marked: deque[bool] = deque()
        self.doubts: deque[Doubt] = deque()
        self.hesitant: Entry | None = None
        self._rest = iter(wanted)
        self._again: deque[Entry] = deque()
        self._sizes: deque[int | None] = deque(maxlen=_NEAR_BY)
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
        few = len(self.flying) <= limit // 2 and len(self.doubts) < _DOUBTS
        room = limit - len(self.flying) if few else 0
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

    def begin(self, entry: Entry, *, mark: bool) -> bool:
        """Count an entry as asked for. With `mark` it is marked, and told, that its size is that of
        one asked for just before it, so that by size nobody could tell their answers apart.
        """
        marked = mark and entry.size in self._sizes
        self.flying.append(entry)
        self.marked.append(marked)
        self._sizes.append(entry.size)
        self._octets += entry.size or 0
        return marked

    def landed(self) -> Entry:
        """Return the entry that was answered."""
        entry = self.flying.popleft()
        self.marked.popleft()
        self._octets -= entry.size or 0
        return entry

    def back(self, more: Sequence[Entry] = ()) -> None:
        """Take back everything in flight, and `more`: it is to be asked for again."""
        self._again.extendleft(reversed([*self.flying, *more]))
        self.flying.clear()
        self.marked.clear()
        self._sizes.clear()
        self._octets = 0
