"""From a name to a connected socket, whichever of its addresses answers.

Where a name has several they are tried in turn, IPv6 and IPv4 mixed, the next one a quarter of a
second after the last if that has not answered (as in RFC 8305, with the order the system prefers):
a dead IPv6 line costs no minute.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

NEXT_ADDRESS: Final = 0.25
"""Seconds after which another address is tried beside one that does not answer (RFC 8305 section
5).
"""

Address: TypeAlias = tuple[int, int, int, str, Any]
"""What `socket.getaddrinfo` gives: family, type, protocol, canonical name, address."""


def dial(host: str, port: int, timeout: float) -> socket.socket:
    """Return a socket that is connected to the first address of `host` that answers; `timeout`,
    which it has from then on, holds for all of them together.

    Raises OSError: the one of the last address that refused, TimeoutError when none answered.
    """
    waiting = deque(_mixed(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
    begun: set[socket.socket] = set()
    failure = OSError(f"no address for {host}")
    deadline = time.monotonic() + timeout
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
        stack.callback(_close, begun)
        while waiting or begun:
            if waiting:
                sock, error = _begin(waiting.popleft())
                if sock is None:
                    failure = error or failure
                    continue
                begun.add(sock)
                selector.register(sock, selectors.EVENT_WRITE)
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            for key, _ in selector.select(min(left, NEXT_ADDRESS) if waiting else left):
                done: socket.socket = key.fileobj  # type: ignore[assignment]
                selector.unregister(done)
                begun.remove(done)
                code = done.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not code:
                    done.settimeout(timeout)
                    return done
                done.close()
                failure = OSError(code, os.strerror(code))
    raise failure


def _close(sockets: Iterable[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def _begin(address: Address) -> tuple[socket.socket | None, OSError | None]:
    """Begin to connect; return the socket, or the error where that fails at once."""
    family, kind, protocol, _, place = address
    try:
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        return None, error
    sock.setblocking(False)
    try:
        sock.connect(place)
    except BlockingIOError:
        pass
    except OSError as error:
        sock.close()
        return None, error
    return sock, None


def _mixed(addresses: Iterable[Address]) -> list[Address]:
    """Return the addresses with their families in turn, beginning with the one the system put
    first (RFC 8305 section 4).
    """
    families: dict[int, list[Address]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    rows = itertools.zip_longest(*families.values())
    return [address for row in rows for address in row if address is not None]
