"""The listing of a POP3 maildrop: UIDL and LIST in one flight, and which number a message has in
this session (RFC 1939 sections 5 and 7).
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from mailsync.model import Entry, UidlRef, Unfetched
from mailsync.stores.pop3.session import Pop3Session

_QUESTIONS: Final = (b"UIDL", b"LIST", b"STAT")
_COUNT: Final = re.compile(rb"\+OK[ \t]+(\d{1,9})\b", re.IGNORECASE)
_PORTIONS: Final = frozenset({10, 25, 50, 100, 200, 250, 500, 1000})
"""Numbers of messages that rather are a server's choice than what is there."""


class Listing:
    """The messages of the maildrop as the last session saw it; `flags` are what each is marked
    with.
    """

    def __init__(self, flags: frozenset[str]) -> None:
        self.entries: dict[int, Entry] = {}
        self.counted = 0
        self._flags = flags
        self._numbers: dict[bytes, int] = {}
        self._moved = False

    def ask(self, session: Pop3Session) -> None:
        """Ask for UIDL, LIST and STAT, in one flight where the server pipelines; first, or with
        them, what it can do now.
        """
        together = session.pipelines
        if together:
            session.send(b"CAPA", *_QUESTIONS)
        elif session.capabilities:
            session.send(b"CAPA")
        if session.capabilities:
            session.take_capabilities()
        if not together:
            together = session.pipelines
            session.send(*(_QUESTIONS if together else _QUESTIONS[:1]))
        uidls = _table(session, required=False)
        if not together:
            session.send(b"LIST")
        sizes = _table(session, required=True)
        if not together:
            session.send(b"STAT")
        counted = _COUNT.match(session.line())
        self.counted = int(counted[1]) if counted else 0
        self._take(uidls, sizes)

    @property
    def hidden(self) -> int:
        """How many messages the server counts and does not list."""
        return max(0, self.counted - len(self.entries))

    @property
    def is_portion(self) -> bool:
        """Whether the listing looks like one of several that a server shows, one a session."""
        if not all(
            isinstance(entry.ref, UidlRef) and entry.ref.uidl for entry in self.entries.values()
        ):
            return False
        return self.hidden > 0 or len(self.entries) in _PORTIONS

    def number(self, entry: Entry) -> int | None:
        """Find a message's number in this session; without a UIDL only while the listing is as it
        was.
        """
        if not isinstance(entry.ref, UidlRef):
            return None
        if entry.ref.uidl is not None:
            return self._numbers.get(entry.ref.uidl)
        listed = self.entries.get(entry.ref.number)
        if self._moved or listed is None or listed.size != entry.size:
            return None
        return entry.ref.number

    def unlisted(self, entry: Entry) -> Unfetched | None:
        """Return why an entry cannot be asked for; None when it can."""
        if self.number(entry) is not None:
            return None
        if isinstance(entry.ref, UidlRef) and entry.ref.uidl is None:
            return Unfetched(
                entry,
                "the mailbox changed while the connection was away; the next run finds this message"
                " again",
            )
        return Unfetched(entry, "it is no longer on the server", expunged=True)

    def _take(self, uidls: dict[int, bytes], sizes: dict[int, bytes]) -> None:
        times = Counter(uidls.values())
        unique = {number: uidl for number, uidl in uidls.items() if uidl and times[uidl] == 1}
        before = [entry.size for entry in self.entries.values()]
        # A message that only one of the two answers names is a message all the same.
        self.entries = {
            number: Entry(
                UidlRef(unique.get(number), number), _size(sizes.get(number, b"")), self._flags
            )
            for number in sorted(sizes.keys() | uidls.keys())
        }
        self._numbers = {unique[number]: number for number in self.entries if number in unique}
        # New messages come at the end; anything else makes the old numbers worthless.
        now = [entry.size for entry in self.entries.values()]
        self._moved = self._moved or before != now[: len(before)]


def _table(session: Pop3Session, *, required: bool) -> dict[int, bytes]:
    """Read a listing: message number to the rest of its line."""
    ok, said = session.reply()
    if not ok:
        doing = "listing the mailbox"
        busy = session.trouble(said, doing)
        if required or busy is not None:
            raise busy or session.refused(said, doing)
        return {}
    parts = (line.split(None, 1) for line in session.lines())
    return {
        int(part[0]): b"".join(part[1:]).strip()
        for part in parts
        if part and part[0].isdigit() and len(part[0]) < 12
    }


def _size(words: bytes) -> int | None:
    """Read the size in a LIST line, behind which a server may say more."""
    first = words.split()[0] if words.strip() else b""
    return int(first) if first.isdigit() and len(first) < 16 else None
