"""A proxy that makes loopback far away: it adds a round trip time and, if asked, caps the bandwidth.

Half the round trip is added in each direction, and one whole round trip to the connect, as on a real line; order and bytes are kept.
It runs in a process of its own, so that it never competes with the tested code for one interpreter.
"""

from __future__ import annotations

import asyncio
import collections
import sys
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from tests.servers.processes import HOST, Child, end_with_parent


class Proxy:
    """Put `rtt` seconds between a client and `target_port`; connect to `port` instead. Use it as a context manager.

    `bandwidth` is octets per second in each direction, None for no cap.
    """

    def __init__(self, target_port: int, rtt: float = 0.2, bandwidth: float | None = None) -> None:
        self.host = HOST
        self._child = Child([sys.executable, "-m", "tests.servers.wan", str(target_port), str(rtt), str(bandwidth or 0)])
        self.port = int(self._child.first_line())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """End the proxy and every connection through it."""
        self._child.stop()


class _Side(asyncio.Protocol):
    """One socket; what it receives leaves through `peer` after the delay."""

    def __init__(self, delay: float, rate: float) -> None:
        self.delay = delay
        self.rate = rate
        self.peer: _Side | None = None
        self.transport: asyncio.Transport | None = None
        self.waiting: collections.deque[bytes] = collections.deque()
        self.early: list[float] = []  # when those octets are due that came before the peer was there
        self.free_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        if self.rate:
            self.free_at = max(self.free_at, due) + len(data) / self.rate
            due = self.free_at
        due += self.delay
        self.waiting.append(data)
        if self.peer is None:
            self.early.append(due)
        else:
            loop.call_at(due, self.pass_on)

    def pass_on(self) -> None:
        """Send the oldest waiting octets: timers of one moment may fire in any order, the queue keeps it."""
        data = self.waiting.popleft()
        if self.peer and self.peer.transport and not self.peer.transport.is_closing():
            self.peer.transport.write(data)

    def connection_lost(self, _: Exception | None) -> None:
        if self.peer and self.peer.transport:
            loop = asyncio.get_running_loop()
            loop.call_at(max(loop.time(), self.free_at) + self.delay + 0.01, self.peer.transport.close)


class _Front(_Side):
    """The client's side; dials the target as soon as a client comes."""

    def __init__(self, port: int, delay: float, rate: float) -> None:
        super().__init__(delay, rate)
        self.port = port
        self.dialling: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.dialling = asyncio.get_running_loop().create_task(self.dial())

    async def dial(self) -> None:
        loop = asyncio.get_running_loop()
        back = _Side(self.delay, self.rate)
        back.peer = self
        await asyncio.sleep(2 * self.delay)
        try:
            await loop.create_connection(lambda: back, HOST, self.port)
        except OSError:
            assert self.transport is not None
            self.transport.close()
            return
        self.peer = back
        for due in self.early:
            loop.call_at(due, self.pass_on)


async def _serve(target: int, rtt: float, rate: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Front(target, rtt / 2, rate), HOST, 0)
    print(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def _main(target: str, rtt: str, rate: str) -> None:
    end_with_parent()
    serving: Coroutine[Any, Any, None] = _serve(int(target), float(rtt), float(rate))
    asyncio.run(serving)


if __name__ == "__main__":
    _main(*sys.argv[1:])
