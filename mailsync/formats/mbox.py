"""mbox in every dialect, as other programs write it: where its messages lie, and their own octets.

A message begins with a `From ` line that a header follows. What stands in front of it, a blank line
or none, is told from the message by one rule: exactly one line end is the separator's. Lines of a
body that begin with `From ` are quoted in three ways: with `>` before each (mboxrd, which can be
undone), with `>` before those without one (the older way), or not at all.

Pure: a file is read through a function. Takes any bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from enum import Enum
from typing import Final, TypeAlias

CHUNK: Final = 4 * 1024 * 1024
PEEK: Final = 4096
"""Octets behind a `From ` that show whether a message begins there."""

Read: TypeAlias = Callable[[int, int], bytes]
"""Returns that many octets of a file from an offset on; fewer at its end."""

_FROM: Final = b"From "
_MARK: Final = 0x3E
_LF: Final = 0x0A
_BEFORE: Final = 4
_MARKS_SEEN: Final = 64
"""Quotation marks in front of a line that are looked at; nobody quotes that often."""
_FIELD: Final = rb"[!-9;-~]{1,76}[ \t]*:[^\n]*(?:\n|\Z)"
_HEADER: Final = re.compile(
    rb"(?:>From [^\n]{0,900}\n)?" + _FIELD + rb"(?:[ \t][^\n]*(?:\n|\Z)|" + _FIELD + rb"|\r?\n|\Z)"
)
"""Two lines of a header, or its first one up to where octets are looked at: some are very long."""
_SOME_HEADER: Final = re.compile(rb"\r?\n|" + _FIELD)
_LONGEST_LINE: Final = 1000
_TORN: Final = re.compile(
    rb"From [^\n]{0,900}|From [^\n]{0,800}\d\d:\d\d[^\n]{0,100}\n[!-9;-~]{0,76}"
)
_DATE: Final = re.compile(rb"((?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? [^\n]{10,60})")
_SOME_DATE: Final = re.compile(rb"\d{4}[^\n]{0,40}\d:\d\d|\d:\d\d[^\n]{0,40}\d{4}")
_UNDATED: Final = frozenset({b"From", b"From -"})
_LENGTH: Final = re.compile(rb"(?im)^Content-Length:[ \t]*(\d{1,15})[ \t]*\r?$")
_LONGEST_HEADER: Final = 256 * 1024
_BLANK: Final = re.compile(rb"\n\r?\n")
_MARK_OF_ORDER: Final = b"\xef\xbb\xbf"
_UNQUOTED: Final = re.compile(rb"^>(>*From )", re.MULTILINE)


class Quoting(Enum):
    """How a file's writer quotes lines that begin with `From `."""

    REVERSIBLE = "mboxrd"
    ONCE = "mboxo"
    NEVER = "none"


@dataclass(frozen=True, slots=True)
class Span:
    """Where a message lies: `start` is its `From ` line, `end` where the next one begins.

    `quoted`: lines in it may be quoted ones. `bare`: a line of its body begins with `From `, so its
    writer did not quote.
    """

    start: int
    end: int
    quoted: bool = False
    bare: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """Octets in which no message begins: rubbish in front of the first one, or what is cut."""

    start: int
    end: int


@dataclass(slots=True)
class Dialect:
    """What was seen of a file's quoting; complete once `split` has ended."""

    twice: bool = False
    once: bool = False
    bare: bool = False

    @property
    def quoting(self) -> Quoting:
        """Return how the file is quoted, as far as it tells."""
        if self.twice:
            return Quoting.REVERSIBLE
        if self.bare:
            return Quoting.NEVER
        return Quoting.ONCE if self.once else Quoting.REVERSIBLE


def split(
    read: Read, extents: Iterable[tuple[int, int]], size: int, dialect: Dialect
) -> Iterator[Span | Gap]:
    """Yield the messages of a file of `size` octets in order and without a gap, and note in
    `dialect` how it is quoted.

    `extents` are the parts of the file to look at, in order; between them are only NULs (the holes
    of a sparse file). Where each message so far says how long it is, and is, that is believed.
    """
    start: int | None = None
    quoted = bare = False
    lengths, until = True, 0
    for at, marks, before, head in _candidates(read, extents):
        if marks:
            quoted = True
            dialect.once = dialect.once or marks == 1
            dialect.twice = dialect.twice or marks > 1
        elif at < until:
            bare = True
        elif at == until != 0 or begins(
            head, blank_before=_is_blank(before), is_first=start is None
        ):
            if start is not None:
                yield Span(start, at, quoted, bare)
            elif at:
                yield Gap(0, at)
            is_first = start is None
            start, quoted, bare = at, False, False
            until = _declared_end(read, at, size, is_first=is_first) if lengths else 0
            lengths = bool(until)
        elif start is not None and at + len(head) == size and _is_torn(before, head):
            yield Span(start, at, quoted, bare)
            yield Gap(at, size)
            return
        else:
            bare = dialect.bare = True
    if start is not None:
        yield Span(start, size, quoted, bare)
    elif size:
        yield Gap(0, size)


def _declared_end(read: Read, at: int, size: int, *, is_first: bool) -> int:
    """Return where the message ends by its Content-Length, where another begins there, or the file
    ends; else 0. That the file ends there tells nothing of its first message: a sender may write
    what he likes.
    """
    head = read(at, PEEK)
    blank = _BLANK.search(head)
    if blank is None:
        head = read(at, _LONGEST_HEADER)
        blank = _BLANK.search(head)
    length = _LENGTH.search(head, 0, blank.end()) if blank is not None else None
    if blank is None or length is None:
        return 0
    end = at + blank.end() + int(length[1])
    if end > size:
        return 0
    behind = read(end, len(_FROM) + 2)
    for separator in (b"\n", b"\r\n", b""):
        if behind.startswith(separator + _FROM):
            return end + len(separator)
    return size if behind in {b"", b"\n", b"\r\n"} and not is_first else 0


def _candidates(
    read: Read, extents: Iterable[tuple[int, int]]
) -> Iterator[tuple[int, int, bytes, bytes]]:
    """Yield each line that begins with `From `, quoted or not, as (offset, number of `>`, the few
    octets before it, the octets from there on).
    """
    for begin, end in extents:
        for at in range(begin, end, CHUNK):
            # Each piece begins a little earlier, so that no line's beginning is cut in two.
            base = max(0, at - _MARKS_SEEN)
            upto = min(at + CHUNK, end)
            piece = read(base, upto - base + len(_FROM) - 1)
            found = piece.find(_FROM, at - base)
            while found >= 0:
                first = found
                while first and piece[first - 1] == _MARK:
                    first -= 1
                if _begins_line(piece, base, first):
                    marks, head = found - first, b""
                    if not marks:
                        head = piece[first : first + PEEK]
                        head = head if len(head) == PEEK else read(base + first, PEEK)
                    yield base + first, marks, piece[max(0, first - _BEFORE) : first], head
                found = piece.find(_FROM, found + len(_FROM))


def _begins_line(piece: bytes, base: int, at: int) -> bool:
    """Return whether a line begins there: also behind what is left of octets that were lost, and
    behind the mark that some programs put in front of a text.
    """
    if at == 0:
        return base == 0
    if base == 0 and piece[:at] == _MARK_OF_ORDER:
        return True
    return piece[at - 1] in {_LF, 0}


def _is_blank(before: bytes) -> bool:
    if before.endswith((b"\n\n", b"\n\r\n", b"\0")):
        return True
    return before in {b"", b"\n", b"\r\n", _MARK_OF_ORDER}


def _is_torn(before: bytes, head: bytes) -> bool:
    """Return whether a message was begun here, behind a blank line, and the file, which ends with
    these octets, ends before a field of its header does.
    """
    return not head.endswith(b"\n") and bool(_TORN.fullmatch(head)) and _is_blank(before)


def begins(head: bytes, *, blank_before: bool, is_first: bool = False) -> bool:
    """Return whether a message begins with these octets: a `From ` line that bears a date, and a
    header.

    A bare `From ` counts behind a blank line, and any in front of the first message: other lines
    that begin so are sentences. Where a blank line stands before a line with a date, less of a
    header is enough.
    """
    line, _, rest = head.partition(b"\n")
    if not line.startswith(_FROM) or len(line) > _LONGEST_LINE:
        return False
    dated = bool(_SOME_DATE.search(line))
    if not (dated or is_first or (blank_before and line.rstrip() in _UNDATED)):
        return False
    if _HEADER.match(rest):
        return True
    return blank_before and bool(_DATE.search(line)) and bool(_SOME_HEADER.match(rest))


def without_line(content: bytes) -> bytes:
    """Return a message of a file of its own without the `From ` line that some programs leave in
    front of it.
    """
    line, _, rest = content.partition(b"\n")
    dated = line.startswith(_FROM) and len(line) <= _LONGEST_LINE and _SOME_DATE.search(line)
    return rest if dated and _SOME_HEADER.match(rest) else content


def holds(octets: bytes) -> bool:
    """Return whether a message begins somewhere in these octets, with which a file begins."""
    found = octets.find(_FROM)
    while found >= 0:
        if _begins_line(octets, 0, found):
            before = octets[max(0, found - _BEFORE) : found]
            head = octets[found : found + PEEK]
            if begins(head, blank_before=_is_blank(before), is_first=not octets[:found].strip()):
                return True
        found = octets.find(_FROM, found + 1)
    return False


def message(raw: bytes, quoting: Quoting) -> tuple[bytes, bytes]:
    """Return the `From ` line of a span and its message: without separator, unquoted, every line
    end as it stands in the file.
    """
    line, _, body = raw.partition(b"\n")
    for ending in (b"\r\n", b"\n"):
        if body.endswith(ending):
            without = body[: -len(ending)]
            # What ends a header is no separator.
            if without.endswith(b"\n") and _has_end_of_header(without):
                body = without
            break
    if quoting is not Quoting.NEVER and b">From " in body:
        body = _UNQUOTED.sub(rb"\1", body)
    return line, body


def _has_end_of_header(body: bytes) -> bool:
    return b"\n\n" in body or b"\n\r\n" in body or body.startswith((b"\n", b"\r\n"))


def quoting_of(span: Span, dialect: Dialect) -> Quoting:
    """Return how one message is quoted: a file may have had several writers."""
    return Quoting.NEVER if span.bare else dialect.quoting


def with_crlf(content: bytes) -> bytes:
    """Return a message with the line ends of RFC 5322 if it has only LF; any other as it is."""
    return content if b"\r" in content else content.replace(b"\n", b"\r\n")


def date_of(line: bytes) -> int | None:
    """Return the time a `From ` line bears, in epoch seconds, taken for UTC where it names no
    zone.
    """
    found = _DATE.search(line[:_LONGEST_LINE])
    try:
        parsed = parsedate_tz(found[1].decode("ascii", "replace")) if found else None
        return None if parsed is None else mktime_tz(parsed)
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
