"""FETCH answers read (RFC 9051 section 7.5.2): listing lines by one regular expression, bodies
without touching their octets.

Anything unusual goes to IMAPClient's parser, which knows the whole grammar and takes its time. What
no parser understands is a ProtocolViolation, and nothing else: any octets may come in here.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple

from imapclient.exceptions import IMAPClientError
from imapclient.response_parser import parse_response

from mailsync.errors import ProtocolViolation
from mailsync.model import SYSTEM_FLAGS
from mailsync.stores.imap.response import NUMBER_LIMIT, UID_LIMIT, Answer, number_of

_LINE: Final = re.compile(
    rb"\d+ FETCH \((?:(?:UID (\d{1,10})|FLAGS \(([^()\"{]*)\)|RFC822\.SIZE (\d{1,15})|INTERNALDATE"
    rb" \"([^\"\\]{20,30})\""
    rb"|MODSEQ \(\d{1,20}\)|EMAILID \(([^()\"{ ]+)\)|X-GM-MSGID (\d{1,20}))(?: |(?=\)\Z)))+\)\Z",
    re.IGNORECASE,
)
_ASIDE: Final = rb"(?:UID (\d{1,10})|FLAGS \([^()\"{]*\)|MODSEQ \(\d{1,20}\)|RFC822\.SIZE \d{1,15})"
_BODY_HEAD: Final = re.compile(
    rb"\d+ FETCH \((?:" + _ASIDE + rb" )*BODY\[[^\]\"{]*\](?:<\d{1,15}>)? ~?\{\d{1,20}\+?\}\Z",
    re.IGNORECASE,
)
_BODY_REST: Final = re.compile(rb"(?: " + _ASIDE + rb")*\)\Z", re.IGNORECASE)
_FETCH: Final = re.compile(rb"\d+ FETCH ", re.IGNORECASE)
_MARKER: Final = re.compile(rb"~?\{(\d+)\+?\}\Z")
_MONTHS: Final = {
    month: number
    for number, month in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)
}
_SYSTEM: Final = {flag.lower(): flag for flag in SYSTEM_FLAGS}
_EPOCH: Final = date(1970, 1, 1).toordinal()
_LATEST: Final = (date.max.toordinal() + 1 - _EPOCH) * 86400
_FLAGS_KEPT: Final = 1000

LINE_LIMIT: Final = 1 << 20
"""Octets of a FETCH answer outside its literals; more is nothing that a message has."""


class Line(NamedTuple):
    """One line of a listing; `uid` None when the answer did not say it (an unasked change of
    flags).
    """

    uid: int | None
    flags: frozenset[str] | None
    size: int | None
    internaldate: int | None
    object_id: str | None


class Body(NamedTuple):
    """The octets of a message or a part of it; `content` None where the server sent NIL."""

    uid: int | None
    content: bytes | None


def line_of(answer: Answer, account: str) -> Line | None:
    """Read one line of a listing; None when the answer is no FETCH. Raises ProtocolViolation."""
    found = _LINE.match(answer[0]) if len(answer[0]) < LINE_LIMIT else None
    if found is None:
        return _slow_line(answer, account) if _FETCH.match(answer[0]) else None
    uid, flags, size, when, email_id, gmail_id = found.groups()
    return Line(
        None if uid is None else _uid(int(uid), answer, account),
        None if flags is None else flags_of(flags),
        None if size is None else int(size),
        None if when is None else epoch(when),
        _object_id(email_id or gmail_id),
    )


def body_of(answer: Answer, account: str) -> Body | None:
    """Read a message's content, or the part of it that was asked for; None when the answer holds
    none. Raises ProtocolViolation.
    """
    if len(answer) == 3:
        head = _BODY_HEAD.match(answer[0])
        rest = _BODY_REST.match(answer[2])
        if head is not None and rest is not None:
            uid = head[1] or rest[1]
            return Body(number_of(uid, UID_LIMIT), answer[1])
    return _slow_body(answer, account) if _FETCH.match(answer[0]) else None


def flags_of(raw: bytes) -> frozenset[str]:
    """Read flags and keywords: system flags in the RFC's spelling, `\\Recent` left out because it
    belongs to a session.
    """
    return _flags(raw) if len(raw) < _FLAGS_KEPT else _flags.__wrapped__(raw)


@lru_cache(maxsize=4096)
def _flags(raw: bytes) -> frozenset[str]:
    try:
        words = raw.decode("utf-8").split()
    except UnicodeDecodeError:
        words = raw.decode("latin-1").split()
    return frozenset(
        _SYSTEM.get(word.lower(), word) for word in words if word.lower() != "\\recent"
    )


def epoch(raw: bytes) -> int | None:
    """Read an INTERNALDATE (`17-Jul-1996 02:44:25 -0700`) as seconds since 1970; None for a date
    that is none, before it, or beyond the year 9999.
    """
    try:
        day, clock, zone = raw.split()
        hours, minutes, seconds = clock.split(b":")
        when = _day(day) + int(hours) * 3600 + int(minutes) * 60 + int(seconds) - _zone(zone)
    except (ValueError, KeyError, IndexError):
        return None
    return when if 0 <= when < _LATEST else None


@lru_cache(maxsize=4096)
def _day(raw: bytes) -> int:
    day, month, year = raw.split(b"-")
    return (date(int(year), _MONTHS[month.lower()], int(day)).toordinal() - _EPOCH) * 86400


@lru_cache(maxsize=256)
def _zone(raw: bytes) -> int:
    if raw[:1] not in {b"+", b"-"} or len(raw) != 5:
        raise ValueError(raw)
    seconds = int(raw[1:3]) * 3600 + int(raw[3:5]) * 60
    return -seconds if raw[:1] == b"-" else seconds


def _uid(number: object, answer: Answer, account: str) -> int:
    uid = number_of(number, UID_LIMIT)
    if not uid:
        raise ProtocolViolation(
            account, f"the server names message {answer.number} by what is no UID"
        )
    return uid


def _object_id(name: object) -> str | None:
    if not isinstance(name, bytes) or name.upper() == b"NIL":
        return None
    return name.decode("ascii", "replace")


def _slow_line(answer: Answer, account: str) -> Line:
    fields = _fields(answer, account)
    flags = fields.get(b"FLAGS")
    when = fields.get(b"INTERNALDATE")
    name = fields.get(b"EMAILID") or fields.get(b"X-GM-MSGID")
    if isinstance(name, tuple):
        name = name[0] if name else None
    uid = fields.get(b"UID")
    words = (
        [word if isinstance(word, bytes) else str(word).encode() for word in flags]
        if isinstance(flags, tuple)
        else None
    )
    return Line(
        None if uid is None else _uid(uid, answer, account),
        None if words is None else flags_of(b" ".join(words)),
        number_of(fields.get(b"RFC822.SIZE"), NUMBER_LIMIT),
        epoch(when) if isinstance(when, bytes) else None,
        _object_id(str(name).encode() if isinstance(name, int) else name),
    )


def _slow_body(answer: Answer, account: str) -> Body | None:
    fields = _fields(answer, account)
    for name, value in fields.items():
        if name.startswith(b"BODY["):
            if value is None or (
                isinstance(value, bytes) and value.upper() == b"NIL" and len(answer) == 1
            ):
                return Body(number_of(fields.get(b"UID"), UID_LIMIT), None)
            if not isinstance(value, bytes):
                raise ProtocolViolation(
                    account, f"the server sent as message {answer.number} what is none"
                )
            return Body(number_of(fields.get(b"UID"), UID_LIMIT), value)
    return None


def _fields(answer: Answer, account: str) -> dict[bytes, object]:
    """Read a FETCH answer of any shape as {NAME: value}."""
    if len(answer.line) > LINE_LIMIT:
        raise ProtocolViolation(account, "the server sent an endless answer")
    try:
        parsed = parse_response(_records(answer))  # type: ignore[arg-type]  # its own annotation forgets the tuples it takes
        items: tuple[object, ...] = parsed[2]  # type: ignore[assignment]  # anything else fails below
        names = [name.upper() if isinstance(name, bytes) else b"" for name in items[::2]]
        return dict(zip(names, items[1::2], strict=True))
    except (
        IMAPClientError,
        ValueError,
        TypeError,
        IndexError,
        AssertionError,
        RuntimeError,
        AttributeError,
    ):
        raise ProtocolViolation(
            account, f"the server sent an answer about message {answer.number} that cannot be read"
        ) from None  # a library's words repeat what the server sent


def _records(answer: Answer) -> list[bytes | tuple[bytes, bytes]]:
    """Put an answer into the shape imaplib returns it, which is what IMAPClient's parser takes."""
    records: list[bytes | tuple[bytes, bytes]] = [
        (_MARKER.sub(b"{%d}" % len(answer[index + 1]), answer[index]), answer[index + 1])
        for index in range(0, len(answer) - 1, 2)
    ]
    return [*records, answer[-1]]
