"""LIST, LSUB, STATUS and NAMESPACE answers read (RFC 9051 section 7.3, RFC 2342, RFC 5258, RFC
5819). Names stay in the octets the server wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mailsync.model import SPECIAL_USES, SyncState
from mailsync.stores.imap.response import Answer

_QUOTED = rb'"(?:[^"\\]|\\.)*"'


_LIST: Final = re.compile(
    rb"(?:LIST|LSUB) +\(([^)]*)\) +(NIL|" + _QUOTED + rb") +", re.IGNORECASE | re.DOTALL
)


_STRING: Final = re.compile(_QUOTED + rb"|[^\s()]+", re.DOTALL)


_TOKEN: Final = re.compile(rb"\(|\)|" + _QUOTED + rb"|[^\s()\"]+", re.DOTALL)


_PAIR: Final = re.compile(rb"([A-Za-z-]+) +(?:\(([^)]*)\)|(\d{1,19}))")


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
    words = raw.decode("ascii", "replace").split()
    return frozenset(_SPELLING.get(word.lower(), word) for word in words)


@dataclass(frozen=True, slots=True)
class Listed:
    """One LIST or LSUB answer; `name` as the server wrote it, `delimiter` None for a flat name."""

    attributes: frozenset[str]
    delimiter: bytes | None
    name: bytes


def listed(answer: Answer) -> Listed | None:
    """Read a LIST or LSUB answer; None when it is none."""
    head = _LIST.match(answer.line)
    name = head and _name(answer, head.end())
    if not head or name is None:
        return None
    delimiter = None if head[2].upper() == b"NIL" else _unquote(head[2]) or None
    return Listed(attributes(head[1]), delimiter, name[0])


def status(answer: Answer) -> tuple[bytes, SyncState | None, str | None] | None:
    """Read a STATUS answer: name, state (None unless UIDVALIDITY, UIDNEXT and MESSAGES are there),
    MAILBOXID (RFC 8474).
    """
    if answer.word != b"STATUS":
        return None
    name = _name(answer, len(b"STATUS "))
    if name is None:
        return None
    numbers: dict[bytes, int] = {}
    object_id = None
    for key, inner, number in _PAIR.findall(name[1]):
        if number:
            numbers[key.upper()] = int(number)
        elif key.upper() == b"MAILBOXID":
            object_id = inner.decode("ascii", "replace") or None
    state = None
    if numbers.keys() >= {b"UIDVALIDITY", b"UIDNEXT", b"MESSAGES"}:
        # HIGHESTMODSEQ 0 is how STATUS says that the mailbox keeps none (RFC 7162 section 3.1.2.2).
        modseq = numbers.get(b"HIGHESTMODSEQ") or None
        state = SyncState(
            numbers[b"UIDVALIDITY"], numbers[b"UIDNEXT"], numbers[b"MESSAGES"], modseq
        )
    return name[0], state, object_id


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
            strings.append(None if token.upper() == b"NIL" else _unquote(token))
    return [*found, [], [], []][:3]


def _name(answer: Answer, start: int) -> tuple[bytes, bytes] | None:
    """Read the name that begins at `start`, and what follows it."""
    if len(answer) >= 3 and answer.line[start : start + 2].startswith((b"{", b"~{")):
        return answer[1], answer[2]
    found = _STRING.match(answer.line, start)
    if not found:
        return None
    rest = answer.line[found.end() :]
    return _unquote(found[0]), rest


def _tokens(answer: Answer) -> Iterator[bytes]:
    """Split a NAMESPACE answer; a literal (nobody sends one) stands for its own quoted form."""
    for index, part in enumerate(answer):
        if index % 2:
            yield b'"' + part.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
        else:
            yield from _TOKEN.findall(part, len(b"NAMESPACE") if index == 0 else 0)


def _unquote(text: bytes) -> bytes:
    if len(text) >= 2 and text[:1] == b'"' and text[-1:] == b'"':
        return re.sub(rb"\\(.)", rb"\1", text[1:-1], flags=re.DOTALL)
    return text
