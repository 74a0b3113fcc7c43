"""What went wrong with TLS, in words a mailbox owner understands."""

from __future__ import annotations

import ssl
from typing import Final

from mailsync.errors import ConnectionLost, TlsError
from mailsync.stores.endpoint import Endpoint

_RECORDS: Final = frozenset({b"\x14", b"\x15", b"\x16", b"\x17"})
_OLD: Final = {b"\3\0": "SSL 3.0", b"\3\1": "TLS 1.0", b"\3\2": "TLS 1.1"}
_OF_THE_VERSION: Final = frozenset({"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"})


def reason(error: OSError) -> str:
    """Return the words of an error of socket or TLS."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return error.strerror or str(error) or type(error).__name__


def handshake_trouble(
    error: OSError, endpoint: Endpoint, account: str, first: bytes
) -> TlsError | ConnectionLost:
    """Say what a TLS handshake failed for, and what may help; `first` are the first octets that the
    server sent.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        name = endpoint.tls_name or endpoint.host
        return TlsError(account, certificate_trouble(error, endpoint, name))
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
    if first[:1] in _RECORDS and first[1:2] == b"\3":
        return TlsError(account, _unsafe(error, endpoint, first))
    return TlsError(
        account,
        f"{endpoint} does not speak TLS there ({reason(error)}); perhaps `security: starttls` or"
        " another port is meant",
    )


def _unsafe(error: OSError, endpoint: Endpoint, first: bytes) -> str:
    """Say what is wrong with the TLS of a server that speaks it (RFC 8446 sections 4.1.3, 5.1)."""
    hello = first[:1] == b"\x16" and first[5:6] == b"\2"
    old = _OLD.get(first[9:11]) if hello else None
    remedy = "ask the server's operator to bring it up to date (nothing was sent)"
    if old:
        return f"{endpoint} speaks only {old}, which is not safe; TLS 1.2 is needed: {remedy}"
    if isinstance(error, ssl.SSLError) and error.reason in _OF_THE_VERSION:
        return f"{endpoint} speaks only TLS older than 1.2, which is not safe: {remedy}"
    return f"{endpoint} speaks TLS, but not as safely as is needed ({reason(error)}): {remedy}"


def certificate_trouble(error: ssl.SSLCertVerificationError, endpoint: Endpoint, name: str) -> str:
    """Say why a certificate is not trusted, and what may help."""
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
