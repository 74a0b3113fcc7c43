"""POP3 servers as the contract wants them, and one played by a script for what no real server can
be made to do.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mailsync.model import Entry, Message, Unfetched
from mailsync.stores.credentials import Credentials
from mailsync.stores.endpoint import Endpoint
from mailsync.stores.pop3 import Pop3Source
from tests.servers.dovecot import Dovecot
from tests.servers.pop3 import Pop3, ended
from tests.servers.pop3_child import stuffed
from tests.servers.scripted import Conversation, Unexpected
from tests.stores.contract import entries_of

OPENED: list[Pop3Source] = []
"""Sources that `close_all` will close, so that a test need not."""


def source(
    port: int, user: str = "demo", password: str = "secret", **options: object
) -> Pop3Source:
    """A source that never really waits; `security`, `timeout`, `ca_file` and `authorization_id` go
    where they belong.
    """
    ca_file = options.pop("ca_file", None)
    assert ca_file is None or isinstance(ca_file, Path)
    endpoint = Endpoint(
        "127.0.0.1",
        port,
        str(options.pop("security", "none")),
        ca_file=ca_file,
        timeout=float(str(options.pop("timeout", 20))),
    )
    authorization_id = options.pop("authorization_id", None)
    credentials = Credentials.fixed(
        user, password, str(authorization_id) if authorization_id else None
    )
    options.setdefault("sleep", lambda _: None)
    options.setdefault("jitter", lambda: 0.5)
    made = Pop3Source("old", endpoint, credentials, **options)  # type: ignore[arg-type]
    OPENED.append(made)
    return made


def close_all() -> None:
    while OPENED:
        OPENED.pop().close()


def fetched(one: Pop3Source, entries: Sequence[Entry] | None = None) -> list[Message | Unfetched]:
    return list(one.fetch(entries_of(one) if entries is None else entries))


def contents(one: Pop3Source) -> list[bytes]:
    """Bring everything, in the order of arrival; what does not come fails the test."""
    got = fetched(one)
    assert all(isinstance(message, Message) for message in got), [
        message for message in got if isinstance(message, Unfetched)
    ]
    return [message.content for message in got if isinstance(message, Message)]


def served(content: bytes) -> bytes:
    """What Dovecot's POP3 sends for a message on its disk: bare LF becomes CRLF, and a last line
    end is added; NUL stays.
    """
    content = content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return ended(content) if content else content


@dataclass(slots=True)
class DovecotAccount:
    """A fresh user of a Dovecot; messages are put into `new`, where a source that is not careful
    would move them from.
    """

    server: Dovecot
    user: str
    security: str = "none"

    def source(self, password: str | None = None) -> Pop3Source:
        port = self.server.pop3s_port if self.security == "tls" else self.server.pop3_port
        ca_file = self.server.ca_file if self.security != "none" else None
        return source(
            port,
            self.user,
            password or self.server.password,
            security=self.security,
            ca_file=ca_file,
        )

    def put(self, content: bytes) -> bytes:
        file = self.server.deliver(self.user, "INBOX", content)
        file.rename(file.parent.parent / "new" / file.name.partition(":")[0])
        return served(content)

    def lose(self, content: bytes) -> None:
        place = self.server.folder(self.user, "INBOX")
        next(
            file
            for part in ("new", "cur")
            for file in (place / part).iterdir()
            if served(file.read_bytes()) == content
        ).unlink()

    def contents(self) -> object:
        # Flags, behind the colon, are left out: Dovecot marks what RETR brought as seen, and POP3
        # has no way not to want that. It does so after QUIT, so names may change under us; S= is
        # followed by nothing, or by what Dovecot learnt meanwhile.
        while True:
            with contextlib.suppress(FileNotFoundError):
                return sorted(
                    (file.name.partition(".messages")[0], file.read_bytes())
                    for part in ("new", "cur")
                    for file in (self.server.folder(self.user, "INBOX") / part).iterdir()
                )


@dataclass(slots=True)
class TwistedAccount:
    """The one account of a fresh Twisted server, which keeps every octet."""

    server: Pop3
    options: dict[str, object] = field(default_factory=dict)

    def source(self, password: str | None = None) -> Pop3Source:
        return source(
            self.server.port, self.server.user, password or self.server.password, **self.options
        )

    def put(self, content: bytes) -> bytes:
        self.server.add(content)
        return ended(content)

    def lose(self, content: bytes) -> None:
        name = next(
            name for name, message in self.server.messages().items() if ended(message) == content
        )
        (self.server.directory / name).unlink()

    def contents(self) -> object:
        return self.server.messages()


Override = Callable[[Conversation, bytes], bool]
"""Sees each command first; True when it answered."""


def never(_talk: Conversation, _line: bytes) -> bool:
    return False


@dataclass(slots=True)
class Drop:
    """An account played by a script: its messages by UIDL, what CAPA says, and an `override` that
    may answer a command instead.

    With `alone` a command that was sent before the one before it was answered fails the test.
    """

    messages: Sequence[tuple[bytes, bytes]]
    capabilities: Sequence[str] = ("UIDL", "TOP", "USER")
    greeting: str = "+OK ready"
    password: bytes = b"secret"
    alone: bool = False
    override: Override = never

    def __call__(self, talk: Conversation) -> None:
        talk.line(self.greeting)
        while True:
            line = talk.readline()
            if self.alone:
                nothing_more(talk, line)
            if self.override(talk, line):
                continue
            if line == b"QUIT":
                talk.line("+OK bye")
                return
            talk.send(self.answer(line))

    def answer(self, line: bytes) -> bytes:
        word, _, rest = line.partition(b" ")
        numbered = list(enumerate(self.messages, 1))
        match word:
            case b"CAPA":
                return (
                    many(*(name.encode() for name in self.capabilities))
                    if self.capabilities
                    else b"-ERR what?\r\n"
                )
            case b"PASS" if rest != self.password:
                return b"-ERR no\r\n"
            case b"USER" | b"PASS" | b"UTF8":
                return b"+OK\r\n"
            case b"UIDL":
                return many(*(b"%d %s" % (number, uidl) for number, (uidl, _) in numbered))
            case b"LIST":
                return many(
                    *(b"%d %d" % (number, len(content)) for number, (_, content) in numbered)
                )
            case b"RETR":
                return b"+OK\r\n" + stuffed(self.messages[int(rest) - 1][1]) + b".\r\n"
            case b"TOP":
                head, blank, _ = self.messages[int(rest.split()[0]) - 1][1].partition(b"\r\n\r\n")
                return b"+OK\r\n" + stuffed(head + blank) + b".\r\n"
            case _:
                return b"-ERR unknown command\r\n"


def many(*lines: bytes) -> bytes:
    return b"+OK\r\n" + b"".join(line + b"\r\n" for line in lines) + b".\r\n"


def nothing_more(talk: Conversation, line: bytes) -> None:
    """Fail when the client says more before `line` is answered."""
    if talk._buffer or select.select([talk._sock], [], [], 0.01)[0]:
        raise Unexpected(f"the client did not wait for the answer to {line!r}")
