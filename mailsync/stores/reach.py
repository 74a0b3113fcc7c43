"""From an endpoint to a connected socket: straight there, or through a proxy."""

from __future__ import annotations

import socket

from mailsync.errors import ConnectionLost, Unreachable
from mailsync.stores.dial import dial
from mailsync.stores.endpoint import Endpoint
from mailsync.stores.proxies import through
from mailsync.stores.tls_trouble import reason


def reach(endpoint: Endpoint, account: str, timeout: float | None = None) -> socket.socket:
    """Return a socket that is connected to `endpoint`, through its proxy where it has one.

    Raises Unreachable, ConnectionLost.
    """
    seconds = timeout or endpoint.timeout
    try:
        host = endpoint.address
    except ValueError as error:
        raise Unreachable(account, f"{endpoint.host!r} {error}") from error
    if endpoint.proxy is not None:
        place = str(endpoint)
        return through(
            endpoint.proxy, host, endpoint.port, timeout=seconds, account=account, place=place
        )
    try:
        return dial(host, endpoint.port, seconds)
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
        raise ConnectionLost(account, f"{endpoint} did not answer in {seconds:g} s") from error
    except (ConnectionResetError, ConnectionAbortedError) as error:
        raise ConnectionLost(account, f"{endpoint} hung up at once: {reason(error)}") from error
    except OSError as error:
        raise Unreachable(account, f"cannot reach {endpoint}: {reason(error)}") from error
