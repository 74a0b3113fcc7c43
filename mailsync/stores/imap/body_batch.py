"""Messages of one mailbox asked for by one command, and whether what came is what was asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from mailsync.model import Entry, MailboxPath, Message, Unfetched
from mailsync.stores.imap.body_size import BodySizes
from mailsync.stores.imap.command_queue import Command
from mailsync.stores.imap.examine import Examined

WHOLE: Final = b"BODY.PEEK[]"
HEADER: Final = b"BODY.PEEK[HEADER]"

TAIL: Final = 64
"""Octets of the end of a message that came short, asked for with as many behind it: where there are
any, or others, the message was cut.
"""

RENUMBERED: Final = (
    "the server has renumbered the mailbox meanwhile (UIDVALIDITY changed); the next run looks at"
    " it anew"
)
UNENDED: Final = "less came than the server announced, and what came does not end as the message"


@dataclass(slots=True)
class Batch:
    """Messages of one mailbox asked for by one command; `missing` are those that have not come.

    `probe` asks only which of them exist; `alone` is a message's last chance; `content` came for it
    with another size than the one listed, and its header is asked for, or, `at_end`, what it ends
    with and what is behind that; `why` says what was wrong.
    """

    path: MailboxPath
    uidvalidity: int
    item: bytes
    missing: dict[int, Entry] = field(default_factory=dict)
    octets: int = 0
    probe: bool = False
    alone: bool = False
    why: str = ""
    content: bytes | None = None
    at_end: bool = False
    losses: int = 0
    generation: int = 0
    examined: Examined | None = None
    command: Command | None = None

    @property
    def renumbered(self) -> bool:
        """Whether the UIDs may mean other messages than those that were listed."""
        return self.examined is not None and self.examined.state.uidvalidity != self.uidvalidity

    def part(
        self, missing: dict[int, Entry], *, probe: bool = False, alone: bool = False, why: str = ""
    ) -> Batch:
        """Make a batch of some of these messages."""
        octets = 0 if probe else self.octets * len(missing) // max(len(self.missing), 1)
        return Batch(self.path, self.uidvalidity, self.item, missing, octets, probe, alone, why)

    def take(
        self, sizes: BodySizes, ready: deque[Batch], uid: int, content: bytes | None
    ) -> Message | None:
        """Take what came for a message; None, and why, where it cannot be what was asked for, or
        its header, which is `ready` to be asked for, must speak for it.
        """
        entry = self.missing[uid]
        if self.content is not None:
            return self._vouched(sizes, ready, uid, content)
        if content is None:
            self.why = "the server has no content for it (NIL)"
            return None
        if not content and entry.size and self.item == WHOLE:
            self.why = f"the server sent an empty message instead of {entry.size} octets"
            return None
        if self.renumbered and self.item == WHOLE and entry.size != len(content):
            self.why = RENUMBERED
            return None
        if self.item == WHOLE:
            doubt = sizes.doubt(entry, content, alone=self.alone)
            if doubt and not self.alone:
                self.why = doubt
                return None
            if doubt or sizes.needs_header(entry, content):
                self._ask(ready, uid, content, HEADER, why=doubt)
                return None
        del self.missing[uid]
        return Message(entry, content)

    def _vouched(
        self, sizes: BodySizes, ready: deque[Batch], uid: int, shown: bytes | None
    ) -> Message | None:
        """Take the content that came before, where its header, and its end, are those shown."""
        entry, content = self.missing[uid], self.content or b""
        if self.at_end:
            del self.missing[uid]
            ends = sizes.is_end(content[-TAIL:], shown or b"")
            return Message(entry, content, "" if ends else UNENDED)
        short = not self.why and len(content) < (entry.size or 0)
        if shown is None or not sizes.is_shown(content, shown, whole=not (self.why or short)):
            self.why = "the server sends another message than the one whose header it has"
            return None
        if short:
            start = max(0, len(content) - TAIL)
            self._ask(ready, uid, content, b"BODY.PEEK[]<%d.%d>" % (start, 2 * TAIL), at_end=True)
            return None
        del self.missing[uid]
        return Message(entry, content, self.why)

    def unvouched(self, why: str) -> Iterator[Message | Unfetched]:
        """Yield what becomes of a content for which nothing came that could speak for it."""
        for entry in self.missing.values():
            if self.at_end and self.content is not None:
                yield Message(entry, self.content, UNENDED)
            else:
                yield Unfetched(entry, why)

    def _ask(
        self,
        ready: deque[Batch],
        uid: int,
        content: bytes,
        item: bytes,
        *,
        why: str = "",
        at_end: bool = False,
    ) -> None:
        """Have more asked for that tells whether a content is the message."""
        entry = self.missing.pop(uid)
        asked = Batch(self.path, self.uidvalidity, item, {uid: entry}, 4096, why=why)
        asked.content, asked.at_end = content, at_end
        ready.append(asked)
