"""A small file from a web server, over HTTPS with its certificate checked, or over plain HTTP,
which the caller is told; through the same proxy as mail.
"""

from __future__ import annotations

import contextlib
import http.client
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

from mailsync.errors import ConnectionLost, TlsError, Unreachable
from mailsync.stores.endpoint import Endpoint
from mailsync.stores.proxies import Proxy
from mailsync.stores.reach import reach
from mailsync.stores.tls import tls_context

LARGEST: Final = 256 * 1024
_REDIRECTS: Final = 3
_PIECE: Final = 16 * 1024


class NoPage(Exception):
    """There is no such page, or none that can be had; its words say why."""


@dataclass(frozen=True, slots=True)
class Page:
    """What came, from where, and whether the way there was encrypted and the host proved, all of
    it.
    """

    url: str
    content: bytes
    proved: bool


def fetch(url: str, proxy: Proxy | None = None, timeout: float = 10.0) -> Page:
    """Return the page at a URL, which may send us on a few times; `timeout` is for all of it.

    Raises NoPage.
    """
    deadline = time.monotonic() + timeout
    proved = True
    for _ in range(_REDIRECTS + 1):
        proved = proved and url.startswith("https://")
        answer = _asked(url, proxy, deadline)
        if isinstance(answer, bytes):
            return Page(url, answer, proved)
        url = urljoin(url, answer)
    raise NoPage("sends us from page to page")


def _asked(url: str, proxy: Proxy | None, deadline: float) -> bytes | str:
    """Return the content, or the URL where it is. Raises NoPage."""
    parts = urlsplit(url)
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise NoPage("sends us to an impossible place") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise NoPage("sends us to another kind of place")
    port = port or (443 if parts.scheme == "https" else 80)
    left = max(deadline - time.monotonic(), 0.1)
    try:
        connection = connected(Endpoint(host, port, timeout=left, proxy=proxy), parts.scheme)
        with contextlib.closing(connection):
            target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
            connection.request("GET", target, headers={"Accept": "text/xml, */*;q=0.1"})
            answer = connection.getresponse()
            if answer.status in {301, 302, 303, 307, 308}:
                return answer.getheader("Location") or ""
            if answer.status != http.client.OK:
                raise NoPage(f"answered {answer.status}")
            return _content(answer, deadline)
    except (http.client.HTTPException, OSError, UnicodeError) as error:
        raise NoPage(_words(error)) from error
    except (Unreachable, ConnectionLost, TlsError) as error:
        raise NoPage(str(error)) from error


def connected(endpoint: Endpoint, scheme: str) -> http.client.HTTPConnection:
    """Return a connection that has its socket, encrypted where `scheme` is https.

    Raises OSError, StoreUnavailable.
    """
    connection = http.client.HTTPConnection(endpoint.host, endpoint.port)
    sock = reach(endpoint, endpoint.host)
    if scheme == "https":
        try:
            context = tls_context(endpoint.host, None)
            sock = context.wrap_socket(sock, server_hostname=endpoint.certified)
        except OSError:
            sock.close()
            raise
    connection.sock = sock
    return connection


def _content(answer: http.client.HTTPResponse, deadline: float) -> bytes:
    content = b""
    while piece := answer.read1(_PIECE):
        content += piece
        if len(content) > LARGEST:
            raise NoPage("sends more than such a page can hold")
        if time.monotonic() > deadline:
            raise NoPage("sends too slowly")
    return content


def _words(error: Exception) -> str:
    said = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error)
    return said or type(error).__name__
