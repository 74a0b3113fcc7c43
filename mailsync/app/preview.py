"""A message as a person reads it: its main headers, its text, where its links lead, and what is
attached.

Shows anything, believes nothing.
"""

from __future__ import annotations

import email
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from typing import Final

from mailsync.formats import header, html_text
from mailsync.formats.file_names import safe
from mailsync.formats.terminal import plain

HEADERS: Final = (b"from", b"to", b"cc", b"date", b"subject", b"message-id")


@dataclass(frozen=True, slots=True)
class Attachment:
    """What a message carries beside its text; `name` is safe for a file, `kind` as `image/png`."""

    name: str
    kind: str
    content: bytes = field(repr=False)


@dataclass(slots=True)
class Reading:
    """The lines of a message's text, in which `[1]` stands behind words that lead to the first of
    `links`, and its attachments; all of it safe for a terminal.
    """

    lines: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)


def headers(content: bytes) -> dict[str, str]:
    """Return the main headers, decoded, by their usual names."""
    return {
        name.decode().title().replace("-Id", "-ID"): plain(" ".join(header.text(value).split()))
        for name in HEADERS
        if (value := header.first(content, name)) is not None
    }


def read(content: bytes) -> Reading:
    """Return what a message says and carries.

    A message nested deeper than any parser goes is shown as it is written.
    """
    reading = Reading()
    try:
        for part, is_text in _parts(email.message_from_bytes(content)):
            if is_text:
                _take_text(part, reading)
            else:
                reading.attachments.append(_attached(part, len(reading.attachments) + 1))
    except RecursionError:
        body = content[len(header.block(content)) :].decode("utf-8", "replace")
        return Reading([plain(line) for line in _split(body)])
    return reading


def _parts(message: Message) -> Iterator[tuple[Message, bool]]:
    """Yield the parts that are no containers, each with whether it is text to read: of several
    forms of the same text the plainest one that says anything is, and the others are left out.
    """
    if message.get_content_type() == "multipart/alternative" and _children(message):
        yield from _best(_children(message))
    elif _children(message):
        for part in _children(message):
            yield from _parts(part)
    else:
        yield message, _is_text(message)


def _best(forms: list[Message]) -> Iterator[tuple[Message, bool]]:
    """Yield what one of several forms of the same text holds, and what is no text in the others."""
    found = [list(_parts(form)) for form in forms]
    readable = [
        (index, {part.get_content_type() for part, is_text in parts if is_text and _says(part)})
        for index, parts in enumerate(found)
    ]
    plainest = min(readable, key=lambda one: ("text/plain" not in one[1], not one[1]))[0]
    for index, parts in enumerate(found):
        for part, is_text in parts:
            if index == plainest or not is_text:
                yield part, is_text


def _children(message: Message) -> list[Message]:
    """Return the parts of a container; a message within a message is one attachment."""
    payload = message.get_payload()
    if message.get_content_maintype() != "multipart" or not isinstance(payload, list):
        return []
    return [part for part in payload if isinstance(part, Message)]


def _is_text(part: Message) -> bool:
    named = bool(part.get_filename())
    aside = (part.get_content_disposition() or "") == "attachment"
    return part.get_content_type() in {"text/plain", "text/html"} and not (aside or named)


def _says(part: Message) -> bool:
    return bool(_octets(part).strip())


def _take_text(part: Message, reading: Reading) -> None:
    """Add the lines of a text part; the marks of its links go on counting."""
    written = _decoded(part)
    if part.get_content_type() == "text/html":
        found = html_text.read(written, first=len(reading.links) + 1)
        lines = found.lines
        reading.links += [plain(link, "") for link in found.links]
    else:
        lines = _split(written)
    if reading.lines and lines:
        reading.lines.append("")
    reading.lines += [plain(line.replace("\t", "    ")) for line in lines]


def _split(text: str) -> list[str]:
    return re.split(r"\r\n|\r|\n", text.rstrip()) if text.strip() else []


def _decoded(part: Message) -> str:
    raw = _octets(part)
    try:
        return raw.decode(str(part.get_content_charset("utf-8")), "replace")
    except (LookupError, ValueError):
        return raw.decode("latin-1")


def _attached(part: Message, number: int) -> Attachment:
    kind = plain(part.get_content_type())
    ending = _ENDINGS.get(kind, "bin")
    subject = _subject(part) if kind == "message/rfc822" else ""
    given = header.text(str(part.get_filename() or "").encode("utf-8", "replace"))
    name = safe(given or (f"{subject}.eml" if subject else ""), f"attachment {number}.{ending}")
    return Attachment(name, kind, _octets(part))


_ENDINGS: Final = {
    "text/plain": "txt",
    "text/html": "html",
    "text/calendar": "ics",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "application/pdf": "pdf",
    "message/rfc822": "eml",
    "message/delivery-status": "txt",
}


def _subject(part: Message) -> str:
    payload = part.get_payload()
    inner = payload[0] if isinstance(payload, list) and payload else None
    if not isinstance(inner, Message):
        return ""
    return header.text(str(inner.get("subject", "")).encode("utf-8", "replace"))


def _octets(part: Message) -> bytes:
    """Return what a part holds, decoded; of a message within the message, its own octets."""
    payload = part.get_payload(decode=True)
    if isinstance(payload, bytes):
        return payload
    inner = part.get_payload()
    if isinstance(inner, list):
        return b"\n".join(one.as_bytes() for one in inner if isinstance(one, Message))
    return b""
