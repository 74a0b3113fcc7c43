"""Names that messages give to their attachments, made harmless for a directory of one's own."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from mailsync.formats.terminal import plain

LONGEST: Final = 150
"""Octets of a name: many file systems take 255, and a number may be added."""
_RESERVED: Final = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
_FORBIDDEN: Final = re.compile(r'[/\\:*?"<>|]')


def safe(name: str, instead: str) -> str:
    """Return a name that is one component of a path on any system, hides nothing and names no
    device; `instead` where nothing is left of it.

    A path keeps its last part; what could steer a terminal, or turn the reading direction, goes.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    text = _FORBIDDEN.sub("_", plain(" ".join(last.split()), "_")).strip(" .")
    text = _cut(text)
    if not text:
        return instead
    return f"_{text}" if _RESERVED.fullmatch(text) else text


def numbered(name: str, number: int) -> str:
    """Return the name for the `number`-th file called so: `invoice (2).pdf`; the first one keeps
    it.
    """
    if number < 2:
        return name
    stem, dot, ending = name.rpartition(".")
    return f"{stem} ({number}).{ending}" if dot and stem else f"{name} ({number})"


def _cut(name: str) -> str:
    """Shorten a name that is too long; its ending stays."""
    if len(name.encode()) <= LONGEST:
        return name
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending.encode()) > LONGEST // 4:
        stem, dot, ending = name, "", ""
    room = LONGEST - len(f"{dot}{ending}".encode())
    return stem.encode()[:room].decode("utf-8", "ignore").rstrip(" .") + dot + ending
