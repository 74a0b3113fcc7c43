"""mboxrd, reversibly: messages in one file that any mail program opens, each with a line of ours
that gives its bytes back exactly.

A message stands as `From ` line, our header `X-Mailsync`, the message, and an empty line. Lines of
the message that begin with `From `, or with `>`s and `From `, have one `>` more (the standard
library's quoting cannot be undone). A message of nothing but CRLF line ends is kept with LF, as
programs on Unix expect; any other is kept as it is.

Programs that mark a message as read write that into its header, and some write a whole file anew;
they are taken at their word where what is left without their fields, lines and line ends is the
message, which its digest proves.
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
_OUR_LINE: Final = (
    rb"X-Mailsync: 1 sha256=([0-9a-f]{64}) size=(\d{1,15})"
    rb" date=(-?\d{1,15}) copy=(\d{1,9}) "
    rb"form=(crlf|raw) open=([01]) length=(\d{1,15}) flags=([^\n]*)\n"
)
_HEAD: Final = re.compile(rb"From MAILER-DAEMON [^\n]{24}\n(?:X-Mozilla-[^\n]*\n){0,8}" + _OUR_LINE)
_ANYWHERE: Final = re.compile(rb"^" + _OUR_LINE, re.MULTILINE)
_HEADER_END: Final = re.compile(rb"\n\r?\n")

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

_FIELDS_TRIED: Final = 24
"""With more fields of these names than that a header was not written by mail programs."""

_LINE_ENDS_TRIED: Final = 3
"""Line ends behind a message, of which it has one where nobody else wrote."""

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
    cuts: tuple[tuple[int, int], ...] = ()
    made_crlf: bool = False
    behind: int = 1

    @property
    def end(self) -> int:
        """Where the next message begins."""
        return self.body + self.length + self.behind


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
    if record.made_crlf:
        body = body.replace(b"\r\n", b"\n")
    for start, stop in reversed(record.cuts):
        body = body[:start] + body[stop:]
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
        found = None if record is None else _written_into(file, record)
        found = found or _written_anew(file, at)
        if found is not None:
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


def _written_anew(file: Buffer, at: int) -> Record | None:
    """Return a message that another program wrote in its own way, with another `From ` line, line
    ends, fields anywhere in the header, or more lines behind it; its digest proves it.
    """
    if not _claims(file, at):
        return None
    end = file.find(b"\nFrom ", at) + 1 or len(file)
    body = file.find(b"\n", at) + 1
    written = bytes(file[body:end])
    for text in dict.fromkeys((written, written.replace(b"\r\n", b"\n"))):
        found = _ANYWHERE.search(text)
        if found is None:
            continue
        made_crlf = text is not written
        record = replace(_told(found, at), body=body, made_crlf=made_crlf)
        lines = len(text) - len(text.rstrip(b"\n"))
        for many in range(min(lines, _LINE_ENDS_TRIED) + 1):
            behind = many * (2 if made_crlf else 1)
            length = len(written) - behind
            for cuts in _cuts(text[: len(text) - many], found.span(), record.length):
                one = replace(record, length=length, cuts=cuts, behind=behind)
                if sha256(read(one, written[:length])).digest() == record.digest:
                    return one
    return None


def _claims(file: Buffer, at: int) -> bool:
    """Return whether what begins here has our line in its header."""
    if file[at : at + 5] != b"From ":
        return False
    start = bytes(file[at : at + HEAD_LIMIT])
    header_end = _HEADER_END.search(start)
    return b"\nX-Mailsync: 1 sha256=" in (start[: header_end.start()] if header_end else start)


def _cuts(text: bytes, ours: tuple[int, int], length: int) -> Iterator[tuple[tuple[int, int], ...]]:
    """Yield what may be taken out of a message so that just its length is left: our line, and the
    first and the last ones of the fields that mail programs write.
    """
    header_end = _HEADER_END.search(text)
    header = text[: header_end.start() + 1] if header_end else text
    fields = [one.span() for one in _WRITTEN["anywhere"].finditer(header)]
    surplus = len(text) - (ours[1] - ours[0]) - length
    if surplus < 0 or len(fields) > _FIELDS_TRIED:
        return
    for first in range(len(fields) + 1):
        for last in range(len(fields), first - 1, -1):
            taken = fields[:first] + fields[last:]
            if sum(stop - start for start, stop in taken) == surplus:
                yield tuple(sorted((ours, *taken)))


def _record(file: Buffer, at: int) -> Record | None:
    found = _HEAD.match(bytes(file[at : at + HEAD_LIMIT]))
    return None if found is None else _told(found, at)


def _told(found: re.Match[bytes], at: int) -> Record:
    """Return what our line says."""
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
        found = file.find(b"\nFrom ", at - 1)
        if found < 0:
            return len(file)
        is_ours = file[found + 1 : found + 1 + len(SENDER)] == SENDER
        if (is_ours and found + 1 + HEAD_LIMIT > len(file)) or _claims(file, found + 1):
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
