"""One message asked for alone, and what came weighed against all else the server says of it.

Behind RETR goes `LIST n`, whose answer begins with the message's own number: what stands before it
belongs to the message, whatever the server sent too much or forgot.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final

from mailsync.errors import ProtocolViolation
from mailsync.formats import header
from mailsync.formats.boundary import is_closed
from mailsync.model import Entry, Unfetched
from mailsync.stores.pop3.pipelining import Doubt
from mailsync.stores.pop3.response import unstuffed
from mailsync.stores.pop3.session import Pop3Session
from mailsync.stores.pop3.size import Fit, fit, fits_exactly, is_most

_MOST_OCTETS: Final = 1 << 26
_DOT: Final = b".\r\n"
_ALL_LINES: Final = 999_999_999
_TELLING: Final = (b"message-id", b"date", b"from", b"subject")


@dataclass(frozen=True, slots=True)
class Part:
    """What came of a message that is surely not all of it; `why` tells a person."""

    content: bytes = field(repr=False)
    why: str


def most_octets(entry: Entry) -> int:
    """Return how many octets are taken for a message before the server is not believed any more: 64
    MB, or twice what LIST says, which is an estimate on some servers.
    """
    return max(_MOST_OCTETS, 2 * (entry.size or 0))


def ask_alone(session: Pop3Session, doubt: Doubt, number: int) -> bytes | Part | Unfetched:
    """Fetch a message of which came what cannot be believed.

    Raises ProtocolViolation when no sense can be made of the answers, StoreUnavailable.
    """
    entry = doubt.entry
    if session.connection.buffered:
        raise _out_of_step(session)
    session.send(b"RETR %d" % number)
    ok, said = session.reply()
    content = session.content(most_octets(entry)) if ok else b""
    behind = _until_in_step(session, number, most_octets(entry))
    if ok and fits_exactly(entry.size, content):
        return content
    if not ok and not behind:
        return Unfetched(entry, f"the server will not give it: {said}")
    if behind:
        # A lone dot that was not doubled ended the message early; or a refusal of nothing came
        # before it.
        content = content + _DOT + behind.removesuffix(_DOT) if ok else _late(behind)
        if not fits_exactly(entry.size, content):
            raise _out_of_step(session)
        return content
    return _weighed(session, doubt, number, content)


def _out_of_step(session: Pop3Session) -> ProtocolViolation:
    return ProtocolViolation(
        session.account, f"the answers of {session.endpoint} are not those to what it was asked"
    )


def _until_in_step(session: Pop3Session, number: int, limit: int) -> bytes:
    """Ask for the size of a message, and return what came before the answer."""
    session.send(b"LIST %d" % number)
    answer = re.compile(rb"(\+OK[ \t]+)?0*%d[ \t]+\d" % number)
    before: list[bytes] = []
    octets = 0
    while True:
        line = session.connection.readline(limit)
        found = answer.match(line)
        if found is not None or (line.startswith(b"-ERR") and not before):
            break
        before.append(line)
        octets += len(line)
        if octets > limit:
            raise _out_of_step(session)
    session.owed = 0
    if found is not None and not found[1]:
        # It lists all messages though it was asked for one.
        while line not in {_DOT, b".\n"}:
            line = session.connection.readline(limit)
        return b""
    return b"".join(before)


def _late(behind: bytes) -> bytes:
    """Return the message in an answer to RETR that came behind another one."""
    status, _, body = behind.partition(b"\r\n")
    if not status.startswith(b"+OK") or not body.endswith(_DOT):
        return b""
    return unstuffed(body.removesuffix(_DOT))


def _weighed(
    session: Pop3Session, doubt: Doubt, number: int, content: bytes
) -> bytes | Part | Unfetched:
    """Judge a content that surely is the answer to RETR."""
    entry = doubt.entry
    found = fit(entry.size, content)
    if found is Fit.SHORT:
        return _lengthened(session, doubt, number, content)
    shown = _shown(session, number, 0, content)
    if shown is not None and not _is_same_header(shown, content):
        return Unfetched(entry, "the server sends another message than the one whose header it has")
    return content


def _lengthened(
    session: Pop3Session, doubt: Doubt, number: int, content: bytes
) -> bytes | Part | Unfetched:
    """Ask for all lines of a message that came too short by TOP: perhaps that brings it whole. If
    it brings the same a third time, and that shows its own end, the size is an estimate.
    """
    entry = doubt.entry
    shown = _shown(session, number, _ALL_LINES, content)
    if shown is not None and fit(entry.size, shown) in {Fit.EXACT, Fit.NEAR}:
        return shown
    thrice = shown == content and hashlib.sha256(content).digest() == doubt.digest
    if thrice and is_most(entry.size, content):
        if is_closed(content):
            session.experience.estimated()
        if is_closed(content) or session.experience.estimates:
            return content
    most = max(content, shown or b"", key=len)
    why = f"only {len(most):,} of the {entry.size or 0:,} octets that the server announced came"
    return Part(most, why) if most else Unfetched(entry, why)


def _shown(session: Pop3Session, number: int, lines: int, content: bytes) -> bytes | None:
    """Return what TOP shows of a message, None where it cannot be asked."""
    if "TOP" not in session.capabilities:
        return None
    session.send(b"TOP %d %d" % (number, lines))
    ok, _ = session.reply()
    return session.content(max(_MOST_OCTETS, 2 * len(content))) if ok else None


def _is_same_header(one: bytes, other: bytes) -> bool:
    return all(header.all_(one, name) == header.all_(other, name) for name in _TELLING)
