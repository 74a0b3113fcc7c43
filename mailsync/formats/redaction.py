"""Secrets taken out of foreign text, in whatever form a server, or a mistyped command line, repeats
them.

A secret is found as it is, in any case, with any of its characters escaped (`\\"`, `%22`, `=22`,
`\\x22`, `&quot;`), in another encoding or normal form, in hexadecimal, and in base64 together with
whatever was encoded with it (SASL PLAIN, LOGIN, XOAUTH2). At the end of a text its beginning
counts, for a server may have cut it. One of fewer than SHORT characters is hidden only where it
stands alone, between no letters or digits: else it would take all text to pieces. Of an access
token, which may have thousands of characters, the first END or the last END are looked for, and
all that hangs together with them is hidden.
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Iterator
from typing import Final
from unicodedata import normalize

MASK: Final = b"***"
SHORT: Final = 4
END: Final = 64
_WINDOW: Final = 8192
"""Octets of a text that are looked at; nobody is shown more."""

_TAIL: Final = b" \t\r\n\"')>]}.,;:!"
_BASE64: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=%")
_TOKEN: Final = re.compile(rf"[0-9A-Za-z+/=_.~-]{{{2 * END},}}")
"""What is long, and has no character that a text could be parted at."""

_JOINED: Final = rb"[^\s\"'<>,;]*"
_ENOUGH: Final = 4
"""Characters of base64 that are hardly a coincidence: what four octets leave of themselves."""

_ENTITIES: Final = {"&": b"amp", "<": b"lt", ">": b"gt", '"': b"quot", "'": b"apos"}
_LETTERS: Final = {
    "\a": b"a",
    "\b": b"b",
    "\t": b"t",
    "\n": b"n",
    "\v": b"v",
    "\f": b"f",
    "\r": b"r",
}
_CODECS: Final = ("utf-8", "latin-1", "cp1252")
_ALONE: Final = (rb"(?<![0-9A-Za-z\x80-\xff])(?:", rb")(?![0-9A-Za-z\x80-\xff])")


_IN_ADDRESS: Final = re.compile(
    r"(?P<before>(?>(?:[^:/@\s]*:/+)?)[^:]*:)(?P<secret>.+)(?P<behind>@)", re.DOTALL
)
"""`alice:SECRET@host`, `imaps://alice:SECRET@host`, `imaps:/alice:SECRET@host`."""


def password_in(address: str) -> str:
    """Return what stands where people write a password into an address or a URL, however mistyped;
    empty when there is none.
    """
    found = _IN_ADDRESS.match(address)
    return found["secret"] if found else ""


def without_password(address: str) -> str:
    """Return an address or a URL with MASK for the password in it."""
    return _IN_ADDRESS.sub(rf"\g<before>{MASK.decode()}\g<behind>", address, count=1)


class Redactor:
    """Knows secrets and takes them out of text; it never tells them, not even in a `repr`.

    Their patterns are made when the first text comes: most runs show no words of a server.
    """

    __slots__ = ("_beginnings", "_coded", "_known", "_longest", "_plain")

    def __init__(self) -> None:
        self._known: frozenset[tuple[str, ...]] = frozenset()
        self._longest = 0
        self._plain: re.Pattern[bytes] | None = None
        self._coded: re.Pattern[bytes] | None = None
        self._beginnings: tuple[bytes, ...] = ()

    def learn(self, secret: str, *framed: str) -> None:
        """Keep `secret` out of every text from now on; `framed` are messages around it that are
        sent in base64. Idempotent; an empty secret is none.
        """
        if not secret.strip() or (secret, *framed) in self._known:
            return
        self._known |= {(secret, *framed)}
        self._plain = None

    def _prepare(self) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
        plain, coded, beginnings = [], [], []
        for one, *frames in self._known:
            for form in _variants(one):
                plain.append(form)
                coded += _inside_base64(form)
                beginnings += [form, form.replace("\\", "\\\\").replace('"', '\\"')]
            for whole in (one, *frames):
                code = base64.b64encode(_octets(whole)).decode().rstrip("=")
                coded.append(_ALONE[0] + _base64_pattern(code) + _ALONE[1])
                beginnings.append(code)
        self._longest = 64 + max(20 * len(_octets("".join(known))) for known in self._known)
        self._beginnings = tuple({_octets(one).lower() for one in beginnings})
        self._coded = re.compile(b"|".join(coded), re.IGNORECASE)
        self._plain = re.compile(
            # Longest first: what is part of another must not leave the rest of that.
            b"|".join(map(_pattern, sorted(plain, key=len, reverse=True))),
            re.IGNORECASE,
        )
        return self._plain, self._coded

    def hide(self, raw: bytes) -> bytes:
        """Return a text with MASK for every secret, cut where nobody reads on: never inside one."""
        if not self._known:
            return raw[:_WINDOW]
        plain, coded = self._plain, self._coded
        if plain is None or coded is None:
            plain, coded = self._prepare()
        seen = raw[: _WINDOW + self._longest]
        parts = []
        position = 0
        for start, end in sorted(_found(seen, plain, coded)):
            if end > position:
                parts += [seen[position : max(position, start)], MASK]
                position = end
        rest = seen[position:]
        if len(seen) < len(raw):
            rest = rest[: -self._longest]
        parts.append(self._without_beginning(rest))
        return b"".join(parts)

    def hidden(self, text: str) -> str:
        """Return the same of a text that is decoded already."""
        return self.hide(_octets(text)).decode("utf-8", "replace")

    def _without_beginning(self, text: bytes) -> bytes:
        """Hide the first half of a secret, or more, that the text ends with."""
        end = text.removesuffix("…".encode()).rstrip(_TAIL).lower()
        for secret in self._beginnings:
            for length in range(len(secret) - 1, max(SHORT, (len(secret) + 1) // 2) - 1, -1):
                if end.endswith(secret[:length]):
                    return text[: len(end) - length] + MASK
        return text


def _found(
    text: bytes, plain: re.Pattern[bytes], coded: re.Pattern[bytes]
) -> Iterator[tuple[int, int]]:
    """Yield where secrets stand; of base64 all that was encoded with them."""
    for match in plain.finditer(text):
        yield match.span()
    for match in coded.finditer(text):
        start, end = match.span()
        while start and text[start - 1] in _BASE64:
            start -= 1
        while end < len(text) and text[end] in _BASE64:
            end += 1
        yield start, end


def _octets(text: str) -> bytes:
    """Encode a text; what the environment gave undecoded goes back to what it was."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _variants(secret: str) -> set[str]:
    """Return a secret as it is, without blanks at its ends, and in Unicode's normal forms; also
    without backslashes there, which what escapes a secret before or behind it may take away.
    """
    whole = {secret, secret.strip()}
    bare = secret.strip("\\ ")
    spelled = whole | {bare} if len(bare) >= SHORT else whole
    return spelled | {
        normalize(form, one) for one in spelled for form in ("NFC", "NFD", "NFKC", "NFKD")
    }


def _pattern(secret: str) -> bytes:
    """Make the pattern of a secret whose every character may be written in any way."""
    if _TOKEN.fullmatch(secret):
        first, last = _pattern(secret[:END]), _pattern(secret[-END:])
        return b"(?:" + first + b")" + _JOINED + b"|" + last
    parts = []
    for run in re.finditer(r"(\\*)([^\x20-\x7e]+|[\x20-\x5b\x5d-\x7e]|$)", secret, re.DOTALL):
        slashes, text = len(run[1]), run[2]
        escaped = rb"\\{%d,%d}" % (slashes, 4 * slashes + 2) if text or slashes else b""
        if slashes and not text:
            escaped = rb"\\{%d,%d}" % (slashes, 4 * slashes)
        if slashes:
            escaped = b"(?:" + escaped + b"|" + _numbers(b"\\" * slashes) + b")"
        whole = b"".join(_character(one) for one in text)
        if text and not " " <= text <= "~" and "?" not in secret:
            # A question mark for each octet that a server cannot show.
            whole = rb"(?:%b|\?{%d})" % (whole, len(_octets(text)))
        parts.append(escaped + whole)
    pattern = b"".join(parts)
    if len(_octets(secret)) >= SHORT:
        pattern += b"|" + _octets(secret).hex().encode()
    return pattern if len(secret) >= SHORT else pattern.join(_ALONE)


def _character(one: str) -> bytes:
    """Make the pattern of one character, which is no backslash, without what escapes it."""
    if one.isascii():
        forms = {one.encode()}
    else:
        forms = {_octets(one), _octets(one).decode("latin-1").encode(), b"?", "\ufffd".encode()}
        for spelling in {one, one.lower(), one.upper(), one.casefold()}:
            for codec in _CODECS:
                forms.add(spelling.encode(codec, "ignore"))
    spelled = [re.escape(form) for form in forms if form]
    spelled += [_numbers(form) for form in forms if form]
    number = ord(one)
    spelled += [rb"&#0*%d;" % number, rb"&#x0*%x;" % number]
    wide = one.encode("utf-16-be", "surrogatepass")
    units = struct.unpack(f">{len(wide) // 2}H", wide)
    spelled.append(b"".join(rb"\\u%04x" % unit for unit in units))
    if one in _LETTERS:
        spelled.append(rb"\\" + _LETTERS[one])
    if one in _ENTITIES:
        spelled.append(b"&" + _ENTITIES[one] + b";")
    if one == " ":
        spelled.append(rb"\+")
    return b"(?:" + b"|".join(spelled) + b")"


def _numbers(octets: bytes) -> bytes:
    """Make the pattern of octets written as numbers: %2F, =2F, \\x2f, \\057."""
    return b"".join(rb"(?:(?:%%|=|\\x)%02x|\\%03o)" % (octet, octet) for octet in octets)


def _inside_base64(secret: str) -> list[bytes]:
    """Return the patterns of a secret inside whatever was encoded, one for each of the three places
    where it can begin.
    """
    found = []
    for octets in {_octets(secret), secret.encode("latin-1", "ignore")}:
        for before in range(3):
            bits = 8 * (before + len(octets))
            code = base64.b64encode(bytes(before) + octets)[-(-8 * before // 6) : bits // 6]
            if len(code) >= _ENOUGH:
                found.append(_base64_pattern(code.decode()))
    return found


def _base64_pattern(code: str) -> bytes:
    escaped = re.escape(code.encode())
    return escaped.replace(rb"\+", b"(?:[+-]|%2b)").replace(b"/", b"(?:[/_]|%2f)")
