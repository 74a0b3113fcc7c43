"""LIST, LSUB, STATUS and NAMESPACE answers read (RFC 9051 section 7.3, RFC 2342, RFC 5258, RFC
5819). Names stay in the octets the server wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mailsync.model import SPECIAL_USES, SyncState
from mailsync.stores.imap.response import NUMBER_LIMIT, UID_LIMIT, Answer, number_of

_QUOTED = rb'"(?:[^"\\]|\\.)*"'

_HEAD: Final = re.compile(rb"(?:LIST|LSUB)\s*\(", re.IGNORECASE)
_DELIMITER: Final = re.compile(
    rb'\s*(?:(NIL)\s+|"(?:\\(.)|(.))?"\s*|([^\s"(){])\s+)', re.IGNORECASE | re.DOTALL
)
_EXTENDED: Final = re.compile(rb'\s+\((?:"?[A-Za-z.-]+"? \(.*\))?\)\Z', re.DOTALL)
_STRICT: Final = re.compile(_QUOTED + rb'|[^\s()"{]+', re.DOTALL)
_BRACKET: Final = re.compile(rb"[()]")
_MARKER: Final = re.compile(rb"~?\{\d+\+?\}\Z")
_STATUS: Final = re.compile(rb"STATUS\s+(.*?)\(([^(]*(?:\([^()]*\)[^()]*)*)\)\s*\Z", re.DOTALL)
_PAIR: Final = re.compile(rb"([A-Za-z-]+)\s+(\d{1,19})(?!\d)")
_TOKEN: Final = re.compile(rb"\(|\)|" + _QUOTED + rb"|[^\s()\"]+", re.DOTALL)

LINE_LIMIT: Final = 16 * 1024
NAME_LIMIT: Final = 4096
DEPTH_LIMIT: Final = 100
"""A mailbox name of more octets, or in more levels, is no name that anybody gave; nor is a longer
line about one.
"""

_SPELLING: Final = {
    word.lower(): word
    for word in (
        *SPECIAL_USES,
        "\\Noselect",
        "\\NonExistent",
        "\\Noinferiors",
        "\\Marked",
        "\\Unmarked",
        "\\HasChildren",
        "\\HasNoChildren",
        "\\Subscribed",
        "\\Remote",
    )
}


def attributes(raw: bytes) -> frozenset[str]:
    """Read a LIST answer's attributes, in the RFCs' own spelling."""
    words = re.sub(rb"[()]", b" ", raw).decode("ascii", "replace").split()
    return frozenset(_SPELLING.get(word.lower(), word) for word in words)


@dataclass(frozen=True, slots=True)
class Listed:
    """One LIST or LSUB answer; `name` as the server wrote it, `delimiter` None for a flat name."""

    attributes: frozenset[str]
    delimiter: bytes | None
    name: bytes


def listed(answer: Answer) -> Listed | None:
    """Read a LIST or LSUB answer, also one that breaks the grammar but leaves no doubt: names with
    blanks or quotes in them, delimiters without quotes, attributes in brackets of their own.

    None when it is none, or cannot be read.
    """
    if len(answer.line) > LINE_LIMIT:
        return None
    head = _HEAD.match(answer.line)
    end = _closing(answer.line, head.end()) if head else None
    if head is None or end is None:
        return None
    between = _DELIMITER.match(answer.line, end + 1)
    if between is None:
        return None
    name = answer[1] if len(answer) >= 3 else _lenient_name(answer.line[between.end() :])
    if len(answer) >= 3 and not _MARKER.match(answer.line, between.end()):
        return None
    delimiter = between[2] or between[3] or between[4]
    if name is None or _is_excessive(name, delimiter):
        return None
    return Listed(attributes(answer.line[head.end() : end]), delimiter, name)


def _closing(line: bytes, start: int) -> int | None:
    """Find the bracket that closes the one before `start`."""
    depth = 1
    for found in _BRACKET.finditer(line, start):
        depth += 1 if found[0] == b"(" else -1
        if not depth:
            return found.start()
    return None


def _lenient_name(rest: bytes) -> bytes | None:
    """Read the name in what follows the delimiter, as near to the grammar as it is."""
    rest = _EXTENDED.sub(b"", rest.strip())
    if _STRICT.fullmatch(rest):
        return unquoted(rest)
    if not rest.startswith(b'"'):
        return rest or None
    if len(rest) > 2 and rest.endswith(b'"'):
        return rest[1:-1]  # whoever escapes no quote escapes no backslash
    return None


def _is_excessive(name: bytes, delimiter: bytes | None) -> bool:
    return len(name) > NAME_LIMIT or bool(delimiter and name.count(delimiter) >= DEPTH_LIMIT)


def status(answer: Answer) -> tuple[bytes, SyncState | None] | None:
    """Read a STATUS answer: name, and state (None unless UIDVALIDITY, UIDNEXT and MESSAGES are
    there and can be true).
    """
    if answer.word != b"STATUS" or len(answer.line) > LINE_LIMIT:
        return None
    if len(answer) >= 3:
        name, items = answer[1], answer[2]
    else:
        found = _STATUS.match(answer.line)
        if found is None:
            return None
        name, items = unquoted(found[1].strip()), found[2]
    numbers = {key.upper(): int(number) for key, number in _PAIR.findall(items)}
    wanted = [numbers.get(key) for key in (b"UIDVALIDITY", b"UIDNEXT", b"MESSAGES")]
    validity, uidnext, messages = (number_of(number, UID_LIMIT) for number in wanted)
    if validity is None or uidnext is None or messages is None:
        return name, None
    # HIGHESTMODSEQ 0 is how STATUS says that the mailbox keeps none (RFC 7162 section 3.1.2.2).
    modseq = number_of(numbers.get(b"HIGHESTMODSEQ"), NUMBER_LIMIT) or None
    return name, SyncState(validity, uidnext, messages, modseq)


def namespaces(answer: Answer) -> list[list[tuple[bytes, bytes | None]]] | None:
    """Read a NAMESPACE answer: prefixes and delimiters of the personal, others' and shared
    namespaces; None when it is none.
    """
    if answer.word != b"NAMESPACE":
        return None
    found: list[list[tuple[bytes, bytes | None]]] = []
    depth = 0
    strings: list[bytes | None] = []
    for token in _tokens(answer):
        if token == b"(":
            depth += 1
            if depth == 1:
                found.append([])
            strings = []
        elif token == b")":
            if depth == 2 and strings and found:
                found[-1].append((strings[0] or b"", [*strings, None][1] or None))
            depth -= 1
            strings = []
        elif depth == 0 and token.upper() == b"NIL":
            found.append([])
        elif depth == 2:
            strings.append(None if token.upper() == b"NIL" else unquoted(token))
    return [*found, [], [], []][:3]


def _tokens(answer: Answer) -> Iterator[bytes]:
    """Split a NAMESPACE answer; a literal (nobody sends one) stands for its own quoted form."""
    for index, part in enumerate(answer):
        if index % 2:
            yield b'"' + part.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
        else:
            yield from _TOKEN.findall(part, len(b"NAMESPACE") if index == 0 else 0)


def unquoted(text: bytes) -> bytes:
    """Return what stands in quotes; anything else as it is."""
    if len(text) >= 2 and text[:1] == b'"' and text[-1:] == b'"':
        return re.sub(rb"\\(.)", rb"\1", text[1:-1], flags=re.DOTALL)
    return text
