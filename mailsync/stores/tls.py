"""How a server is trusted, and TLS over a connected socket, with the encrypted octets taken in and
sent in large pieces.

`ssl.SSLSocket` asks the kernel twice for every record, and mail servers send records of 4 KB: on a
fast line these calls cost more than the decryption. Here the records are found in memory
(`ssl.SSLObject`, as asyncio does it).
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from mailsync.errors import TlsError

_CHUNK: Final = 256 * 1024
_RECORDS: Final = 64 * 1024
"""Octets encrypted at a time."""

_TELLING: Final = 11
"""Octets of a ServerHello up to its version."""

_NOTHING: Final = memoryview(b"")


def tls_context(account: str, ca_file: Path | None) -> ssl.SSLContext:
    """Make the context that verifies a server: always chain and name, TLS 1.2 or newer.

    `ca_file` replaces the system's certificates; a server's own certificate in it is trusted as it
    is. Raises TlsError.
    """
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(
            account, f"cannot read the CA file {ca_file}: {error.strerror or error}"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


class TlsSocket:
    """What `ssl.SSLSocket` offers of a socket, as far as it is used here; made over a connected
    socket, which it owns from then on.

    A peer that hangs up without saying goodbye in TLS has ended the connection like any other
    (`recv` gives nothing). `heard` is told how many encrypted octets came, whenever some did.
    """

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        name: str,
        heard: Callable[[int], None],
    ) -> None:
        self._sock = sock
        self._heard = heard
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._unsent = _NOTHING
        self.first = b""
        """The first octets of the server, which tell whether it speaks TLS at all, and which."""

    def handshake(self) -> None:
        """Agree on keys and verify the certificate. Raises ssl.SSLError, OSError."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self.flush()
                if not self._feed():
                    raise ConnectionResetError("closed by the server") from None
            except ssl.SSLError:
                # The server is told why.
                with contextlib.suppress(OSError):
                    self.flush()
                raise
            else:
                break
        self.flush()

    def certificate(self) -> bytes | None:
        """Return the server's certificate (DER)."""
        return self._tls.getpeercert(binary_form=True)

    def certificate_words(self) -> Mapping[str, Any]:
        """Return what the server's certificate says, where it was verified, as `ssl` tells it."""
        return self._tls.getpeercert() or {}

    def recv(self, octets: int) -> bytes:
        """Return up to so many octets, none at the end; waits as the socket's timeout says."""
        target = bytearray(octets)
        return bytes(memoryview(target)[: self.recv_into(memoryview(target))])

    def recv_into(self, view: memoryview) -> int:
        """Fill `view` with what is there, at least one octet unless the connection has ended."""
        done = 0
        while done < len(view):
            try:
                count = self._tls.read(len(view) - done, view[done:])
            except ssl.SSLWantReadError:
                if done:
                    break
                # A renewal of keys is answered here, unless the line is full.
                with contextlib.suppress(BlockingIOError):
                    self.flush()
                if not self._feed():
                    break
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                break
            else:
                if not count:
                    break
                done += count  # type: ignore[operator]  # a number, where a buffer was given
        return done

    def send(self, data: memoryview) -> int:
        """Encrypt and send; tells how much was taken, some of which may wait for `flush`.

        Raises BlockingIOError when the line is full.
        """
        self.flush()
        taken = self._tls.write(data[:_RECORDS])
        with contextlib.suppress(BlockingIOError):
            self.flush()
        return taken

    def flush(self) -> None:
        """Send what was encrypted. Raises BlockingIOError when the line is full."""
        while self._unsent or self._outgoing.pending:
            if not self._unsent:
                self._unsent = memoryview(self._outgoing.read())
            self._unsent = self._unsent[self._sock.send(self._unsent) :]

    @property
    def unsent(self) -> bool:
        """Whether encrypted octets wait for `flush`."""
        return bool(self._unsent) or bool(self._outgoing.pending)

    def pending(self) -> bool:
        """Return whether octets are here that were not read."""
        return bool(self._incoming.pending) or bool(self._tls.pending())

    def settimeout(self, seconds: float) -> None:
        """Set the timeout of the socket below."""
        self._sock.settimeout(seconds)

    def fileno(self) -> int:
        """Return the descriptor of the socket below."""
        return self._sock.fileno()

    def close(self) -> None:
        """Close the socket below."""
        self._sock.close()

    def _feed(self) -> bool:
        data = self._sock.recv(_CHUNK)
        if len(self.first) < _TELLING:
            self.first += data[:_TELLING]
        self._heard(len(data))
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        return bool(data)
