"""Proxies on loopback, which know their own names for hosts and remember what they were asked.

Both kinds are spoken on one port: SOCKS5 (RFC 1928, RFC 1929) begins with octet 5, HTTP CONNECT
with a word.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

from tests.servers.processes import HOST

Misbehaviour = Callable[[socket.socket], None]


@dataclass
class RecordingProxy:
    """Listens on `port` while it is entered; `asked` holds every host and port, as they came.

    `hosts` says which address a host has, or which address and port `host:port` stands for; what is
    missing is refused. With `login` (user and
    password) nobody gets through without it. `answer` takes the place of the proxy's own answers,
    once a client has said its first words.
    """

    hosts: Mapping[str, str | tuple[str, int]] = field(default_factory=dict)
    login: tuple[str, str] | None = None
    answer: Misbehaviour | None = None
    asked: list[tuple[str, int]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets = [self._listener]
        self._over = False
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._over = True
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._keep(client)
            self._run(self._serve, client)

    def _run(self, work: Callable[..., None], *arguments: socket.socket) -> None:
        def quietly() -> None:
            with contextlib.suppress(OSError):
                work(*arguments)

        thread = threading.Thread(target=quietly)
        self._threads.append(thread)
        thread.start()

    def _serve(self, client: socket.socket) -> None:
        first = client.recv(1, socket.MSG_PEEK)
        if self.answer is not None:
            client.recv(65_536)
            self.answer(client)
            return
        server = self._socks(client) if first == b"\x05" else self._http(client)
        if server is not None:
            self._run(self._copy, server, client)
            self._copy(client, server)

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)

    def _connect(self, host: str, port: int) -> socket.socket | None:
        self.asked.append((host, port))
        place = self.hosts.get(f"{host}:{port}", self.hosts.get(host))
        if place is None:
            return None
        return self._keep(
            socket.create_connection((place, port) if isinstance(place, str) else place)
        )

    def _keep(self, sock: socket.socket) -> socket.socket:
        with self._lock:
            self._sockets.append(sock)
            if self._over:
                sock.close()
        return sock

    def _socks(self, client: socket.socket) -> socket.socket | None:
        _, count = _exactly(client, 2)
        methods = _exactly(client, count)
        wanted = 0 if self.login is None else 2
        if wanted not in methods:
            client.sendall(b"\x05\xff")
            return None
        client.sendall(bytes([5, wanted]))
        if self.login is not None:
            _exactly(client, 1)
            user = _exactly(client, _exactly(client, 1)[0]).decode()
            password = _exactly(client, _exactly(client, 1)[0]).decode()
            client.sendall(b"\x01\x00" if (user, password) == self.login else b"\x01\x01")
            if (user, password) != self.login:
                return None
        kind = _exactly(client, 4)[3]
        if kind == 3:
            host = _exactly(client, _exactly(client, 1)[0]).decode()
        elif kind == 1:
            host = socket.inet_ntop(socket.AF_INET, _exactly(client, 4))
        else:
            host = socket.inet_ntop(socket.AF_INET6, _exactly(client, 16))
        server = self._connect(host, int.from_bytes(_exactly(client, 2), "big"))
        # The second is "host unreachable".
        client.sendall(bytes([5, 0 if server else 4, 0, 1]) + bytes(6))
        return server

    def _http(self, client: socket.socket) -> socket.socket | None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += _exactly(client, 1)
        lines = head.decode().split("\r\n")
        if self.login is not None:
            login = base64.b64encode(":".join(self.login).encode()).decode()
            if f"Proxy-Authorization: Basic {login}" not in lines:
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                return None
        host, _, port = lines[0].split()[1].rpartition(":")
        server = self._connect(host.strip("[]"), int(port))
        if server is None:
            client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return None
        # A greeting that was there first goes out in the same segment as the answer.
        server.settimeout(0.2)
        try:
            greeting = server.recv(65_536)
        except TimeoutError:
            greeting = b""
        server.settimeout(None)
        client.sendall(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n" + greeting)
        return server


def _exactly(sock: socket.socket, octets: int) -> bytes:
    data = b""
    while len(data) < octets:
        more = sock.recv(octets - len(data))
        if not more:
            raise ConnectionResetError
        data += more
    return data
