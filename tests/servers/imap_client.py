"""A client that is not ours, by the standard library: what it sends and reads is exactly what it
was told to.
"""

from __future__ import annotations

import contextlib
import imaplib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from imapclient.imap_utf7 import decode, encode

from tests.servers.courier import Courier
from tests.servers.cyrus import Cyrus
from tests.servers.mailutils import Mailutils

DebianServer = Courier | Cyrus | Mailutils
NAMES: Final = ("courier", "cyrus", "mailutils")
DATE: Final = '"14-Jul-2014 02:40:00 +0000"'


@dataclass(frozen=True, slots=True)
class Seen:
    """A message as the server delivers it."""

    uid: int
    content: bytes
    flags: frozenset[str]
    internaldate: str


class Client:
    """One logged-in connection of `session`; mailboxes are named by their path."""

    def __init__(self, server: DebianServer, connection: Any) -> None:
        self.server = server
        self.connection = connection

    def name(self, path: Iterable[str]) -> str:
        """Return the name of a mailbox as it goes over the wire, quoted."""
        names = list(path)
        if names == ["INBOX"]:
            return "INBOX"
        joined = self.server.delimiter.join(encode(one).decode() for one in names)
        return f'"{self.server.prefix}{joined}"'

    def said(self, answer: Any) -> list[Any]:
        """Return what an answer brought; the command must have succeeded."""
        assert answer[0] == "OK", answer
        found: list[Any] = answer[1]
        return found

    def create(self, path: Iterable[str]) -> None:
        self.said(self.connection.create(self.name(path)))

    def append(
        self, content: bytes, path: Iterable[str] = ("INBOX",), flags: str = "", date: str = DATE
    ) -> bool:
        """Append octets as they are (`imaplib.append` rewrites line ends); False when refused."""
        self.connection.literal = content
        arguments = [self.name(path), *([f"({flags})"] if flags else []), date]
        return bool(self.connection._simple_command("APPEND", *arguments)[0] == "OK")

    def messages(self, path: Iterable[str] = ("INBOX",), uids: str = "1:*") -> list[Seen]:
        """Read a mailbox, or some of it, without a change to it."""
        count = self.said(self.connection.select(self.name(path), readonly=True))[0]
        found = []
        if count != b"0":
            answer = self.connection.uid("FETCH", uids, "(UID FLAGS INTERNALDATE BODY.PEEK[])")
            parts = self.said(answer)
            for number, one in enumerate(parts):
                if isinstance(one, tuple):
                    after = parts[number + 1] if number + 1 < len(parts) else b""
                    more = after if isinstance(after, bytes) else b""
                    found.append(_seen(one[0] + b" " + more, one[1]))
        self.connection.close()
        return found

    def expunge(self, uids: Iterable[int], path: Iterable[str] = ("INBOX",)) -> None:
        """Remove messages for good."""
        self.said(self.connection.select(self.name(path)))
        for uid in uids:
            self.said(self.connection.uid("STORE", str(uid), "+FLAGS", "(\\Deleted)"))
        self.said(self.connection.expunge())
        self.connection.close()

    def mailboxes(self, command: str = "list") -> set[tuple[str, ...]]:
        """List the paths of the mailboxes, or with `lsub` of the subscribed ones."""
        lines = [line for line in getattr(self.connection, command)()[1] if line]
        return {self._path(line) for line in lines}

    def _path(self, line: Any) -> tuple[str, ...]:
        text = line[1] if isinstance(line, tuple) else line.rpartition(b" ")[2]
        name = re.search(rb'(?:"((?:[^"\\]|\\.)*)"|(\S+))\Z', line) if text is not line[1] else None
        raw = (name[1] or name[2]) if name else text
        whole: str = decode(raw.replace(b"\\", b""))
        if whole.upper() != "INBOX":
            whole = whole.removeprefix(self.server.prefix)
        return tuple(whole.split(self.server.delimiter))


def _seen(told: bytes, content: bytes) -> Seen:
    uid, date = re.search(rb"UID (\d+)", told), re.search(rb'INTERNALDATE "([^"]*)"', told)
    flags = re.search(rb"FLAGS \(([^)]*)\)", told)
    assert uid
    assert date
    assert flags
    kept = frozenset(one for one in flags[1].decode().split() if one != "\\Recent")
    return Seen(int(uid[1]), content, kept, date[1].decode())


@contextlib.contextmanager
def session(server: DebianServer, user: str) -> Iterator[Client]:
    """Log in for the length of the context."""
    with imaplib.IMAP4(server.host, server.imap_port, 20) as connection:
        connection.login(user, server.password)
        yield Client(server, connection)
