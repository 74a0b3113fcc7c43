"""A server's door: whether it can be reached and trusted, before anybody is asked for a password.

Nobody logs in here. Which protocol is spoken shows in the greeting.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import replace

from mailsync.errors import TlsError
from mailsync.stores.certificate import Certificate, shown_by
from mailsync.stores.endpoint import Endpoint
from mailsync.stores.reach import reach
from mailsync.stores.transport import Connection, connect


def knock(endpoint: Endpoint, account: str) -> None:
    """Connect, agree on encryption as configured, and hang up. Raises StoreUnavailable."""
    connection = connect(endpoint, account)
    try:
        if endpoint.security == "starttls":
            ask_for_tls(connection)
            connection.start_tls()
    finally:
        connection.abandon()


def certificate_of(endpoint: Endpoint, account: str) -> Certificate | None:
    """Return the certificate that the server shows, trusted or not; None where that cannot be found
    out.
    """
    plain = replace(endpoint, security="none")

    @contextlib.contextmanager
    def opened() -> Iterator[socket.socket]:
        connection = Connection(reach(plain, account), plain, account)
        try:
            if endpoint.security == "starttls":
                ask_for_tls(connection)
            yield connection.plain()
        finally:
            connection.abandon()

    return shown_by(opened, endpoint.certified)


def ask_for_tls(connection: Connection) -> None:
    """Ask for encryption by STLS or STARTTLS (RFC 2595, RFC 9051). Raises StoreUnavailable."""
    greeting = connection.readline()
    if greeting.startswith(b"+"):
        connection.write(b"STLS\r\n")
        agreed = connection.readline().startswith(b"+OK")
    else:
        connection.write(b"t STARTTLS\r\n")
        answer = connection.readline()
        while answer.startswith(b"*"):
            answer = connection.readline()
        agreed = answer.upper().startswith(b"T OK")
    if not agreed:
        raise TlsError(
            connection.account, f"{connection.endpoint} offers no encryption; nothing was sent"
        )
