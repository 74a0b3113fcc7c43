"""A proxy that makes loopback far away: it adds a round trip time and, if asked, caps the
bandwidth.

Half the round trip is added in each direction, and one whole round trip to the connect, as on a
real line; order and bytes are kept. It counts what passed, and how long the longest chain of words
that had to wait for an answer was: a number no noise can change much. It runs in a process of its
own, so that it never competes with the tested code for one interpreter.
"""

from __future__ import annotations

import asyncio
import collections
import json
import sys
import tempfile
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.servers.processes import HOST, Child, end_with_parent


@dataclass(frozen=True, slots=True)
class Traffic:
    """What passed on one connection, in octets.

    `turns` is the length of the longest chain in which the client spoke after it had heard what the
    server said to its last words; the greeting is heard in turn 0. On a far line each costs a round
    trip, unless it happened while other answers were on their way.
    """

    to_server: int
    from_server: int
    turns: int


class Proxy:
    """Put `rtt` seconds between a client and `target_port`; connect to `port` instead.

    Use it as a context manager.

    `bandwidth` is octets per second in each direction, None for no cap.
    """

    def __init__(self, target_port: int, rtt: float = 0.2, bandwidth: float | None = None) -> None:
        self.host = HOST
        self._ledger = tempfile.NamedTemporaryFile(prefix="wan-")  # noqa: SIM115  closed in stop()
        self._read = 0
        self._child = Child(
            [
                sys.executable,
                "-m",
                "tests.servers.wan",
                str(target_port),
                str(rtt),
                str(bandwidth or 0),
                self._ledger.name,
            ]
        )
        self.port = int(self._child.first_line())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the proxy and every connection through it."""
        self._child.stop()
        self._ledger.close()

    def traffic(self) -> list[Traffic]:
        """Return what passed on each connection that was made since the last call, when all have
        ended. Raises TimeoutError.
        """
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            said = Path(self._ledger.name).read_bytes()[self._read :]
            said = said[: said.rfind(b"\n") + 1]
            lines = [json.loads(line) for line in said.splitlines()]
            ended = [Traffic(*line) for line in lines if line]
            if ended and 2 * len(ended) == len(lines):
                self._read += len(said)
                return ended
            time.sleep(0.02)
        raise TimeoutError("a connection through the proxy is still open, or none was made")


class _Side(asyncio.Protocol):
    """One socket; what it receives leaves through `peer` after the delay."""

    def __init__(self, delay: float, rate: float) -> None:
        self.delay = delay
        self.rate = rate
        self.peer: _Side | None = None
        self.transport: asyncio.Transport | None = None
        self.waiting: collections.deque[tuple[bytes, int]] = collections.deque()
        self.early: list[
            float
        ] = []  # when those octets are due that came before the peer was there
        self.free_at = 0.0
        self.heard = 0  # the latest turn of which this side was told anything
        self.octets = 0

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
        self.octets += len(data)
        self.waiting.append((data, self.turn()))
        if self.peer is None:
            self.early.append(due)
        else:
            loop.call_at(due, self.pass_on)

    def turn(self) -> int:
        """Number what this side says now: a server answers in the turn of the words it heard."""
        return self.heard

    def pass_on(self) -> None:
        """Send the oldest waiting octets: timers of one moment may fire in any order, the queue
        keeps it.
        """
        data, turn = self.waiting.popleft()
        if self.peer and self.peer.transport and not self.peer.transport.is_closing():
            self.peer.heard = max(self.peer.heard, turn)
            self.peer.transport.write(data)

    def connection_lost(self, _: Exception | None) -> None:
        if self.peer and self.peer.transport:
            loop = asyncio.get_running_loop()
            loop.call_at(
                max(loop.time(), self.free_at) + self.delay + 0.01, self.peer.transport.close
            )


class _Front(_Side):
    """The client's side; dials the target as soon as a client comes."""

    def __init__(self, port: int, delay: float, rate: float, ledger: Path | None) -> None:
        super().__init__(delay, rate)
        self.port = port
        self.ledger = ledger
        self.turns = 0
        self.dialling: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.note(None)
        self.dialling = asyncio.get_running_loop().create_task(self.dial())

    def turn(self) -> int:
        """Number what the client says now: one more than what it has heard."""
        self.turns = self.heard + 1
        return self.turns

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.note([self.octets, self.peer.octets if self.peer else 0, self.turns])

    def note(self, what: object) -> None:
        """Add a line to the ledger: null for a connection made, its sums for one that ended."""
        if self.ledger is not None:
            with self.ledger.open("a") as ledger:
                ledger.write(json.dumps(what) + "\n")

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


async def _serve(target: int, rtt: float, rate: float, ledger: Path | None) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Front(target, rtt / 2, rate, ledger), HOST, 0)
    print(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def _main(target: str, rtt: str, rate: str, ledger: str | None = None) -> None:
    end_with_parent()
    serving: Coroutine[Any, Any, None] = _serve(
        int(target), float(rtt), float(rate), Path(ledger) if ledger else None
    )
    asyncio.run(serving)


if __name__ == "__main__":
    _main(*sys.argv[1:])
