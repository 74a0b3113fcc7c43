"""Apple Mail's files of one message each: its length, the message with LF line ends, and a property
list; and messages whose attachments lie in files of their own.

Pure; takes any bytes.
"""

from __future__ import annotations

import base64
import plistlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from xml.parsers.expat import ExpatError

from mailsync.formats import header
from mailsync.model import NO_FLAGS

_FLAGS: Final = (
    (0, "\\Seen"),
    (2, "\\Answered"),
    (4, "\\Flagged"),
    (6, "\\Draft"),
    (8, "$Forwarded"),
)
_DELETED: Final = 1
_COUNT: Final = re.compile(rb"\s*(\d{1,12})[ \t]*\r?\n")
_LIST: Final = b"<?xml "
_LIST_LIMIT: Final = 1024 * 1024
_BOUNDARY: Final = re.compile(
    rb'boundary[ \t]*=[ \t]*(?:"([^"\n]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE
)
_LENGTH: Final = re.compile(rb"(?im)^X-Apple-Content-Length:[ \t]*(\d{1,12})[ \t]*\r?\n")
_DEEPEST: Final = 20
_LINE: Final = 76


@dataclass(frozen=True, slots=True)
class Emlx:
    """A message and what Apple Mail keeps of it; `received` in epoch seconds."""

    content: bytes
    flags: frozenset[str] | None = NO_FLAGS
    received: int | None = None
    deleted: bool = False


def parse(raw: bytes) -> Emlx | None:
    """Read a file; None for one that is none. Where its length is wrong the list at its end tells
    where the message ends.
    """
    count = _COUNT.match(raw)
    if count is None:
        return None
    end = count.end() + int(count[1])
    if not raw[end : end + 64].lstrip().startswith(_LIST):
        found = raw.rfind(_LIST)
        end = found if found > count.end() else min(end, len(raw))
    told = _properties(raw[end : end + _LIST_LIMIT])
    number = told.get("flags")
    received = told.get("date-received")
    bits = number if isinstance(number, int) and number >= 0 else None
    return Emlx(
        raw[count.end() : end],
        None if bits is None else frozenset(flag for bit, flag in _FLAGS if bits >> bit & 1),
        int(received) if isinstance(received, int | float) and 0 < received < 2**40 else None,
        bits is not None and bool(bits >> _DELETED & 1),
    )


def _properties(written: bytes) -> dict[str, object]:
    try:
        read = plistlib.loads(written.strip())
    except (plistlib.InvalidFileException, ExpatError, ValueError, TypeError, AttributeError):
        return {}
    except (OverflowError, IndexError, KeyError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


@dataclass(frozen=True, slots=True)
class Hole:
    """A part whose content lies elsewhere: its number as in IMAP (RFC 9051 section 6.4.5), where
    its header begins and its content belongs, and the octets it has, encoded.
    """

    part: str
    header: int
    place: int
    encoding: bytes
    length: int


@dataclass(frozen=True, slots=True)
class Rejoined:
    """A message with its attachments put back: `proven` where each has just the length it had.
    `missing` are the parts that are nowhere.
    """

    content: bytes
    proven: bool
    missing: tuple[str, ...]


def holes(content: bytes) -> list[Hole]:
    """Return the parts of a message whose content was taken out, in order."""
    return list(_holes(content, 0, len(content), "", 0))


def _holes(content: bytes, start: int, end: int, number: str, depth: int) -> Iterator[Hole]:
    head = header.block(content[start:end])
    body = start + len(head)
    length = _LENGTH.search(head)
    if length is not None and number:
        if not content[body:end].strip():
            encoding = (header.first(head, b"content-transfer-encoding") or b"").strip().lower()
            yield Hole(number, start, body, encoding, int(length[1]))
        return
    kind = (header.first(head, b"content-type") or b"").strip().lower()
    if depth >= _DEEPEST:
        return
    if kind.startswith(b"message/rfc822"):
        yield from _holes(content, body, end, number, depth + 1)
    boundary = _BOUNDARY.search(header.first(head, b"content-type") or b"")
    if not kind.startswith(b"multipart/") or boundary is None:
        return
    for index, (begin, stop) in enumerate(
        _parts(content, body, end, boundary[1] or boundary[2]), 1
    ):
        own = f"{number}.{index}" if number else str(index)
        yield from _holes(content, begin, stop, own, depth + 1)


def _parts(content: bytes, start: int, end: int, boundary: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the parts between the lines of a boundary begin and end (RFC 2046)."""
    line = re.compile(rb"(?m)(?:\A|\n)--" + re.escape(boundary) + rb"(--)?[ \t]*\r?(?:\n|\Z)")
    at = None
    for found in line.finditer(content, max(0, start - 1), end):
        if at is not None:
            yield at, max(at, found.start())
        if found[1]:
            return
        # The line end of one boundary may begin the next.
        at = found.end()


def rejoin(content: bytes, bring: Callable[[str], bytes | None]) -> Rejoined:
    """Put attachments back where they were; `bring` returns the one of a part, or None."""
    pieces: list[bytes] = []
    missing: list[str] = []
    at = 0
    proven = True
    for hole in holes(content):
        attachment = bring(hole.part)
        if attachment is None:
            missing.append(hole.part)
            continue
        encoded = _encoded(attachment, hole.encoding)
        proven = proven and len(encoded) == hole.length
        head = _LENGTH.sub(b"", content[hole.header : hole.place])
        pieces += [content[at : hole.header], head, encoded]
        at = hole.place
    pieces.append(content[at:])
    return Rejoined(b"".join(pieces), proven and not missing, tuple(missing))


def _encoded(attachment: bytes, encoding: bytes) -> bytes:
    if encoding == b"base64":
        text = base64.b64encode(attachment)
        return b"\n".join(text[at : at + _LINE] for at in range(0, len(text), _LINE))
    if encoding == b"quoted-printable":
        import quopri  # noqa: PLC0415  rarely needed

        return quopri.encodestring(attachment.replace(b"\r\n", b"\n"))
    return attachment.replace(b"\r\n", b"\n")
