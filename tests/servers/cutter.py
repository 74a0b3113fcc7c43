"""A proxy that breaks connections where it is told to, and writes down what both sides said."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Self

from tests.servers.processes import HOST

Direction = Literal["from_server", "to_server"]
How = Literal["close", "reset", "stall"]


@dataclass(frozen=True, slots=True)
class Cut:
    """Where to break: once `after` octets have passed in `direction` on the `connection`-th
    connection (from 1; None: on each).

    `close` ends it as a server does that stops, `reset` as a crashed machine, `stall` keeps it open
    and lets nothing more through.
    """

    after: int
    direction: Direction = "from_server"
    connection: int | None = 1
    how: How = "close"


@dataclass(slots=True)
class Dialogue:
    """The octets that passed on one connection."""

    to_server: bytearray = field(default_factory=bytearray)
    from_server: bytearray = field(default_factory=bytearray)

    @property
    def commands(self) -> list[bytes]:
        """What the client said, by lines."""
        return bytes(self.to_server).split(b"\r\n")[:-1]


class Cutter:
    """Listen on `port`, pass everything on to `target_port` until a `cut`; use it as a context
    manager.

    `cuts` may be changed at any time and holds for connections made afterwards; `dialogues` are in
    the order of connecting. `at_cut` is called before a connection breaks.
    """

    def __init__(self, target_port: int, *cuts: Cut) -> None:
        self.host = HOST
        self.cuts = list(cuts)
        self.at_cut: Callable[[], object] = lambda: None
        self.dialogues: list[Dialogue] = []
        self._target = target_port
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server((HOST, 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def said_by_client(self) -> bytes:
        """Everything clients said, connection after connection: for assertions such as "no
        STORE"."""
        return b"".join(bytes(dialogue.to_server) for dialogue in self.dialogues)

    def hang_up(self) -> None:
        """Break every connection there is now, stalled ones too; others may be made."""
        for sock in self._open[:]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """Break every connection and stop listening."""
        for sock in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(10)

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(client)
            try:
                server = socket.create_connection((HOST, self._target))
            except OSError:
                client.close()
                continue
            self._open.append(server)
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            dialogue = Dialogue()
            self.dialogues.append(dialogue)
            number = len(self.dialogues)
            line = _Line(
                client,
                server,
                dialogue,
                [cut for cut in self.cuts if cut.connection in {None, number}],
                self.at_cut,
            )
            self._start(line.pump, "to_server")
            self._start(line.pump, "from_server")


class _Line:
    """One connection through the proxy."""

    def __init__(
        self,
        client: socket.socket,
        server: socket.socket,
        dialogue: Dialogue,
        cuts: list[Cut],
        at_cut: Callable[[], object],
    ) -> None:
        self.client = client
        self.server = server
        self.dialogue = dialogue
        self.cuts = cuts
        self.at_cut = at_cut
        self.lock = threading.Lock()
        self.cut = False

    def pump(self, direction: Direction) -> None:
        source, sink = (
            (self.client, self.server) if direction == "to_server" else (self.server, self.client)
        )
        record: bytearray = getattr(self.dialogue, direction)
        here = min(
            (cut for cut in self.cuts if cut.direction == direction),
            key=lambda cut: cut.after,
            default=None,
        )
        while True:
            if here is not None and len(record) >= here.after:
                self.at_cut()
                self.break_off(here.how)
                return
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            if here is not None:
                data = data[: here.after - len(record)]
            with self.lock:
                if self.cut:
                    return
                record += data
            try:
                if data:
                    sink.sendall(data)
                else:
                    sink.shutdown(socket.SHUT_WR)
                    return
            except OSError:
                return

    def break_off(self, how: How) -> None:
        with self.lock:
            self.cut = True
        if how == "stall":
            return
        if how == "reset":
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # The other thread may sit in recv() and hold the socket open: only a shutdown of
            # reading wakes it without a FIN.
            with contextlib.suppress(OSError):
                self.client.shutdown(socket.SHUT_RD)
            self.client.close()
        else:
            with contextlib.suppress(OSError):
                self.client.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
