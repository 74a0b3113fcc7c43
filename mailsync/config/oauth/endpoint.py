"""One request to an authorization server: a form posted over TLS, JSON that comes back (RFC 6749
section 3.2). Knows no grant; every error of the network becomes ours here.
"""

from __future__ import annotations

import json
import socket
import ssl
from dataclasses import dataclass, field
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

TIMEOUT: Final = 20.0
"""Seconds an authorization server may be silent."""

_LONGEST: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status of HTTP, and the JSON object in it."""

    status: int
    told: dict[str, object] = field(repr=False)


def post(account: str, url: str, form: str) -> Answer:
    """Post `form`, urlencoded, to `url`, for `account`.

    Raises Unreachable, TlsError, ConnectionLost, ServerBusy or ProtocolViolation; what a server
    refuses in JSON is an answer. No redirection is followed: secrets go nowhere else.
    """
    from http.client import HTTPException  # noqa: PLC0415  not needed where nothing is asked
    from urllib.error import HTTPError, URLError  # noqa: PLC0415
    from urllib.request import HTTPRedirectHandler, Request, build_opener  # noqa: PLC0415

    class Stay(HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    request = Request(  # noqa: S310  the configuration takes https alone
        url,
        form.encode("ascii"),
        {
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded",
            "User-Agent": f"mailsync/{__version__}",
        },
    )
    try:
        try:
            with build_opener(Stay).open(request, timeout=TIMEOUT) as response:
                status, raw = response.status, response.read(_LONGEST)
        except HTTPError as refusal:
            with refusal:
                status, raw = refusal.code, refusal.read(_LONGEST)
    except (URLError, OSError, HTTPException, ValueError) as error:
        raise _trouble(account, url, error) from None
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
    cause = getattr(error, "reason", error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return TlsError(account, f"{host} cannot be trusted: {cause.verify_message}")
    if isinstance(cause, ssl.SSLError):
        return TlsError(
            account, f"{host} speaks no TLS that is safe: {cause.reason or 'no reason'}"
        )
    if isinstance(cause, TimeoutError):
        return ConnectionLost(account, f"{host} was silent for {TIMEOUT:g} s")
    if isinstance(cause, socket.gaierror):
        return Unreachable(
            account, f"unknown host {host}: check the address, and that this machine is online"
        )
    if isinstance(cause, ConnectionRefusedError):
        return Unreachable(account, f"{host} refuses connections: check the address")
    if isinstance(cause, OSError) and cause.strerror:
        return ConnectionLost(account, f"the connection to {host} broke: {cause.strerror}")
    return ConnectionLost(account, f"the connection to {host} broke off")
