"""A web server on loopback that has the pages a test gives it, over HTTP and over HTTPS."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from tests.servers.certificates import Certificate
from tests.servers.processes import HOST


@dataclass(frozen=True)
class Answer:
    """What a page is answered with."""

    body: bytes = b""
    status: int = 200
    location: str = ""


@dataclass
class Web:
    """Listens on `http` and `https` while it is entered; `pages` are known by
    `scheme://host/path`, and `asked` holds what was asked for, the query included.
    """

    certificate: Certificate
    pages: Mapping[str, Answer]
    asked: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._servers = [self._serve("http"), self._serve("https")]
        self.http, self.https = (server.server_address[1] for server in self._servers)
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def _serve(self, scheme: str) -> ThreadingHTTPServer:
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = f"{scheme}://{self.headers['Host'].partition(':')[0]}{self.path}"
                web.asked.append(url)
                answer = web.pages.get(url.partition("?")[0], Answer(status=404))
                self.send_response(answer.status)
                if answer.location:
                    self.send_header("Location", answer.location)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer((HOST, 0), Handler)
        # Threads that a client left waiting do not keep the test.
        server.daemon_threads = True
        if scheme == "https":
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(self.certificate.file)
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server
