"""The certificate a server shows, trusted or not, as a person may judge it.

Nothing but this is ever said over a connection that is made to look at one.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from mailsync.errors import StoreError
from mailsync.stores.tls import TlsSocket

Opened: TypeAlias = Callable[[], AbstractContextManager[socket.socket]]
"""Brings a connection on which TLS may begin, for as long as it is looked at."""

_IGNORE_TIMES: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME, for which `ssl` has no name: an expired one can be read too."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate as it came (DER), and what it says of itself, empty where it cannot be read.

    What it says is whatever the server, or somebody in between, wrote there.
    """

    der: bytes
    names: tuple[str, ...] = ()
    issuer: str = ""
    until: str = ""

    @property
    def fingerprint(self) -> str:
        """Return its SHA-256 as people compare it, pairs of digits with colons between."""
        return hashlib.sha256(self.der).digest().hex(":").upper()

    @property
    def pem(self) -> str:
        """Return it as a file holds it."""
        return ssl.DER_cert_to_PEM_cert(self.der)


def shown_by(open_socket: Opened, name: str) -> Certificate | None:
    """Return the certificate that a server shows; None where that cannot be found out.

    It takes two connections: one that trusts anything, to get it, and one that trusts nothing else,
    for only then does `ssl` tell what stands in it.
    """
    found = _shake_hands(open_socket, name, _trusting(None))
    if found is None:
        return None
    der = found.certificate()
    if der is None:
        return None
    again = _shake_hands(open_socket, name, _trusting(der))
    said: Mapping[str, Any] = again.certificate_words() if again else {}
    return Certificate(
        der, tuple(_names(said)), _text(said.get("issuer", ())), _day(said.get("notAfter", ""))
    )


def _trusting(der: bytes | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if der is None:
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(cadata=der)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _IGNORE_TIMES
    return context


def _shake_hands(open_socket: Opened, name: str, context: ssl.SSLContext) -> TlsSocket | None:
    try:
        with open_socket() as sock:
            encrypted = TlsSocket(sock, context, name, lambda _: None)
            encrypted.handshake()
            return encrypted
    except (OSError, StoreError):
        return None


def _names(said: Mapping[str, Any]) -> Iterator[str]:
    alternatives = [text for kind, text in said.get("subjectAltName", ()) if kind != "URI"]
    if alternatives:
        yield from dict.fromkeys(alternatives)
    else:
        pairs = (pair for part in said.get("subject", ()) for pair in part)
        yield from (text for kind, text in pairs if kind == "commonName")


_TELLING: Final = ("organizationName", "commonName")


def _text(name: Any) -> str:  # noqa: ANN401  a name as `ssl` takes it apart
    parts = {kind: text for part in name for kind, text in part}
    return ", ".join(parts[kind] for kind in _TELLING if kind in parts)


def _day(written: str) -> str:
    try:
        return time.strftime("%Y-%m-%d", time.gmtime(ssl.cert_time_to_seconds(written)))
    except (ValueError, OverflowError, OSError):
        return ""
