"""The process behind `pop3.start`: Twisted's POP3 protocol over a directory of messages, sent byte
for byte.
"""

# Twisted's POP3 is untyped.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import hashlib
import io
import json
import sys
from pathlib import Path
from typing import Any

from twisted.cred.error import UnauthorizedLogin
from twisted.internet import reactor as reactor_
from twisted.internet.protocol import Factory
from twisted.mail import pop3

from tests.servers.pop3 import ended
from tests.servers.processes import HOST, end_with_parent

reactor: Any = reactor_


def stuffed(content: bytes) -> bytes:
    """Double each dot that begins a line (RFC 1939 section 3); a line begins after CRLF only."""
    return (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]


class Mailbox:
    """The messages of one session, as Twisted asks for them: sizes by position, 0 for a deleted
    one.
    """

    def __init__(self, directory: Path) -> None:
        self.files = sorted(directory.iterdir())
        self.sizes = [len(ended(file.read_bytes())) for file in self.files]
        self.deleted: set[int] = set()

    def listMessages(self, index: int | None = None) -> list[int] | int:  # noqa: N802  Twisted's name
        sizes = [0 if number in self.deleted else size for number, size in enumerate(self.sizes)]
        return sizes if index is None else sizes[self.checked(index)]

    def getMessage(self, index: int) -> io.BytesIO:  # noqa: N802  Twisted's name
        return io.BytesIO(stuffed(self.content(index)))

    def getUidl(self, index: int) -> bytes:  # noqa: N802  Twisted's name
        return self.files[self.checked(index)].name.encode()

    def deleteMessage(self, index: int) -> None:  # noqa: N802  Twisted's name
        self.deleted.add(self.checked(index))

    def undeleteMessages(self) -> None:  # noqa: N802  Twisted's name
        self.deleted.clear()

    def sync(self) -> None:
        for index in self.deleted:
            self.files[index].unlink()

    def content(self, index: int) -> bytes:
        return ended(self.files[self.checked(index)].read_bytes())

    def checked(self, index: int) -> int:
        if index not in range(len(self.files)) or index in self.deleted:
            raise ValueError(index)
        return index


class Protocol(pop3.POP3):
    """One connection; `settings` are those of `pop3.start`."""

    settings: dict[str, Any]
    magic: Any
    mbox: Any
    transport: Any

    def connectionMade(self) -> None:  # noqa: N802  Twisted's name
        if self.settings["greeting"] is not None:
            self.magic = self.settings["greeting"].encode()
        self.transport.setTcpNoDelay(True)
        super().connectionMade()

    def listCapabilities(self) -> list[bytes]:  # noqa: N802  Twisted's name
        return [name.encode() for name in self.settings["capabilities"]]

    def processCommand(self, command: bytes, *args: bytes) -> Any:  # noqa: N802  Twisted's name
        if self.blocked is None and command.upper().decode("latin-1") in self.settings["refuse"]:
            return self.failResponse(b"unknown command")
        try:
            return super().processCommand(command, *args)
        except Exception as error:  # whatever goes wrong in here, POP3 has one word for it
            return self.failResponse(repr(error).encode())

    def transformChunk(self, chunk: bytes) -> bytes:  # noqa: N802  Twisted's name
        return chunk  # the mailbox has stuffed it; Twisted's own way rewrites line ends

    def do_TOP(self, i: bytes, size: bytes) -> None:  # noqa: N802  Twisted's name
        head, blank, body = self.mbox.content(int(i) - 1).partition(b"\r\n\r\n")
        top = b"".join(line + b"\r\n" for line in body.split(b"\r\n")[: int(size)])
        self.successResponse(b"top follows")
        self.transport.write(stuffed(ended(head + blank + top)) + b".\r\n")

    def authenticateUserPASS(self, user: bytes, password: bytes) -> Any:  # noqa: N802  Twisted's name
        if (user, password) != (self.settings["user"].encode(), self.settings["password"].encode()):
            raise UnauthorizedLogin
        return pop3.IMailbox, Mailbox(Path(self.settings["directory"])), lambda: None

    def authenticateUserAPOP(self, user: bytes, digest: bytes) -> Any:  # noqa: N802  Twisted's name
        password = self.settings["password"].encode()
        # Twisted's own check compares text with octets, so it never lets anybody in.
        if digest != hashlib.md5(self.magic + password).hexdigest().encode():
            raise UnauthorizedLogin
        return self.authenticateUserPASS(user, password)


def main() -> None:
    """Serve until the parent ends; the first line printed is the port."""
    Protocol.settings = json.loads(Path(sys.argv[1]).read_text())
    end_with_parent()
    factory: Any = Factory()
    factory.protocol = Protocol
    factory.noisy = False
    print(reactor.listenTCP(0, factory, interface=HOST).getHost().port)
    reactor.run()


if __name__ == "__main__":
    main()
