"""Mailbox names: between what a server writes (prefix, delimiter, modified UTF-7, literals) and the
model's paths.

Knows LIST, LSUB, STATUS and NAMESPACE answers (RFC 9051 sections 7.3, RFC 2342, RFC 5258, RFC
5819); sends nothing. A name that was listed is asked for in exactly the octets it was listed in, so
no codec can lose a mailbox.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mailsync.formats import mutf7
from mailsync.model import INBOX, SPECIAL_USES, MailboxPath, SyncState
from mailsync.stores.imap.command_queue import Answer, Literal, Piece

_QUOTED = rb'"(?:[^"\\]|\\.)*"'
_LIST: Final = re.compile(
    rb"(?:LIST|LSUB) +\(([^)]*)\) +(NIL|" + _QUOTED + rb") +", re.IGNORECASE | re.DOTALL
)
_STRING: Final = re.compile(_QUOTED + rb"|[^\s()]+", re.DOTALL)
_TOKEN: Final = re.compile(rb"\(|\)|" + _QUOTED + rb"|[^\s()\"]+", re.DOTALL)
_PAIR: Final = re.compile(rb"([A-Za-z-]+) +(?:\(([^)]*)\)|(\d{1,19}))")
_HALF: Final = re.compile("[\ud800-\udfff]")
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


def quote(name: bytes, *, instant: bool) -> Piece:
    """Make a command's argument of any octets: quoted where allowed, else a literal (`instant`: the
    server takes `{n+}`).
    """
    if name.isascii() and not any(octet in name for octet in b"\r\n\0") and len(name) < 1000:
        return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return Literal(name, waiting=not instant)


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


class Names:
    """The mailbox names of one server.

    Paths begin below the first personal namespace's prefix (`INBOX.` is not seen).
    """

    def __init__(
        self,
        personal: list[tuple[bytes, bytes | None]] | None = None,
        foreign: list[tuple[bytes, bytes | None]] | None = None,
        *,
        delimiter: bytes | None = b"/",
    ) -> None:
        spaces = personal or [(b"", delimiter)]
        self.prefix, self.delimiter = spaces[0]
        self._others = [prefix for prefix, _ in spaces[1:]]
        self._foreign = [prefix for prefix, _ in foreign or []]
        self._written: dict[MailboxPath, bytes] = {}
        self._listed: dict[bytes, MailboxPath] = {}

    def learn(self, name: bytes, delimiter: bytes | None) -> MailboxPath | None:
        """Take in a listed name and give its path; None when it is not the user's own (another
        user's, shared).
        """
        if not self._own(name):
            return None
        path = self._path(name, delimiter)
        if self._written.get(path, name) != name:
            # Two names the prefix alone tells apart: the later one keeps its whole name.
            path = tuple(_read(part) for part in _split(name, delimiter))
        self._written[path] = name
        self._listed[name] = path
        return path

    def written(self, path: MailboxPath) -> bytes:
        """Write a path as the server wants it: as it was listed, or composed; the delimiter inside
        a part becomes `_`.
        """
        known = self._written.get(path)
        if known is not None:
            return known
        if not path or (len(path) == 1 and path[0].upper() == "INBOX"):
            return b"INBOX"
        delimiter = self.delimiter or b""
        parts = [mutf7.encode(part).encode("ascii") for part in path]
        if delimiter:
            parts = [part.replace(delimiter, b"_") for part in parts]
        joined = (delimiter or b"_").join(parts)
        if path[0].upper() == "INBOX" and self.prefix.upper().startswith(b"INBOX"):
            return joined  # children of the inbox live under this prefix anyway
        return self.prefix + joined

    def settled(self, path: MailboxPath) -> MailboxPath:
        """Return the path a mailbox has once it is written and listed again: another one where the
        server cannot write this one.
        """
        for _ in range(len(path) + 1):  # an inbox below an inbox reads as one less each time
            name = self.written(path)
            path = self._listed.get(name) or self._path(name, self.delimiter)
        return path

    def _own(self, name: bytes) -> bool:
        """Whether the longest namespace prefix that fits is a personal one."""
        if name.upper() == b"INBOX":
            return True
        own = max(
            (len(prefix) for prefix in (self.prefix, *self._others) if _under(name, prefix)),
            default=-1,
        )
        foreign = max((len(prefix) for prefix in self._foreign if _under(name, prefix)), default=-1)
        return own >= foreign

    def _path(self, name: bytes, delimiter: bytes | None) -> MailboxPath:
        if name.upper() == b"INBOX":
            return INBOX
        inner = name
        if self.prefix and _under(name, self.prefix) and len(name) > len(self.prefix):
            inner = name[len(self.prefix) :]
        if inner.upper() == b"INBOX":
            inner = name  # `INBOX.INBOX` is not the inbox
        parts = [_read(part) for part in _split(inner, delimiter)]
        if parts[0].upper() == "INBOX":
            parts[0] = "INBOX"
        return tuple(parts)


def _read(name: bytes) -> str:
    """Read a name or a part of one: modified UTF-7, else UTF-8 or, failing that, octet by octet.

    What no text is written as (half a surrogate pair) stays as the server wrote it.
    """
    if not name.isascii():
        try:
            return name.decode("utf-8")
        except UnicodeDecodeError:
            return name.decode("latin-1")
    written = name.decode("ascii")
    text = mutf7.decode(written)
    return written if _HALF.search(text) else text


def _under(name: bytes, prefix: bytes) -> bool:
    """Whether `name` is below `prefix`, or is the prefix less its delimiter; the INBOX part in any
    case.
    """
    head = name[: len(prefix)]
    if head == prefix or name == prefix[:-1]:
        return True
    return (
        prefix[:5].upper() == b"INBOX" and head[:5].upper() == b"INBOX" and head[5:] == prefix[5:]
    )


def _split(name: bytes, delimiter: bytes | None) -> list[bytes]:
    if not delimiter:
        return [name]
    return (name.removesuffix(delimiter) or name).split(delimiter)


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
