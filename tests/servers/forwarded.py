"""Servers under ports that keep the distance of the standard ones."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest


class Forwarder(socketserver.ThreadingTCPServer):
    daemon_threads = True


@contextlib.contextmanager
def forwarded(*targets: tuple[int, int]) -> Iterator[int]:
    """Listen at a free port plus each offset and pass on to each target port; returns the free
    port."""
    with contextlib.ExitStack() as stack:
        for port in random.Random().sample(range(20000, 30000), 50):
            try:
                servers = [
                    Forwarder(("127.0.0.1", port + offset), forwarding(target))
                    for offset, target in targets
                ]
            except OSError:
                continue
            for server in servers:
                stack.enter_context(server)
                threading.Thread(target=server.serve_forever, daemon=True).start()
                stack.callback(server.shutdown)
            yield port
            return
    pytest.fail("no two free ports that far apart")


def forwarding(target: int) -> type[socketserver.BaseRequestHandler]:
    class Forwarding(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", target)) as other:
                ways = {self.request: other, other: self.request}
                while True:
                    for source in select.select(list(ways), [], [])[0]:
                        data = source.recv(65536)
                        if not data:
                            return
                        ways[source].sendall(data)

    return Forwarding
