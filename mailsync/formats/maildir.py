"""Names of files in a Maildir, and Dovecot's keyword file.

A base name is `<INTERNALDATE epoch>.<first 32 hex of SHA-256>[.<copy>].mailsync,S=<octets>`; behind
it come a separator (`:` or `!`), `2,` and flag letters, which other programs may change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

DIGEST_SHOWN: Final = 16
"""Octets of the digest that a name holds."""

KEYWORD_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"

_LETTER_OF: Final = {
    "\\Draft": "D",
    "\\Flagged": "F",
    "\\Answered": "R",
    "\\Seen": "S",
    "\\Deleted": "T",
    "$Forwarded": "P",
}
_FLAG_OF: Final = {letter: flag for flag, letter in _LETTER_OF.items()}
_BASE: Final = re.compile(
    r"(-?[0-9]{1,20})\.([0-9a-f]{32})(?:\.([0-9]{1,20}))?\.mailsync,S=([0-9]{1,20})"
)
_SUFFIX: Final = re.compile(r"[:!]2,")


@dataclass(frozen=True, slots=True)
class MaildirName:
    """What a base name says: `internaldate` in epoch seconds, the digest's first 16 octets, the
    copy number, the size in octets.
    """

    internaldate: int
    digest_prefix: bytes
    copy: int
    size: int


def name(internaldate: int, digest: bytes, size: int, copy: int = 1) -> str:
    """Make a base name."""
    number = f".{copy}" if copy > 1 else ""
    return f"{internaldate}.{digest[:DIGEST_SHOWN].hex()}{number}.mailsync,S={size}"


def parse(base: str) -> MaildirName | None:
    """Read a base name of ours; None for any other."""
    found = _BASE.fullmatch(base)
    if not found:
        return None
    return MaildirName(int(found[1]), bytes.fromhex(found[2]), int(found[3] or 1), int(found[4]))


def with_flags(
    base: str, flags: frozenset[str], keywords: Mapping[str, str], separator: str = ":"
) -> str:
    """Make a file name; `keywords` returns the letters of keywords, those without a letter are left
    out.

    `$Forwarded` is `P` in Maildir's own words and may have a letter of its own as well: Dovecot
    knows only that.
    """
    letters = {
        letter for flag in flags for known in (_LETTER_OF, keywords) if (letter := known.get(flag))
    }
    return f"{base}{separator}2,{''.join(sorted(letters))}"


def split(filename: str) -> tuple[str, str]:
    """Split a file name into base name and flag letters, whatever the separator; no suffix means no
    flags.
    """
    found = _SUFFIX.search(filename)
    return (filename[: found.start()], filename[found.end() :]) if found else (filename, "")


def flags_of(letters: str, keywords: Mapping[str, str]) -> frozenset[str]:
    """Turn flag letters into flags; `keywords` maps letter to keyword, unknown letters are passed
    over.
    """
    return frozenset(
        flag for letter in letters if (flag := _FLAG_OF.get(letter) or keywords.get(letter))
    )


def parse_keywords(content: bytes) -> dict[str, str]:
    """Read a `dovecot-keywords` file: lines of `<number> <keyword>`; returns letter to keyword."""
    found: dict[str, str] = {}
    for line in content.decode("utf-8", "replace").split("\n"):
        number, _, keyword = line.removesuffix("\r").partition(" ")
        if (
            keyword
            and number.isascii()
            and number.isdigit()
            and len(number) < 3
            and int(number) < len(KEYWORD_LETTERS)
        ):
            found[KEYWORD_LETTERS[int(number)]] = keyword
    return found


def format_keywords(keywords: Mapping[str, str]) -> bytes:
    """Write a `dovecot-keywords` file from letter to keyword."""
    lines = (
        f"{KEYWORD_LETTERS.index(letter)} {keyword}\n"
        for letter, keyword in sorted(keywords.items())
    )
    return "".join(lines).encode()
