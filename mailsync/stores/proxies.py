"""A way to a server through a proxy: SOCKS5, or HTTP CONNECT (RFC 1928, RFC 9110 section 9.3.6).

The proxy is told the name of the server and looks it up itself, so that no look-up tells the local
network where mail is; TLS is agreed on with the server, end to end, and the proxy sees octets only.
"""

from __future__ import annotations

import base64
import re
import socket
import time
from dataclasses import dataclass, field
from typing import Final, Literal

from mailsync.errors import ConnectionLost, Unreachable
from mailsync.formats.hosts import ascii_host, bracketed
from mailsync.formats.redaction import Redactor
from mailsync.formats.terminal import plain
from mailsync.stores.dial import dial

DEFAULT_PORTS: Final = {"socks5": 1080, "http": 8080}
_HEAD_LIMIT: Final = 65_536


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where a proxy listens, and who logs in there; its password stands in no repr."""

    kind: Literal["socks5", "http"]
    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def redactor(self) -> Redactor:
        """Return what takes its password out of its words."""
        known = Redactor()
        known.learn(self.password or "", f"{self.username}:{self.password}")
        return known

    def __str__(self) -> str:
        return f"{self.kind}://{bracketed(self.host)}:{self.port}"


class _Refused(Exception):
    """The proxy answered, and does not connect; its words hold no secret any more."""


class _NoProxy(Exception):
    """There is no proxy at that place."""


def through(
    proxy: Proxy, host: str, port: int, *, timeout: float, account: str, place: str
) -> socket.socket:
    """Return a socket to `host` (an address or an ASCII name) that the proxy connected; `place` is
    what messages call it.

    Raises Unreachable, ConnectionLost.
    """
    connected = _by_socks5 if proxy.kind == "socks5" else _by_connect
    try:
        return connected(proxy, host, port, timeout)
    except _NoProxy as error:
        raise Unreachable(
            account,
            f"the proxy {proxy} cannot be reached ({_words(error)}): check `proxy:` or $ALL_PROXY",
        ) from error
    except _Refused as error:
        raise Unreachable(
            account, f"the proxy {proxy} does not connect to {place}: {_words(error)}"
        ) from error
    except TimeoutError as error:
        raise ConnectionLost(
            account, f"the proxy {proxy} did not reach {place} in {timeout:g} s"
        ) from error
    except OSError as error:
        raise ConnectionLost(
            account, f"the proxy {proxy} hung up before it reached {place}: {_words(error)}"
        ) from error


def _words(error: BaseException) -> str:
    said = getattr(error, "strerror", None) or " ".join(str(error).split())
    return plain(said[:200]) or type(error).__name__


def _by_socks5(proxy: Proxy, host: str, port: int, timeout: float) -> socket.socket:
    """Have a SOCKS5 proxy connect. Raises _NoProxy, _Refused, OSError."""
    from python_socks import (  # noqa: PLC0415  few connections need it
        ProxyConnectionError,
        ProxyError,
        ProxyType,
    )
    from python_socks.sync import Proxy as Socks  # noqa: PLC0415

    way = Socks(
        ProxyType.SOCKS5,
        ascii_host(proxy.host),
        proxy.port,
        proxy.username,
        proxy.password,
        rdns=True,
    )
    try:
        sock = way.connect(host, port, timeout=timeout)
    except ProxyConnectionError as error:
        raise _NoProxy(_words(error.__cause__ or error)) from error
    except (ProxyError, ValueError) as error:
        # ValueError: an answer whose text is none. It is not kept, for --debug would show it.
        raise _Refused(proxy.redactor().hidden(str(error))) from None
    sock.settimeout(timeout)
    return sock


def _by_connect(proxy: Proxy, host: str, port: int, timeout: float) -> socket.socket:
    """Have an HTTP proxy connect. Raises _NoProxy, _Refused, OSError.

    What follows the head of the answer is the server's: python-socks and http.client read on, and
    lose the greeting of a mail server, which speaks first.
    """
    try:
        sock = dial(ascii_host(proxy.host), proxy.port, timeout)
    except OSError as error:
        raise _NoProxy(_words(error)) from error
    try:
        sock.sendall(_connect_request(proxy, f"{bracketed(host)}:{port}"))
        status = _head(sock, time.monotonic() + timeout).partition(b"\r\n")[0]
    except BaseException:
        sock.close()
        raise
    found = re.fullmatch(rb"HTTP/1\.[01] ([0-9]{3})(?: (.*))?", status.rstrip(b"\n"))
    if found is None or not found[1].startswith(b"2"):
        sock.close()
        raise _Refused(proxy.redactor().hide(status).decode("utf-8", "replace"))
    return sock


def _connect_request(proxy: Proxy, target: str) -> bytes:
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.username is not None:
        login = base64.b64encode(f"{proxy.username}:{proxy.password or ''}".encode())
        lines.append(f"Proxy-Authorization: Basic {login.decode()}")
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")


def _head(sock: socket.socket, deadline: float) -> bytes:
    """Read an answer up to the empty line, and no octet more. Raises OSError."""
    head = bytearray()
    while not head.endswith((b"\r\n\r\n", b"\n\n")):
        octet = sock.recv(1)
        if not octet:
            raise ConnectionResetError("closed by the proxy")
        head += octet
        if len(head) > _HEAD_LIMIT or time.monotonic() > deadline:
            raise TimeoutError
    return bytes(head)
