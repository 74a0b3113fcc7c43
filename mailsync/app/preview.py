"""A message as a person reads it: its main headers and the beginning of its text.

Shows anything, believes nothing.
"""

from __future__ import annotations

import email
import re
from collections.abc import Iterator
from email.message import Message
from html import unescape
from typing import Final

from mailsync.formats import header
from mailsync.formats.quantities import octets
from mailsync.formats.terminal import plain

HEADERS: Final = (b"from", b"to", b"cc", b"date", b"subject", b"message-id")


def headers(content: bytes) -> dict[str, str]:
    """Return the main headers, decoded, by their usual names."""
    return {
        name.decode().title().replace("-Id", "-ID"): plain(" ".join(header.text(value).split()))
        for name in HEADERS
        if (value := header.first(content, name)) is not None
    }


def text(content: bytes) -> list[str]:
    """Return the lines of the first readable part, safe for a terminal; attachments are named, one
    a line, at the end.

    A message nested deeper than any parser goes is shown as it is written.
    """
    try:
        return _parsed(email.message_from_bytes(content))
    except RecursionError:
        body = content[len(header.block(content)) :].decode("utf-8", "replace")
        return [plain(line) for line in re.split(r"\r\n|\r|\n", body.rstrip())]


def _parsed(message: Message) -> list[str]:
    body: list[str] = []
    attached: list[str] = []
    kinds = {part.get_content_type() for part in message.walk() if not _is_attachment(part)}
    wanted = "text/plain" if "text/plain" in kinds else "text/html"
    for part in message.walk():
        if part.is_multipart():
            continue
        if not body and part.get_content_type() == wanted and not _is_attachment(part):
            body = [plain(line.replace("\t", "    ")) for line in _lines(part)]
        else:
            attached.append(_attachment(part))
    return [*body, *([""] if body and attached else []), *attached]


def _is_attachment(part: Message) -> bool:
    return (part.get_content_disposition() or "") == "attachment"


def _lines(part: Message) -> Iterator[str]:
    written = _decoded(part)
    if part.get_content_type() == "text/html":
        written = re.sub(r"(?is)<(script|style|head)\b.*?</\1\s*>|<!--.*?-->", "", written)
        written = re.sub(r"(?i)<(br|/p|/div|/tr|/li|/h[1-6])\b[^>]*>", "\n", written)
        written = unescape(re.sub(r"(?s)<[^>]*>", "", written))
        written = re.sub(r"\n\s*\n+", "\n\n", written).strip()
    yield from re.split(r"\r\n|\r|\n", written.rstrip())


def _decoded(part: Message) -> str:
    payload = part.get_payload(decode=True)
    raw = payload if isinstance(payload, bytes) else b""
    try:
        return raw.decode(str(part.get_content_charset("utf-8")), "replace")
    except (LookupError, ValueError):
        return raw.decode("latin-1")


def _attachment(part: Message) -> str:
    payload = part.get_payload(decode=True)
    size = octets(len(payload)) if isinstance(payload, bytes) else "?"
    name = plain(" ".join(str(part.get_filename() or "").split()))
    return f"[{plain(part.get_content_type())}{f', {name}' if name else ''}, {size}]"
