"""A message of the archive in a line, or in as many as a narrow terminal needs."""

from __future__ import annotations

from typing import Final

from mailsync.formats.quantities import moment, octets
from mailsync.formats.terminal import padded, short
from mailsync.model import ArchivedMessage

DIGEST_SHOWN: Final = 12
WIDE: Final = 110
"""Columns that one line a message wants."""
_MARKS: Final = (
    ("\\Seen", "S"),
    ("\\Answered", "A"),
    ("\\Flagged", "F"),
    ("\\Draft", "D"),
    ("\\Deleted", "T"),
)
_WHO: Final = 30


def marks(message: ArchivedMessage) -> str:
    """Return the flags of a message as letters, and an x for one that is gone."""
    return "".join(mark if flag in message.flags else "-" for flag, mark in _MARKS) + (
        "x" if message.gone else "-"
    )


def lines_of(message: ArchivedMessage, width: int | None) -> list[str]:
    """Return a message in one line where there is no terminal, or a wide one; else in lines that
    fit into `width` columns.
    """
    known = (
        f"{message.digest.hex()[:DIGEST_SHOWN]}  {moment(message.internaldate)}  {marks(message)}"
    )
    size, who = octets(message.size), " ".join(message.sender.split())
    subject = message.subject or "(no subject)"
    if width is None or width >= WIDE:
        line = f"{known}  {size:>8}  {padded(short(who, _WHO), _WHO)}  "
        return [line + short(subject, 90 if width is None else max(20, width - len(line)))]
    indent = "  "
    if width < len(known) + 2 + len(size) + _WHO // 2:
        return [
            known[: max(width, DIGEST_SHOWN)],
            indent + short(f"{size}  {who}", max(10, width - len(indent))),
            indent + short(subject, max(10, width - len(indent))),
        ]
    line = f"{known}  {size:>8}  "
    return [line + short(who, width - len(line)), indent + short(subject, width - len(indent))]
