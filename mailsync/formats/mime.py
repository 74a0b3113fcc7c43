"""What the parts of a message hold, whatever encoding they travel in (RFC 2045).

Some servers take messages apart and write them anew: other boundaries, other encodings, the same
words and files.
"""

from __future__ import annotations

import hashlib
from email import message_from_bytes
from email.errors import MessageError
from typing import Final

_WORK: Final = 20_000_000
"""The parser asks each line for each boundary; a message that makes more of that is not read."""


def parts_digest(content: bytes) -> bytes:
    """Return 16 octets, equal for messages whose parts hold the same; how much white space stands
    between the words of a text, and in which charset, does not count. Empty where nothing can be
    read, or nothing is there.
    """
    if content.lower().count(b"boundary") * content.count(b"\n") > _WORK:
        return b""
    found = hashlib.sha256()
    some = False
    try:
        for part in message_from_bytes(content).walk():
            if part.is_multipart():
                continue
            payload = part.get_payload(decode=True)
            held = payload if isinstance(payload, bytes) else b""
            if part.get_content_maintype() == "text":
                held = _words(held, part.get_content_charset("utf-8"))
            some = some or bool(held)
            found.update(hashlib.sha256(held).digest())
    except (MessageError, ValueError, LookupError, AssertionError, RecursionError):
        return b""
    return found.digest()[:16] if some else b""


def _words(text: bytes, charset: str) -> bytes:
    try:
        said = text.decode(charset)
    except (LookupError, ValueError):
        said = text.decode("latin-1")
    return " ".join(said.split()).encode("utf-8", "surrogatepass")
