"""POP3 responses as they stand on the line: status, prompt, multi-line with its dots unstuffed (RFC
1939 section 3). Knows no command.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from mailsync.formats.redaction import Redactor
from mailsync.stores.refusals import Refusal
from mailsync.stores.server_words import judged, shown
from mailsync.stores.transport import Connection

_CODE: Final = re.compile(r"\[([A-Za-z/-]+)\]")


class Status(NamedTuple):
    """A status line: whether it is +OK, and its words, as the server sent them."""

    ok: bool
    words: bytes


def status_of(line: bytes) -> Status | None:
    """Read a status line, in any case; None when it is none."""
    word = line[:4].rstrip().upper()
    if word == b"-ERR":
        return Status(ok=False, words=line[4:])
    if word[:3] == b"+OK":
        return Status(ok=True, words=line[3:])
    return None


def is_prompt(line: bytes) -> bool:
    """Return whether the server asks for more of a SASL exchange (RFC 5034 section 4)."""
    return line.rstrip() == b"+" or line.startswith(b"+ ")


def read_multiline(connection: Connection, limit: int) -> bytes:
    """Read what follows a status line exactly, up to the lone dot: the last line end is kept.

    Raises ProtocolViolation when more than `limit` octets come.
    """
    if connection.peek(2) == b".\r" and connection.peek(3) == b".\r\n":
        connection.read(3)
        return b""
    return unstuffed(connection.read_until(b"\r\n.\r\n", keep=2, limit=limit))


def ends_in_line_feeds(connection: Connection) -> bool:
    """Return whether an answer lies there that has nothing but bare LF for line ends."""
    answer, end, _ = connection.peek(connection.buffered).partition(b"\n.\n")
    return bool(end) and b"\r\n" not in answer


def read_line_feeds(connection: Connection, limit: int) -> bytes:
    """Read what `read_multiline` does from a server that ends lines with LF; where that holds for
    all of them, CRLF is meant (RFC 1939 section 3).

    Raises ProtocolViolation when more than `limit` octets come.
    """
    lines: list[bytes] = []
    while (line := connection.readline(limit)).rstrip(b"\r\n") != b".":
        lines.append(line[1:] if line.startswith(b"..") else line)
        limit -= len(line)
    content = b"".join(lines)
    return content if b"\r" in content else content.replace(b"\n", b"\r\n")


def unstuffed(data: bytes) -> bytes:
    """Take off the dots that were put before lines that begin with one.

    Only doubled dots are unstuffed: a server that forgets to double a single one must not lose it.
    """
    if data.startswith(b".."):
        data = data[1:]
    return data.replace(b"\r\n..", b"\r\n.")


def refusal_of(words: bytes, redactor: Redactor) -> Refusal:
    """Read the response code in a server's words (RFC 2449 section 8)."""
    said = judged(words)
    found = _CODE.search(said)
    return Refusal(found[1].upper() if found else "", said, shown(words, redactor))
