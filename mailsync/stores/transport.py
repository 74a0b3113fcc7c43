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
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mailsync.errors import ConnectionLost, ProtocolViolation, TlsError, Unreachable
from mailsync.stores.tls import TlsSocket, tls_context

_CHUNK: Final = 256 * 1024
_LARGE: Final = 4 * _CHUNK
QUIET: Final = 5.0
"""Seconds without a greeting after which we ask ourselves whether the server waits for us."""

LINE_LIMIT: Final = 64 * 1024 * 1024
"""A line longer than this, in octets, is not mail but an attack or a broken server; real ones reach
a few megabytes.
"""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens and how it is trusted.

    `security` is `tls` (from the first byte), `starttls` (upgraded before the login) or `none`.
    `ca_file` adds nothing to the system's certificates but replaces them; `tls_name` is the name
    the certificate must bear where it is not `host`. `timeout` is seconds of silence, for
    connecting and for every read and write.
    """

    host: str
    port: int
    security: str = "tls"
    ca_file: Path | None = None
    tls_name: str | None = None
    timeout: float = 60.0

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


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

    def __init__(self, sock: socket.socket, endpoint: Endpoint, account: str) -> None:
        self.endpoint = endpoint
        self.account = account
        self.received = 0
        self.sent = 0
        self._sock: socket.socket | TlsSocket = sock
        self._buffer = bytearray()
        self._start = 0

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
        try:
            context = tls_context(self.account, self.endpoint.ca_file)
            encrypted = TlsSocket(
                self._plain(), context, self.endpoint.tls_name or self.endpoint.host
            )
            encrypted.handshake()
            self._sock = encrypted
        except TlsError:
            self.abandon()
            raise
        except OSError as error:
            self.abandon()
            raise _handshake_trouble(error, self.endpoint, self.account) from error

    def readline(self) -> bytes:
        """Read one line of any length up to LINE_LIMIT, with its line end; raises ConnectionLost
        when the connection ends first.
        """
        searched = self._start
        while True:
            end = self._buffer.find(b"\n", searched)
            if end >= 0:
                line = bytes(memoryview(self._buffer)[self._start : end + 1])
                self._start = end + 1
                return line
            searched = len(self._buffer)
            if searched - self._start > LINE_LIMIT:
                raise ProtocolViolation(
                    self.account, f"{self.endpoint} sent a line of more than {LINE_LIMIT >> 20} MB"
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
        while have < octets:
            have += self._receive_into(view[have:])
        view.release()
        return bytes(target)

    def read_until(self, terminator: bytes, keep: int = 0) -> bytes:
        """Read past `terminator`; returns what stood before it, however long, and its first `keep`
        octets. Raises ConnectionLost.
        """
        searched = self._start
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
            searched -= self._fill()

    def peek(self, octets: int) -> bytes:
        """Return the next octets without taking them; waits until they are there."""
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
        try:
            self._sock.settimeout(0.0)
            while position < len(view) or self._unsent:
                try:
                    if position < len(view):
                        position += self._sock.send(view[position : position + _CHUNK])
                    elif isinstance(self._sock, TlsSocket):
                        self._sock.flush()
                except BlockingIOError:
                    self._wait()
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

    def _plain(self) -> socket.socket:
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
        except (OSError, ssl.SSLError) as error:
            raise self._broken(error) from error
        if not count:
            raise ConnectionLost(
                self.account, f"{self.endpoint} closed the connection in the middle of a message"
            )
        self.received += count
        return count

    def _broken(self, error: OSError) -> ConnectionLost:
        if isinstance(error, TimeoutError):
            return ConnectionLost(
                self.account, f"{self.endpoint} was silent for {self.endpoint.timeout:g} s"
            )
        return ConnectionLost(
            self.account, f"the connection to {self.endpoint} broke: {_reason(error)}"
        )


def connect(endpoint: Endpoint, account: str) -> Connection:
    """Open a connection, encrypted from the start when `security` is `tls`.

    Raises Unreachable, ConnectionLost or TlsError.
    """
    sock = _reached(endpoint, account)
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


def _reached(endpoint: Endpoint, account: str) -> socket.socket:
    try:
        return socket.create_connection((endpoint.host, endpoint.port), timeout=endpoint.timeout)
    except socket.gaierror as error:
        raise Unreachable(
            account,
            f"unknown host {endpoint.host!r}: check the spelling, and that this machine is online",
        ) from error
    except UnicodeError as error:
        raise Unreachable(account, f"{endpoint.host!r} is not a possible host name") from error
    except ConnectionRefusedError as error:
        raise Unreachable(
            account,
            f"{endpoint} refuses connections: check the port ({endpoint.port}) and `security`",
        ) from error
    except TimeoutError as error:
        raise ConnectionLost(
            account, f"{endpoint} did not answer in {endpoint.timeout:g} s"
        ) from error
    except (ConnectionResetError, ConnectionAbortedError) as error:
        raise ConnectionLost(account, f"{endpoint} hung up at once: {_reason(error)}") from error
    except OSError as error:
        raise Unreachable(account, f"cannot reach {endpoint}: {_reason(error)}") from error


def _waits_for_tls(endpoint: Endpoint, account: str) -> bool:
    """Try a TLS handshake on a second connection; a certificate that is not trusted answers the
    question as well as one that is.
    """
    try:
        with socket.create_connection((endpoint.host, endpoint.port), timeout=QUIET) as sock:
            TlsSocket(
                sock, tls_context(account, endpoint.ca_file), endpoint.tls_name or endpoint.host
            ).handshake()
    except ssl.SSLCertVerificationError:
        return True
    except OSError:
        return False
    return True


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return error.strerror or str(error) or type(error).__name__


def _handshake_trouble(
    error: OSError, endpoint: Endpoint, account: str
) -> TlsError | ConnectionLost:
    """Say what a TLS handshake failed for, and what may help."""
    if isinstance(error, ssl.SSLCertVerificationError):
        name = endpoint.tls_name or endpoint.host
        return TlsError(account, _certificate_trouble(error, endpoint, name))
    if isinstance(error, TimeoutError):
        return ConnectionLost(
            account, f"{endpoint} did not answer the TLS handshake in {endpoint.timeout:g} s"
        )
    if isinstance(error, ConnectionError | ssl.SSLEOFError):
        # A server that is restarting does this too, so it is worth another try.
        return ConnectionLost(
            account,
            f"{endpoint} hung up in the TLS handshake; if it always does, perhaps"
            " `security: starttls` or another port is meant",
        )
    return TlsError(
        account,
        f"{endpoint} does not speak TLS there ({_reason(error)}); perhaps `security: starttls` or"
        " another port is meant",
    )


def _certificate_trouble(error: ssl.SSLCertVerificationError, endpoint: Endpoint, name: str) -> str:
    code = error.verify_code
    if code == 10:
        return (
            f"the certificate of {endpoint} has expired; ask the server's operator to renew it"
            " (nothing was sent)"
        )
    if code in {62, 64}:
        return (
            f"the certificate of {endpoint} is for another name than {name!r}; if it is your own"
            " server, say so with `tls_name:`"
        )
    if code in {18, 19, 20, 21}:
        return (
            f"the certificate of {endpoint} is signed by nobody this machine trusts; if it is your"
            " own server, give its CA in `ca_file:`"
        )
    return f"the certificate of {endpoint} is not trusted: {error.verify_message}"
