"""One request to an authorization server: a form posted over TLS, JSON that comes back (RFC 6749
section 3.2). Knows no grant; every error of the network becomes ours here.
"""

from __future__ import annotations

import json
import ssl
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Final
from urllib.parse import urlsplit

from mailsync import __version__
from mailsync.errors import (
    ConnectionLost,
    ProtocolViolation,
    ServerBusy,
    StoreUnavailable,
    TlsError,
    Unreachable,
)
from mailsync.formats.terminal import plain
from mailsync.stores.endpoint import Endpoint
from mailsync.stores.proxies import Proxy
from mailsync.stores.web_page import connected

TIMEOUT: Final = 20.0
"""Seconds an authorization server may be silent."""

_LONGEST: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status of HTTP, and the JSON object in it."""

    status: int
    told: dict[str, object] = field(repr=False)


def post(account: str, url: str, form: str, proxy: Proxy | None = None) -> Answer:
    """Post `form`, urlencoded, to `url`, for `account`.

    Raises Unreachable, TlsError, ConnectionLost, ServerBusy or ProtocolViolation; what a server
    refuses in JSON is an answer. No redirection is followed: secrets go nowhere else.
    """
    place = urlsplit(url)
    server = Endpoint(place.hostname or "", place.port or 443, timeout=TIMEOUT, proxy=proxy)
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/x-www-form-urlencoded",
        "User-Agent": f"mailsync/{__version__}",
    }
    target = f"{place.path or '/'}{f'?{place.query}' if place.query else ''}"
    try:
        with closing(connected(server, "https")) as connection:
            connection.request("POST", target, form.encode("ascii"), headers)
            answer = connection.getresponse()
            status, raw = answer.status, answer.read(_LONGEST)
    except Unreachable as error:
        raise Unreachable(account, f"no token is to be had: {error}") from error
    except ConnectionLost as error:
        raise ConnectionLost(account, f"no token is to be had: {error}") from error
    except (HTTPException, OSError, ValueError) as error:
        raise _trouble(account, url, error) from error
    return Answer(status, _read(account, url, status, raw))


def host_of(url: str) -> str:
    """Return whom an address belongs to, for people."""
    return plain(urlsplit(url).netloc)


def _read(account: str, url: str, status: int, raw: bytes) -> dict[str, object]:
    host = host_of(url)
    if status >= 500 or status == 429:
        raise ServerBusy(account, f"{host} has no time to give out tokens (HTTP {status})")
    if 300 <= status < 400:
        raise ProtocolViolation(
            account, f"{host} gives out no tokens at that address, but points elsewhere: check it"
        )
    try:
        told = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise ProtocolViolation(
            account, f"{host} answered with something else than a token (HTTP {status})"
        )
    return told


def _trouble(account: str, url: str, error: Exception) -> StoreUnavailable:
    host = host_of(url)
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsError(account, f"{host} cannot be trusted: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return TlsError(account, f"{host} speaks no TLS that is safe: {error.reason}")
    if isinstance(error, TimeoutError):
        return ConnectionLost(account, f"{host} was silent for {TIMEOUT:g} s")
    why = getattr(error, "strerror", None) or "it answers with something else than HTTP"
    return ConnectionLost(account, f"the connection to {host} broke: {why}")
