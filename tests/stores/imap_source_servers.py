"""IMAP servers as the contract wants them, and an account filled by a session of its own."""

from __future__ import annotations

from dataclasses import dataclass

from mailsync.stores.credentials import Credentials
from mailsync.stores.endpoint import Endpoint
from mailsync.stores.imap import ImapSource
from mailsync.stores.imap.command_queue import Literal
from mailsync.stores.imap.session import Session
from tests.servers.dovecot import Dovecot
from tests.servers.pymap import Pymap


def endpoint(port: int, security: str = "none") -> Endpoint:
    return Endpoint("127.0.0.1", port, security, timeout=20)


OPENED: list[ImapSource] = []
"""Sources that `close_all` will close, so that a test need not."""


def source(port: int, user: str, password: str = "secret") -> ImapSource:
    return opened(
        ImapSource("old", endpoint(port), Credentials.fixed(user, password), sleep=lambda _: None)
    )


def opened(one: ImapSource) -> ImapSource:
    OPENED.append(one)
    return one


def close_all() -> None:
    while OPENED:
        OPENED.pop().close()


def served(content: bytes) -> bytes:
    """What Dovecot's IMAP sends for a message on its disk: bare LF becomes CRLF, NUL becomes
    0x80."""
    return content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").replace(b"\0", b"\x80")


@dataclass(slots=True)
class DovecotAccount:
    """A fresh user of a Dovecot; messages are put into `new`, where a source that is not careful
    would move them from.
    """

    server: Dovecot
    user: str

    def source(self, password: str | None = None) -> ImapSource:
        return source(self.server.imap_port, self.user, password or self.server.password)

    def put(self, content: bytes, mailbox: str = "INBOX") -> bytes:
        file = self.server.deliver(self.user, mailbox, content)
        file.rename(file.parent.parent / "new" / file.name.partition(":")[0])
        return served(content)

    def lose(self, content: bytes, mailbox: str = "INBOX") -> None:
        place = self.server.folder(self.user, mailbox)
        found = [
            file
            for part in ("new", "cur")
            for file in (place / part).iterdir()
            if served(file.read_bytes()) == content
        ]
        found[0].unlink()

    def contents(self) -> object:
        mail = self.server.maildir(self.user)
        return {
            str(file.relative_to(mail)): file.read_bytes()
            for file in mail.rglob("*")
            if file.is_file() and file.parent.name in {"new", "cur"}
        }


@dataclass(slots=True)
class PymapAccount:
    """The one account of a fresh pymap, which keeps every octet."""

    server: Pymap
    _session: Session | None = None

    def session(self) -> Session:
        """One session for all: pymap's logins are slow."""
        if self._session is None:
            credentials = Credentials.fixed(self.server.user, self.server.password)
            self._session = Session.open("old", endpoint(self.server.port), credentials)
        return self._session

    def close(self) -> None:
        if self._session is not None:
            self._session.close()

    def source(self, password: str | None = None) -> ImapSource:
        return source(self.server.port, self.server.user, password or self.server.password)

    def put(self, content: bytes) -> bytes:
        session = self.session()
        assert session.queue.wait(session.queue.send(b"APPEND INBOX ", Literal(content))).ok
        return content

    def lose(self, content: bytes) -> None:
        wire = self.session().queue
        assert wire.wait(wire.send(b"SELECT INBOX")).ok
        messages = wire.send(b"UID FETCH 1:* (UID BODY.PEEK[])")
        assert wire.wait(messages).ok
        uid = next(
            answer.line.split(b"UID ")[1].split()[0]
            for answer in messages.answers
            if content in answer
        )
        for command in (b"UID STORE " + uid + b" +FLAGS (\\Deleted)", b"EXPUNGE"):
            assert wire.wait(wire.send(command)).ok

    def contents(self) -> object:
        wire = self.session().queue
        commands = [
            wire.send(b"EXAMINE INBOX"),
            wire.send(b"UID FETCH 1:* (UID FLAGS BODY.PEEK[])"),
        ]
        for command in commands:
            wire.wait(command)
        return [list(answer) for answer in commands[1].answers]
