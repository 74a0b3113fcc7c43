"""What mail programs write into the header of a message in their own files: what was read, and
what else they keep in mind of it. Taken off again, and read as flags.

Pure; takes any bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from mailsync.formats import header
from mailsync.model import NO_FLAGS

_STATUS: Final = {"R": "\\Seen"}
_X_STATUS: Final = {"A": "\\Answered", "F": "\\Flagged", "T": "\\Draft"}
_MOZILLA: Final = (
    (0x0001, "\\Seen"),
    (0x0002, "\\Answered"),
    (0x0004, "\\Flagged"),
    (0x1000, "$Forwarded"),
)
DELETED: Final = 0x0008
PARTIAL: Final = 0x0400

_MARKS: Final = frozenset(b"status x-status x-keywords x-imap x-imapbase x-uid".split())
"""Fields that a program keeps up to date in its own file, wherever in the header they stand. They
say nothing but flags.
"""

_LABELS: Final = b"x-gmail-labels"
_MOZILLA_STATUS: Final = b"x-mozilla-status"
_IN_FRONT: Final = frozenset(
    (
        b"x-mozilla-status x-mozilla-status2 x-mozilla-keys x-account-key x-uidl x-gm-thrid"
        b" x-gmail-labels"
    ).split()
)
"""Fields that Thunderbird writes in front of what a POP3 server sent, and Google in front of what
it exports, each once; behind that they are the message's own, and any sender may have written them.
"""

_LINE: Final = re.compile(rb"([!-9;-~]{1,76})[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*")
_INTERNAL: Final = b"DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA"
_INTERNAL_SENDERS: Final = (b"Mail System Internal Data", b"MAILER-DAEMON")
_HEX: Final = re.compile(rb"\s*([0-9a-fA-F]{1,8})\s*")


@dataclass(frozen=True, slots=True)
class Marks:
    """What was written about a message: its flags; `told`, whether anything was.

    `by_mozilla`: Thunderbird wrote it, if it wrote the file; then `deleted` says that it waits to
    be removed from there, `partial` that the file does not hold all of it. `internal`: it looks
    like notes of the program itself, which stand first in a file. `labels` are Gmail's, as they are
    written.
    """

    flags: frozenset[str] = NO_FLAGS
    told: bool = False
    by_mozilla: bool = False
    deleted: bool = False
    partial: bool = False
    internal: bool = False
    labels: bytes = b""


def take_off(content: bytes) -> tuple[bytes, Marks]:
    """Return a message without what a mail program wrote into its header, and what that says."""
    block = header.block(content)
    kept: list[bytes] = []
    found: dict[bytes, bytes] = {}
    at, in_front = 0, True
    while (line := _LINE.match(block, at)) is not None:
        name = line[1].lower()
        in_front = in_front and name in _IN_FRONT and name not in found
        if in_front or name in _MARKS:
            found.setdefault(name, line[0].partition(b":")[2])
        else:
            kept.append(line[0])
        at = line.end()
    if not found:
        return content, Marks()
    return b"".join((*kept, block[at:], content[len(block) :])), _read(found, block)


def _read(found: dict[bytes, bytes], block: bytes) -> Marks:
    bits = _HEX.fullmatch(found.get(_MOZILLA_STATUS, b""))
    number = int(bits[1], 16) if bits else 0
    flags = {flag for bit, flag in _MOZILLA if number & bit}
    for name, letters in ((b"status", _STATUS), (b"x-status", _X_STATUS)):
        written = found.get(name, b"").decode("ascii", "replace")
        flags |= {flag for letter, flag in letters.items() if letter in written}
    for name in (b"x-keywords", b"x-mozilla-keys"):
        flags |= set(keywords(found.get(name, b"")))
    told = not found.keys().isdisjoint({b"status", b"x-status", _MOZILLA_STATUS})
    imap = not found.keys().isdisjoint({b"x-imap", b"x-imapbase"})
    subject, sender = (header.first(block, name) or b"" for name in (b"subject", b"from"))
    is_own = any(one in sender for one in _INTERNAL_SENDERS)
    internal = imap and is_own and subject.strip() == _INTERNAL
    return Marks(
        frozenset(flags),
        told,
        by_mozilla=_MOZILLA_STATUS in found,
        deleted=bool(number & DELETED),
        partial=bool(number & PARTIAL),
        internal=internal,
        labels=found.get(_LABELS, b""),
    )


def keywords(written: bytes) -> list[str]:
    """Return keywords that IMAP can carry (RFC 9051 section 9, atoms), of a list parted by
    blanks.
    """
    words = written.decode("utf-8", "replace").replace(",", " ").split()
    return [word for word in words if _is_atom(word)]


def _is_atom(word: str) -> bool:
    return word.isascii() and word.isprintable() and not set(word) & set('(){}%*"\\]')
