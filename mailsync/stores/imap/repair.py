"""A copy of a refused message that a person would call the same message, and what was changed in
it. Pure.

Only made after a server refused the message as it is (RFC 9051 section 6.3.12 lets it); the archive
keeps the original.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from typing import Final

from mailsync.identity import TRACE_FIELDS
from mailsync.stores.imap.repair_header import HIGH, ascii_field, charset_of
from mailsync.stores.imap.repair_lines import LINE_LIMIT, TOO_LONG, ends_clean, folded
from mailsync.stores.imap.repair_parts import Mending, first, needs_mending

__all__ = ["LINE_LIMIT", "MARK", "looks_odd", "repaired"]

MARK: Final = b"X-Mailsync-Repaired"
"""The field by which a repaired copy is known again: it names the SHA-256 of the original."""

_FIELD: Final = re.compile(rb"([!-9;-~\x80-\xff]{1,900})([ \t]*):")
"""A field's name and colon must fit into one line; whatever is longer is none."""

_CR: Final = re.compile(rb"\r+")
_HIGH_NAME: Final = bytes(range(128)) + b"X" * 128
_NAME_LIMIT: Final = 900
_HINT: Final = 20_000
"""Octets of a body in which the charset of its writer is looked for."""

_ENDS: Final = "line ends were made CRLF"
_NULS: Final = "NUL octets were replaced"
_MBOX: Final = (b"From ", b">From ")
_PREFIXES: Final = (b"x-", b"list-", b"resent-", b"content-", b"arc-")
_ONCE: Final = frozenset(
    b"from date subject sender reply-to to cc bcc message-id in-reply-to references mime-version"
    b" content-type content-transfer-encoding content-disposition return-path".split()
)
_KNOWN: Final = (
    TRACE_FIELDS
    | _ONCE
    | frozenset(
        b"comments keywords organization priority importance precedence sensitivity thread-topic"
        b" thread-index user-agent errors-to disposition-notification-to auto-submitted autocrypt"
        b" newsgroups path xref followup-to encoding".split()
    )
)


def repaired(content: bytes) -> tuple[bytes, str] | None:
    """Return a copy that any server should take, and a sentence about what was changed; None when
    there is nothing to mend.
    """
    changes: list[str] = []
    fields, body = _mended(content, changes)
    if not changes:
        return None
    # The first such field counts: a message may be a repaired copy already.
    mark = b"%s: %s\r\n" % (MARK, hashlib.sha256(content).hexdigest().encode("ascii"))
    return mark + b"".join(fields) + b"\r\n" + body, "sent as a repaired copy: " + ", ".join(
        dict.fromkeys(changes)
    )


def looks_odd(content: bytes) -> bool:
    """Return whether a strict server may refuse a message that a lenient one takes."""
    changes: list[str] = []
    _mended(content, changes)
    return bool(changes)


def _mended(content: bytes, changes: list[str]) -> tuple[list[bytes], bytes]:
    """Return the header fields, each with its line end, and the body; `changes` learns what was
    done.
    """
    if not content.strip():
        changes.append("it was empty and got a subject")
        return [b"Subject: (empty message)\r\n"], b""
    unix = b"\r\n" not in content
    if b"\n" not in content and b"\r" in content:
        # As old Macintoshes ended their lines.
        content = content.replace(b"\r", b"\r\n")
        changes.append(_ENDS)
    lines, body = _parted(content, changes)
    raw = [_readable(field, changes) for field in _unfolded(lines, changes)]
    charset = charset_of(first(raw, b"content-type") + b"\n" + body[:_HINT])
    fields = [_ascii(field, charset, changes) + b"\r\n" for field in raw]
    if not fields:
        changes.append("it had no header and got a subject")
        fields.append(b"Subject: (no header)\r\n")
    # A boundary that could not stay as it is changes in both places.
    renamed = _NULS in changes or HIGH.search(first(raw, b"content-type"))
    if renamed or needs_mending(body):
        count = len(fields)
        coded = list(fields)
        body = Mending(changes, unix=unix).entity(coded, body)
        if coded != fields and not first(coded, b"mime-version"):
            coded.insert(count, b"MIME-Version: 1.0\r\n")
        fields = coded
    return fields, body


def _parted(content: bytes, changes: list[str]) -> tuple[list[bytes], bytes]:
    """Split the lines of the header, without their line ends, and the body.

    The header ends at the first blank line. Where there is none, or lines that are no fields stand
    before it, it ends where no more fields come that every reader knows. Text without any such
    field is all body.
    """
    lines, starts, position = _lines(content)
    blank = content.find(b"\n", position) + 1 if position < len(content) else 0
    end, start = len(lines), blank or len(content)
    if not blank or not all(_in_header(number, line) for number, line in enumerate(lines)):
        end = _header_end(lines)
        after = next(
            (number for number in range(end, len(lines)) if lines[number].strip(b" \t")), len(lines)
        )
        if after < len(lines):
            start = starts[after] if end else 0
        if not blank or after < len(lines):
            changes.append("a blank line was put after the header")
    if not ends_clean(content[:start]):
        changes.append(_ENDS)
    if b"\0" in content[:start]:
        changes.append(_NULS)
    return lines[:end], content[start:]


def _lines(content: bytes) -> tuple[list[bytes], list[int], int]:
    """Return the lines before the first blank one, where they begin, and where the blank one does
    (at the end where there is none).
    """
    lines: list[bytes] = []
    starts: list[int] = []
    position = 0
    while position < len(content):
        until = content.find(b"\n", position) + 1 or len(content)
        line = content[position:until].strip(b"\r\n").replace(b"\0", b"?")
        if not line:
            break
        lines.append(line)
        starts.append(position)
        position = until
    return lines, starts, position


def _in_header(number: int, line: bytes) -> bool:
    """Return whether a line may stand in a header: a field, a folded line, a nameless field, an
    mbox "From " line at the top.
    """
    if line[:1] in {b" ", b"\t"}:
        return number > 0 or not line.strip(b" \t")
    return (
        line.startswith(b":")
        or _FIELD.match(line) is not None
        or (number == 0 and line.startswith(_MBOX))
    )


def _header_end(lines: list[bytes]) -> int:
    """Return how many lines are the header's where no reader can be sure.

    Rubbish between fields is the header's when at least as many fields follow it that every reader
    knows; whatever else is no field begins the body, and so does what follows a line of blanks
    after the last such field.
    """
    known = _known(lines)
    if not known:
        return 0
    strange = [
        number for number, line in enumerate(lines[: known[-1]]) if not _in_header(number, line)
    ]
    for place, number in enumerate(strange):
        if len(strange) - place > len(known) - bisect_right(known, number):
            return number
    for number in range(known[-1] + 1, len(lines)):
        line = lines[number]
        following = lines[number + 1][:1] if number + 1 < len(lines) else b""
        if not _in_header(number, line) or (
            not line.strip(b" \t") and following not in {b" ", b"\t"}
        ):
            return number
    return len(lines)


def _known(lines: list[bytes]) -> list[int]:
    """Return which lines are fields that every reader knows; what is unique counts once."""
    seen: set[bytes] = set()
    known: list[int] = []
    for number, line in enumerate(lines):
        found = _FIELD.match(line)
        name = found[1].lower() if found else b""
        if name not in seen and (name in _KNOWN or name.startswith(_PREFIXES)):
            known.append(number)
            if name in _ONCE:
                seen.add(name)
    return known


def _unfolded(lines: list[bytes], changes: list[str]) -> list[bytes]:
    """Make fields of lines, folded ones and all, without the last line end; lines of blanks are
    left out.
    """
    fields: list[list[bytes]] = []
    for whole in lines:
        # A CR on its own ends a line for many readers; where what follows could not begin one, it
        # is a blank.
        for line in _CR.sub(_line_end, whole).split(b"\n"):
            if not line.strip(b" \t"):
                changes.append("header lines of nothing but blanks were left out")
            elif line[:1] in {b" ", b"\t"} and fields:
                fields[-1].append(line)
            else:
                fields.append([line])
    return [b"\r\n".join(field) for field in fields]


def _line_end(found: re.Match[bytes]) -> bytes:
    rest = found.string[found.end() : found.end() + _NAME_LIMIT]
    folds = rest[:1] in {b" ", b"\t"} and rest.strip(b" \t")
    return b"\n" if folds or _FIELD.match(rest) else b" "


def _readable(raw: bytes, changes: list[str]) -> bytes:
    """Make one field of whatever it is."""
    found = _FIELD.match(raw)
    if found is None:
        changes.append("header lines that are no fields were renamed")
        return b"X-Unreadable: " + raw.strip()
    if found[2]:
        changes.append("white space before colons was taken away")
    return found[1].translate(_HIGH_NAME) + raw[found.end() - 1 :]


def _ascii(raw: bytes, charset: str, changes: list[str]) -> bytes:
    """Write one field, given without its last line end, as ASCII and in lines that are not too
    long.
    """
    if HIGH.search(raw):
        changes.append("8-bit characters in the header were encoded")
        raw = ascii_field(raw, charset)
    if TOO_LONG.search(raw):
        changes.append("long header lines were folded")
        raw = folded(ascii_field(raw, charset))
    return raw
