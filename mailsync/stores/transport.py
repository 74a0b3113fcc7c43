"""One TCP or TLS connection: connect, encrypt, read lines and octets exactly, write without
deadlock.

Knows sockets and certificates; knows neither POP3 nor IMAP. Every socket and TLS error becomes ours
here, once, with words a mailbox owner understands. Not thread-safe.
"""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
import ssl
import time
from collections.abc import Callable
from typing import Final

from mailsync.errors import (
    ConnectionLost,
    ProtocolViolation,
    StoreUnavailable,
    TlsError,
)
from mailsync.stores.endpoint import Endpoint
from mailsync.stores.pace import Pace, TooSlow
from mailsync.stores.reach import reach
from mailsync.stores.tls import TlsSocket, tls_context
from mailsync.stores.tls_trouble import handshake_trouble, reason

_CHUNK: Final = 256 * 1024
_LARGE: Final = 4 * _CHUNK
QUIET: Final = 5.0
"""Seconds without a greeting after which we ask ourselves whether the server waits for us."""

LINE_LIMIT: Final = 64 * 1024 * 1024
"""A line longer than this, in octets, is not mail but an attack or a broken server; real ones reach
a few megabytes.
"""


def is_loopback(host: str) -> bool:
    """Return whether `host` can only be this machine: localhost or a loopback address."""
    if host.lower().rstrip(".") in {"localhost", "ip6-localhost"}:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Connection:
    """An open connection to `endpoint`; made by `connect`."""

    def __init__(
        self,
        sock: socket.socket,
        endpoint: Endpoint,
        account: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.endpoint = endpoint
        self.account = account
        self.received = 0
        self.sent = 0
        self._sock: socket.socket | TlsSocket = sock
        self._buffer = bytearray()
        self._start = 0
        self._reading = Pace(2 * endpoint.timeout, clock)
        # A server may digest what it has for long, and say so, before it takes more.
        self._writing = Pace(10 * endpoint.timeout, clock)

    @property
    def encrypted(self) -> bool:
        """Whether what we send now is encrypted."""
        return isinstance(self._sock, TlsSocket)

    def start_tls(self) -> None:
        """Encrypt and verify.

        Anything the server sent before in plain text is thrown away as forged (RFC 2595,
        CVE-2011-0411).
        """
        if self._start < len(self._buffer):
            self.abandon()
            raise ProtocolViolation(
                self.account,
                f"{self.endpoint} sent unencrypted data after agreeing to encrypt; not trusted",
            )
        self._reading.begin()
        try:
            self._sock = _encrypted(self.plain(), self.endpoint, self.account, self._reading.moved)
        except StoreUnavailable:
            self.abandon()
            raise

    def readline(self, limit: int = LINE_LIMIT) -> bytes:
        """Read one line of any length up to `limit` octets, with its line end.

        Raises ConnectionLost when the connection ends first, ProtocolViolation at the limit.
        """
        searched = self._start
        self._reading.begin()
        while True:
            end = self._buffer.find(b"\n", searched)
            if end >= 0:
                line = bytes(memoryview(self._buffer)[self._start : end + 1])
                self._start = end + 1
                return line
            searched = len(self._buffer)
            if searched - self._start > limit:
                raise ProtocolViolation(
                    self.account, f"{self.endpoint} sent a line of more than {limit:,} octets"
                )
            searched -= self._fill()

    def read(self, octets: int) -> bytes:
        """Read exactly so many octets; raises ConnectionLost when the connection ends first."""
        have = len(self._buffer) - self._start
        if octets <= have:
            data = bytes(memoryview(self._buffer)[self._start : self._start + octets])
            self._start += octets
            return data
        # Large literals go straight to their place: no growing buffer, one copy at the end.
        target = bytearray(octets)
        view = memoryview(target)
        view[:have] = memoryview(self._buffer)[self._start :]
        self._buffer.clear()
        self._start = 0
        self._reading.begin()
        while have < octets:
            have += self._receive_into(view[have:])
        view.release()
        return bytes(target)

    def read_until(self, terminator: bytes, keep: int, limit: int) -> bytes:
        """Read past `terminator`; returns what stood before it and its first `keep` octets.

        Raises ConnectionLost, and ProtocolViolation once more than `limit` octets came without
        it.
        """
        searched = self._start
        self._reading.begin()
        while True:
            end = self._buffer.find(terminator, searched)
            if end >= 0:
                data = bytes(memoryview(self._buffer)[self._start : end + keep])
                self._start = end + len(terminator)
                if self._start > _LARGE:
                    # Else a large message would lie here a second time until the next octets come.
                    del self._buffer[: self._start]
                    self._start = 0
                return data
            searched = max(self._start, len(self._buffer) - len(terminator) + 1)
            if self.buffered > limit:
                raise ProtocolViolation(
                    self.account, f"{self.endpoint} sent an answer of more than {limit:,} octets"
                )
            searched -= self._fill()

    def peek(self, octets: int) -> bytes:
        """Return the next octets without taking them; waits until they are there."""
        self._reading.begin()
        while len(self._buffer) - self._start < octets:
            self._fill()
        return bytes(memoryview(self._buffer)[self._start : self._start + octets])

    @property
    def buffered(self) -> int:
        """How many received octets are waiting to be read."""
        return len(self._buffer) - self._start

    def readable(self, timeout: float = 0.0) -> bool:
        """Return whether a read would find something without waiting longer than `timeout`
        seconds.
        """
        if self.buffered or (isinstance(self._sock, TlsSocket) and self._sock.pending()):
            return True
        return bool(select.select([self._sock], [], [], timeout)[0])

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`.

        Answers that arrive meanwhile are taken in, so that neither side can block the other.
        """
        view = memoryview(data)
        position = 0
        self._writing.begin()
        try:
            self._sock.settimeout(0.0)
            while position < len(view) or self._unsent:
                try:
                    if position < len(view):
                        taken = self._sock.send(view[position : position + _CHUNK])
                        position += taken
                        self._writing.moved(taken)
                    elif isinstance(self._sock, TlsSocket):
                        self._sock.flush()
                except BlockingIOError:
                    self._wait()
                    self._writing.moved(0)
        except (OSError, ssl.SSLError) as error:
            raise self._broken(error) from error
        finally:
            with contextlib.suppress(OSError):
                self._sock.settimeout(self.endpoint.timeout)
        self.sent += len(view)

    def close(self) -> None:
        """Close without waiting for the other side; idempotent."""
        self.abandon()

    def abandon(self) -> None:
        """Drop the connection at once, and what was received and not read yet."""
        self._buffer.clear()
        self._start = 0
        with contextlib.suppress(OSError):
            self._sock.close()

    @property
    def _unsent(self) -> bool:
        return isinstance(self._sock, TlsSocket) and self._sock.unsent

    def plain(self) -> socket.socket:
        """Return the socket of a connection that is not encrypted."""
        if isinstance(self._sock, TlsSocket):
            raise TypeError("encrypted already")
        return self._sock

    def _wait(self) -> None:
        """Wait until the socket takes more, taking in whatever the server says in the meantime."""
        readable, writable, _ = select.select([self._sock], [self._sock], [], self.endpoint.timeout)
        if not readable and not writable:
            raise TimeoutError
        if readable:
            try:
                data = self._sock.recv(_CHUNK)
            except BlockingIOError:
                return
            if not data:
                raise ConnectionResetError("closed by the server")
            self._buffer += data
            self.received += len(data)

    def _fill(self) -> int:
        """Take in what the socket has; returns by how many octets older data moved to the front of
        the buffer.
        """
        moved = self._start
        if moved:
            del self._buffer[:moved]
            self._start = 0
        try:
            data = self._sock.recv(_CHUNK)
            self._heard(len(data))
        except (OSError, ssl.SSLError) as error:
            raise self._broken(error) from error
        if not data:
            raise ConnectionLost(self.account, f"{self.endpoint} closed the connection")
        self._buffer += data
        self.received += len(data)
        return moved

    def _receive_into(self, view: memoryview) -> int:
        try:
            count = self._sock.recv_into(view)
            self._heard(count)
        except (OSError, ssl.SSLError) as error:
            raise self._broken(error) from error
        if not count:
            raise ConnectionLost(
                self.account, f"{self.endpoint} closed the connection in the middle of a message"
            )
        self.received += count
        return count

    def _heard(self, octets: int) -> None:
        """Watch the pace of what comes; encrypted octets are watched below (`start_tls`)."""
        if not self.encrypted:
            self._reading.moved(octets)

    def _broken(self, error: OSError) -> ConnectionLost:
        if isinstance(error, TooSlow):
            return ConnectionLost(self.account, f"{self.endpoint} moved {error}")
        if isinstance(error, TimeoutError):
            return ConnectionLost(
                self.account, f"{self.endpoint} was silent for {self.endpoint.timeout:g} s"
            )
        return ConnectionLost(
            self.account, f"the connection to {self.endpoint} broke: {reason(error)}"
        )


def _encrypted(
    sock: socket.socket, endpoint: Endpoint, account: str, moved: Callable[[int], None]
) -> TlsSocket:
    """Return a socket over which TLS is agreed on. Raises TlsError, ConnectionLost."""
    context = tls_context(account, endpoint.ca_file)
    encrypted = TlsSocket(sock, context, endpoint.certified, moved)
    try:
        encrypted.handshake()
    except OSError as error:
        shown = None
        if isinstance(error, ssl.SSLCertVerificationError):
            from mailsync.stores.door import certificate_of  # noqa: PLC0415  which connects by this

            shown = certificate_of(endpoint, account)
        raise handshake_trouble(error, endpoint, account, encrypted.first, shown) from error
    return encrypted


def connect(endpoint: Endpoint, account: str) -> Connection:
    """Open a connection, encrypted from the start when `security` is `tls`.

    Raises Unreachable, ConnectionLost or TlsError.
    """
    sock = reach(endpoint, account)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # A laptop that slept, a NAT that forgot us: notice within minutes, not hours.
    for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 20), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    connection = Connection(sock, endpoint, account)
    if endpoint.security == "tls":
        connection.start_tls()
    elif (
        endpoint.timeout > QUIET
        and not connection.readable(QUIET)
        and _waits_for_tls(endpoint, account)
    ):
        connection.abandon()
        raise TlsError(
            account,
            f"{endpoint} is silent because it waits for encryption from the first byte on: use"
            " `security: tls`, or imaps:// or pop3s:// in a URL (nothing was sent)",
        )
    return connection


def _waits_for_tls(endpoint: Endpoint, account: str) -> bool:
    """Try a TLS handshake on a second connection; a certificate that is not trusted answers the
    question as well as one that is.
    """
    try:
        with reach(endpoint, account, QUIET) as sock:
            TlsSocket(
                sock,
                tls_context(account, endpoint.ca_file),
                endpoint.certified,
                Pace(2 * QUIET, time.monotonic).moved,
            ).handshake()
    except ssl.SSLCertVerificationError:
        return True
    except (OSError, StoreUnavailable):
        return False
    return True
