"""mboxrd, reversibly: messages in one file that any mail program opens, each with a line of ours
that gives its bytes back exactly.

A message stands as `From ` line, our header `X-Mailsync`, the message, and an empty line. Lines of
the message that begin with `From `, or with `>`s and `From `, have one `>` more (the standard
library's quoting cannot be undone). A message of nothing but CRLF line ends is kept with LF, as
programs on Unix expect; any other is kept as it is.

Programs that mark a message as read write that into its header; they are taken at their word where
what is left without such fields is the message, which its digest proves.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import accumulate
from mmap import mmap
from typing import Final, TypeAlias
from urllib.parse import quote, unquote

SENDER: Final = b"From MAILER-DAEMON "
HEAD_LIMIT: Final = 64 * 1024
"""Octets that the two lines in front of a message have at most."""

_FLAGS_LIMIT: Final = HEAD_LIMIT - 1024
"""What the other words of these lines leave to the flags."""

_QUOTED: Final = re.compile(rb"^(>*From )", re.MULTILINE)
_UNQUOTED: Final = re.compile(rb"^>(>*From )", re.MULTILINE)
_HEAD: Final = re.compile(
    rb"From MAILER-DAEMON [^\n]{24}\n(?:X-Mozilla-[^\n]*\n){0,8}"
    rb"X-Mailsync: 1 sha256=([0-9a-f]{64}) size=(\d{1,15})"
    rb" date=(-?\d{1,15}) copy=(\d{1,9}) "
    rb"form=(crlf|raw) open=([01]) length=(\d{1,15}) flags=([^\n]*)\n"
)

_FIELDS: Final = (
    rb"(?:Status|X-Status|X-UID|X-IMAP|X-IMAPbase|X-Keywords|Content-Length|Lines"
    rb"|X-Mozilla-(?:Status2?|Keys)):[^\n]*\n(?:[ \t][^\n]*\n)*"
)
_WRITTEN: Final = {
    "anywhere": re.compile(rb"^" + _FIELDS, re.MULTILINE | re.IGNORECASE),
    "at the end": re.compile(rb"(?:(?<=\n)" + _FIELDS + rb")+\Z", re.IGNORECASE),
}
"""What mail programs write into the header of a message in an mbox, by where it is looked for; the
message may have had such fields of its own.
"""

Buffer: TypeAlias = bytes | mmap


@dataclass(frozen=True, slots=True)
class Record:
    """Where a message lies in a file (`start` of its `From ` line, `end` behind its empty line) and
    what our header says of it; `written` names where in its header another program wrote fields.
    """

    digest: bytes
    size: int
    internaldate: int
    copy: int
    flags: frozenset[str]
    is_crlf: bool
    is_open: bool
    start: int
    body: int
    length: int
    written: str = ""

    @property
    def end(self) -> int:
        """Where the next message begins."""
        return self.body + self.length + 1


@dataclass(frozen=True, slots=True)
class Stray:
    """Octets that are no message of ours: another program's, or what is left of one; `is_torn`: one
    of ours that ends too early.
    """

    start: int
    end: int
    is_torn: bool


def write(
    content: bytes, digest: bytes, internaldate: int, flags: frozenset[str], copy: int = 1
) -> bytes:
    """Return what stands for a message in an mbox; `internaldate` in epoch seconds.

    Flags that do not fit in our header are left out, keywords first: the catalogue knows them all.
    """
    lines = content.count(b"\r\n")
    is_crlf = content.count(b"\n") == lines == content.count(b"\r")
    body = content.replace(b"\r\n", b"\n") if is_crlf else content
    # Most messages need no quoting, and to find that out is much faster than to look at every line.
    if b"From " in body:
        body = _QUOTED.sub(rb">\1", body)
    is_open = not body.endswith(b"\n")
    if is_open:
        body += b"\n"
    words = _flag_words(flags)
    head = (
        f"X-Mailsync: 1 sha256={digest.hex()} size={len(content)} date={internaldate} copy={copy}"
        f" form={'crlf' if is_crlf else 'raw'} open={int(is_open)} length={len(body)}"
        f" flags={words}\n"
    )
    return b"".join((SENDER, _asctime(internaldate), b"\n", head.encode("ascii"), body, b"\n"))


def _flag_words(flags: frozenset[str]) -> str:
    quoted = sorted(quote(flag, safe="\\$!#&'*+-./:;=?@^_`|~") for flag in flags)
    if sum(map(len, quoted)) + len(quoted) > _FLAGS_LIMIT:
        quoted.sort(key=lambda word: (not word.startswith("\\"), len(word)))
        lengths = accumulate(len(word) + 1 for word in quoted)
        quoted = sorted(quoted[: sum(length <= _FLAGS_LIMIT for length in lengths)])
    return ",".join(quoted)


def read(record: Record, body: bytes) -> bytes:
    """Return a message back from the octets `body` to `body + length` of its record."""
    if record.written:
        header_end = body.find(b"\n\n") + 1 or len(body)
        header = _WRITTEN[record.written].sub(b"", body[:header_end])
        # With the fields the empty line is written, ended as such programs end lines.
        blank = b"\r\n" if b"\r\n" in header else b"\n"
        body = header + blank + body[header_end + 1 :]
    if record.is_open:
        body = body[:-1]
    if b">From " in body:
        body = _UNQUOTED.sub(rb"\1", body)
    return body.replace(b"\n", b"\r\n") if record.is_crlf else body


def scan(file: Buffer) -> Iterator[Record | Stray]:
    """Yield what lies in a file, in order and without a gap.

    Whatever was done to it, a message of ours that is whole is found. An end that begins with NUL
    is what a power cut leaves of an append: its octets were counted, but never came to the disk.
    """
    at, size = 0, len(file)
    while at < size:
        record = _record(file, at)
        if (
            record is not None
            and record.end <= size
            and file[record.end - 1 : record.end] == b"\n"
            and _begins(file, record.end)
        ):
            yield record
            at = record.end
            continue
        if record is not None and (found := _written_into(file, record)) is not None:
            yield found
            at = found.end
            continue
        after = _next(file, at + 1)
        torn = after == size and (
            record is not None
            or _may_begin(bytes(file[at : at + HEAD_LIMIT]))
            or file[at : at + 1] == b"\0"
        )
        yield Stray(at, after, torn)
        at = after


def _written_into(file: Buffer, record: Record) -> Record | None:
    """Return a message in whose header another program wrote; None where it did more than that."""
    end = file.find(b"\nFrom ", record.body - 1) + 1 or len(file)
    length = end - record.body - 1
    if length < 0 or file[end - 1 : end] != b"\n":
        return None
    octets = bytes(file[record.body : record.body + length])
    for place in _WRITTEN:
        found = replace(record, length=length, written=place)
        if sha256(read(found, octets)).digest() == record.digest:
            return found
    return None


def _record(file: Buffer, at: int) -> Record | None:
    found = _HEAD.match(bytes(file[at : at + HEAD_LIMIT]))
    if found is None:
        return None
    digest, size, date, copy, form, opened, length, words = found.groups()
    flags = frozenset(unquote(word) for word in words.decode("ascii", "replace").split(",") if word)
    return Record(
        bytes.fromhex(digest.decode()),
        int(size),
        int(date),
        int(copy),
        flags,
        form == b"crlf",
        opened == b"1",
        at,
        at + found.end(),
        int(length),
    )


def _begins(file: Buffer, at: int) -> bool:
    """Return whether a message, anybody's, begins here, or the file ends, even in that word, or in
    octets that never came to the disk.
    """
    return b"From ".startswith(file[at : at + 5]) or file[at : at + 1] == b"\0"


def _next(file: Buffer, at: int) -> int:
    """Find the next message of ours from `at` on; the end of the file if there is none."""
    while True:
        found = file.find(b"\n" + SENDER, at - 1)
        if found < 0:
            return len(file)
        if _record(file, found + 1) is not None or found + 1 + HEAD_LIMIT > len(file):
            return found + 1
        at = found + 2


def _may_begin(rest: bytes) -> bool:
    """Return whether the rest of a file may be the beginning of one of our messages."""
    first, _, second = rest.partition(b"\n")
    marks = b"X-Mailsync: 1 "
    return SENDER.startswith(first[: len(SENDER)]) and (
        not second or marks.startswith(second[: len(marks)])
    )


def _asctime(moment: int) -> bytes:
    try:
        told = time.asctime(time.gmtime(moment))
    except (OverflowError, ValueError, OSError):
        told = ""
    return (told if len(told) == 24 else "Thu Jan  1 00:00:00 1970").encode("ascii")


def moved(record: Record, by: int) -> Record:
    """Return a record as it is so many octets further on."""
    return replace(record, start=record.start + by, body=record.body + by)
