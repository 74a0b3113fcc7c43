"""What a message of the archive and one seen on a destination must have in common before a header
alone may vouch for a body. Pure.

A header that is there is no delivery: earlier tools left headers without bodies, and anybody can
send a header he has seen. So the size of the body must be one that a server may give ours, and the
way it travelled must be ours, or bodies are compared.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from itertools import product
from typing import Final

from mailsync.formats import header

_SPACE: Final = re.compile(rb"[ \t\r\n]+")
_HIGH: Final = bytes(range(128)) + b"X" * 128
_MARK: Final = 8
"""Octets of what tells one value of a field from another."""


@dataclass(frozen=True, slots=True)
class HeaderTraits:
    """What a header block tells besides its presence key.

    `octets` and `lines` (its CRLFs) are its length. `route` are marks of its Received lines, in
    order, each of 8 octets; `date` and `subject` are marks too, empty where there is no such field.
    """

    octets: int = 0
    lines: int = 0
    route: bytes = b""
    date: bytes = b""
    subject: bytes = b""

    @property
    def newest(self) -> bytes:
        """The Received line that was added last: no sender can know it beforehand."""
        return self.route[:_MARK]

    def travelled(self, mark: bytes) -> bool:
        """Return whether this Received line is among its own."""
        return any(
            self.route[start : start + _MARK] == mark for start in range(0, len(self.route), _MARK)
        )


def traits_of(block: bytes) -> HeaderTraits:
    """Read a header block."""
    route: list[bytes] = []
    first: dict[bytes, bytes] = {}
    for name, value in header.fields(block):
        if name == b"received":
            route.append(_mark(value))
        elif name in {b"date", b"subject"}:
            first.setdefault(name, _mark(value))
    return HeaderTraits(
        len(block),
        block.count(b"\r\n"),
        b"".join(route),
        first.get(b"date", b""),
        first.get(b"subject", b""),
    )


def _mark(value: bytes) -> bytes:
    said = _SPACE.sub(b"", value).translate(_HIGH)
    return hashlib.sha256(said).digest()[:_MARK] if said else b""


def sizes(octets: bytes, widths: tuple[int, ...] = (1, 2)) -> frozenset[int]:
    """Return how long these octets may be where a server stores them, or says it does.

    Line ends of one or two octets (`widths`), bare CR dropped, kept or made a line end, NUL dropped
    or kept, a last line end added or taken away.
    """
    lines, returns, nul = octets.count(b"\n"), octets.count(b"\r"), octets.count(b"\0")
    bare = returns - octets.count(b"\r\n")
    text = len(octets) - lines - returns
    trailing = len(octets) - len(octets.rstrip(b"\r\n"))
    last = octets.count(b"\n", len(octets) - trailing) if trailing else 0
    found: set[int] = set()
    if len(widths) > 1:
        # As they are, line ends may be mixed.
        found = {len(octets) - trailing, len(octets) - trailing - nul}
        found |= {len(octets) + more - gone for more, gone in product((0, 1, 2), (0, nul))}
    for width, kept, gone in product(widths, (0, 1, 2) if bare else (0,), (0, nul)):
        size = text + lines * width + bare * kept - gone
        found |= {size, size + width, size - min(last, 1) * width, size - last * width}
    return frozenset(found)


def size_fits(content: bytes, told: int | None, seen: HeaderTraits) -> bool:
    """Return whether a destination's message with this header and this size may have our body.

    Its header is taken off as it was seen, since servers add to headers. Without a blank line there
    is no body to speak of, so that nothing is said by its size.
    """
    block = header.block(content)
    if told is None or not block.endswith((b"\n\n", b"\r\n\r\n")):
        return False
    body = content[len(block) :]
    if told - seen.octets in sizes(body):
        return True
    # A server may count line ends as one octet although it sends two: all of them, or a body longer
    # by as many octets as the header has lines would fit.
    return told - (seen.octets - seen.lines) in sizes(body, (1,))


def same_way(ours: HeaderTraits, seen: HeaderTraits) -> bool:
    """Return whether a header seen on a destination came the way ours did; a message that nobody
    delivered has none.
    """
    return seen.travelled(ours.newest) if ours.route else True
