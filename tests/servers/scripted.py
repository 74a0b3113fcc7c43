"""A server that says exactly what a test wants, for faults no real server can be made to show.

```python
def dialogue(talk: Conversation) -> None:
    talk.line("* OK ready")
    login = talk.command()
    talk.line(f"{login.tag} NO [UNAVAILABLE] come back later")

with Scripted(dialogue) as server:
    ...  # connect to server.port
```
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from tests.servers.certificates import Certificate
from tests.servers.processes import HOST

_LITERAL = re.compile(rb"\{([0-9]+)(\+?)\}\r\n$")


class ClientGone(Exception):
    """The client closed the connection, or the test is over; it ends the dialogue without a
    complaint.
    """


class Unexpected(AssertionError):
    """The client said something the script does not know."""


@dataclass(frozen=True, slots=True)
class Command:
    """An IMAP command: its tag, its name in upper case, and the whole of it, literals inlined,
    without the last line end.
    """

    tag: str
    name: str
    text: bytes


class Conversation:
    """One connection as the script sees it; `number` counts connections from 1."""

    def __init__(self, sock: socket.socket, number: int, over: threading.Event) -> None:
        self.number = number
        self.heard: list[bytes] = []
        self.pause: Callable[[float], None] | None = None
        self._sock = sock
        self._over = over
        self._buffer = b""

    def readline(self) -> bytes:
        """Read one line, without its line end. Raises ClientGone."""
        return self._take_line().rstrip(b"\r\n")

    def read(self, octets: int) -> bytes:
        """Read exactly so many octets. Raises ClientGone."""
        while len(self._buffer) < octets:
            self._receive()
        data, self._buffer = self._buffer[:octets], self._buffer[octets:]
        return data

    def expect(self, pattern: str) -> re.Match[bytes]:
        """Read a line, which must match all of `pattern`, upper or lower case.

        Raises Unexpected, ClientGone.
        """
        line = self.readline()
        match = re.fullmatch(pattern.encode(), line, re.IGNORECASE | re.DOTALL)
        if match is None:
            raise Unexpected(
                f"connection {self.number}: expected {pattern!r}, the client said {line!r}"
            )
        return match

    def command(self, name: str | None = None) -> Command:
        """Read an IMAP command, asking for its literals; with `name` it must be that one.

        Raises Unexpected, ClientGone.
        """
        text = self._take_line()
        while literal := _LITERAL.search(text):
            if not literal[2]:
                self.line("+ go on")
            text += self.read(int(literal[1])) + self._take_line()
        tag, _, rest = text.rstrip(b"\r\n").partition(b" ")
        words = rest.decode("latin-1").upper().split(" ")
        found = " ".join(words[:2]) if words[0] == "UID" else words[0]
        if name is not None and found != name:
            raise Unexpected(f"connection {self.number}: expected {name}, the client said {text!r}")
        return Command(tag.decode("latin-1"), found, text.rstrip(b"\r\n"))

    def send(self, data: bytes) -> None:
        """Send octets as they are. Raises ClientGone."""
        try:
            self._sock.sendall(data)
        except OSError as error:
            raise ClientGone from error

    def line(self, *lines: str) -> None:
        """Send lines, each with its CRLF. Raises ClientGone."""
        self.send("".join(f"{line}\r\n" for line in lines).encode())

    def silence(self, seconds: float | None = None) -> None:
        """Say nothing for so long, or until the client hangs up or the test is over.

        Raises ClientGone in the latter cases. Where `pause` is set, it is told the seconds, and
        only a moment passes.
        """
        if seconds is not None:
            if self.pause is not None:
                self.pause(seconds)
                seconds = min(seconds, 0.001)
            if self._over.wait(seconds):
                raise ClientGone
            return
        while True:
            self._receive()

    def close(self) -> None:
        """End the connection in the orderly way; whatever was sent before arrives."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def reset(self) -> None:
        """Break the connection as a crashed machine does."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def start_tls(self, certificate: Certificate) -> None:
        """Encrypt from here on.

        Raises ClientGone when the client does not accept that certificate.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.file)
        try:
            self._sock = context.wrap_socket(self._sock, server_side=True)
        except OSError as error:
            raise ClientGone from error

    def _take_line(self) -> bytes:
        while b"\n" not in self._buffer:
            self._receive()
        end = self._buffer.index(b"\n") + 1
        line, self._buffer = self._buffer[:end], self._buffer[end:]
        self.heard.append(line.rstrip(b"\r\n"))
        return line

    def _receive(self) -> None:
        try:
            data = self._sock.recv(65536)
        except OSError as error:
            raise ClientGone from error
        if not data:
            raise ClientGone
        self._buffer += data


class Scripted:
    """Listen on `port` and hold `dialogue` with each client, in a thread of its own; use it as a
    context manager.

    A connection ends when its dialogue returns. An error in a dialogue, `Unexpected` above all, is
    raised again at the end of the `with` block, where the test fails with it. With a `certificate`
    connections are encrypted from the start.
    """

    def __init__(
        self, dialogue: Callable[[Conversation], None], certificate: Certificate | None = None
    ) -> None:
        self.host = HOST
        self.conversations: list[Conversation] = []
        self._dialogue = dialogue
        self._certificate = certificate
        self._errors: list[BaseException] = []
        self._over = threading.Event()
        self._listener = socket.create_server((HOST, 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop()
        if kind is None and self._errors:
            raise self._errors[0]

    @property
    def heard(self) -> list[bytes]:
        """Every line clients said, connection after connection."""
        return [line for conversation in self.conversations for line in conversation.heard]

    def stop(self) -> None:
        """Hang up on everybody and stop listening."""
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for conversation in self.conversations:
            conversation.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            conversation = Conversation(sock, len(self.conversations) + 1, self._over)
            self.conversations.append(conversation)
            thread = threading.Thread(target=self._hold, args=(conversation,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _hold(self, conversation: Conversation) -> None:
        try:
            if self._certificate is not None:
                conversation.start_tls(self._certificate)
            self._dialogue(conversation)
        except ClientGone:
            pass
        except Exception as error:
            self._errors.append(error)
        finally:
            conversation.close()
