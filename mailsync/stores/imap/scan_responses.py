"""The answers to one scan gathered as they arrive: FETCH, VANISHED, EXPUNGE, EXISTS (RFC 9051
section 7.4 and 7.5, RFC 7162).
"""

from __future__ import annotations

from typing import Final

from mailsync.errors import ProtocolViolation
from mailsync.model import NO_FLAGS, Entry, SyncState, UidRef
from mailsync.stores.imap.fetch_response import Line, line_of
from mailsync.stores.imap.response import Answer
from mailsync.stores.imap.uid_set import ranges_of

LINES_LIMIT: Final = 5_000_000
"""No mailbox has more messages; a server that lists more does not end."""

ODD_KEPT: Final = 100
"""So many messages that cannot be made out are named one by one."""


class ScanResponses:
    """What the answers to one scan say."""

    def __init__(self) -> None:
        self.odd: list[str] = []
        self.lines: dict[int, Line] = {}
        self.vanished: list[range] = []
        self.expunged = 0
        self.exists = 0

    def take(self, answer: Answer, account: str) -> None:
        """Take in one answer of any kind.

        What tells of a message that cannot be made out goes to `odd`. Raises ProtocolViolation
        where the listing does not end.
        """
        try:
            line = line_of(answer, account)
        except ProtocolViolation as error:
            self._put_aside(answer, str(error))
            return
        if line is None:
            self._aside(answer)
        elif line.uid is None:
            if line.size is not None or line.internaldate is not None:
                self._put_aside(answer, "the server lists a message without its UID")
        else:
            self._take_line(line.uid, line, account)

    def _take_line(self, uid: int, line: Line, account: str) -> None:
        known = self.lines.get(uid)
        if known is not None:
            self.lines[uid] = _merged(known, line)
        elif line.size is not None or line.internaldate is not None:
            if len(self.lines) >= LINES_LIMIT:
                raise ProtocolViolation(
                    account, f"the server lists more than {LINES_LIMIT:,} messages in one mailbox"
                )
            self.lines[uid] = line
        # Else an unasked change of flags: its mod-sequence is above the state's, so the next scan
        # names it.

    def _put_aside(self, answer: Answer, why: str) -> None:
        if answer.number and len(self.odd) < ODD_KEPT:  # there is no message number 0
            self.odd.append(f"message number {answer.number}: {why}")

    def entries(self, path: tuple[str, ...], state: SyncState) -> tuple[Entry, ...]:
        """Make entries, by UID, and let go of the lines.

        What arrived after EXAMINE is left to the next scan: so all numbers agree.
        """
        late = self.exists > state.messages and state.uidnext
        uids = (
            sorted(uid for uid in self.lines if uid < state.uidnext) if late else sorted(self.lines)
        )
        if late and len(uids) < state.messages - self.expunged:
            uids = sorted(self.lines)  # UIDNEXT is not to be relied on here
        validity = state.uidvalidity
        return tuple(
            Entry(
                UidRef(path, validity, uid),
                line.size,
                line.flags or NO_FLAGS,
                line.internaldate,
                line.object_id,
            )
            for uid, line in ((uid, self.lines.pop(uid)) for uid in uids)
        )

    def _aside(self, answer: Answer) -> None:
        word = answer.word
        if word == b"VANISHED":
            earlier = b"(EARLIER)" in answer.line.upper()
            found = ranges_of(answer.line.rsplit(b" ", 1)[-1])
            if earlier:
                self.vanished += found
            else:
                self.expunged += sum(map(len, found))
        elif word == b"EXPUNGE":
            self.expunged += 1
        elif word == b"EXISTS":
            self.exists = max(self.exists, answer.number or 0)


def _merged(known: Line, line: Line) -> Line:
    """Put two answers about one message together; servers may split what they tell, or tell of a
    change in between.
    """
    return Line(
        known.uid,
        known.flags if line.flags is None else line.flags,
        known.size if line.size is None else line.size,
        known.internaldate if line.internaldate is None else line.internaldate,
        known.object_id if line.object_id is None else line.object_id,
    )
