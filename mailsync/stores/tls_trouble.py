"""What went wrong with TLS, in words a mailbox owner understands."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mailsync.errors import ConnectionLost, TlsError
from mailsync.stores.certificate import Certificate
from mailsync.stores.endpoint import Endpoint

_RECORDS: Final = frozenset({b"\x14", b"\x15", b"\x16", b"\x17"})
_OLD: Final = {b"\3\0": "SSL 3.0", b"\3\1": "TLS 1.0", b"\3\2": "TLS 1.1"}
_OF_THE_VERSION: Final = frozenset({"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"})

NAMES_SHOWN: Final = 5


def reason(error: OSError) -> str:
    """Return the words of an error of socket or TLS."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return error.strerror or str(error) or type(error).__name__


def handshake_trouble(
    error: OSError, endpoint: Endpoint, account: str, first: bytes, shown: Certificate | None
) -> TlsError | ConnectionLost:
    """Say what a TLS handshake failed for, and what may help; `first` are the first octets that the
    server sent, `shown` is its certificate where that was not trusted.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return certificate_trouble(error, endpoint, account, shown)
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


def certificate_trouble(
    error: ssl.SSLCertVerificationError, endpoint: Endpoint, account: str, shown: Certificate | None
) -> TlsError:
    """Say why a certificate is not trusted, which one was `shown`, and what may help."""
    code = error.verify_code
    if code == 10:
        why = f"has expired{f' on {shown.until}' if shown and shown.until else ''}"
        remedy = "ask the server's operator to renew it (nothing was sent)"
        text = f"the certificate of {endpoint} {why}; {remedy}"
    elif code in {62, 64}:
        why, text = _of_another_name(endpoint, shown)
    elif code in {18, 19, 20, 21}:
        why = "is signed by nobody this machine trusts"
        text = (
            f"the certificate of {endpoint} {why}{_described(shown)} (nothing was sent)."
            f" {_missing_file(endpoint)}If it is your own server, give its CA with --ca-file"
            " (migrate: --source-ca-file or --destination-ca-file; in a configuration: `ca_file:`);"
            " where it has none, `mailsync certificate` shows the"
            " certificate and keeps it as such a file, once you have compared its fingerprint"
        )
    else:
        why = f"is not trusted: {error.verify_message}"
        text = f"the certificate of {endpoint} {why}"
    return TlsError(account, text, why)


def _of_another_name(endpoint: Endpoint, shown: Certificate | None) -> tuple[str, str]:
    """Return what is wrong, and that with what may help."""
    name, names = endpoint.certified, shown.names if shown else ()
    why = (
        f"is for {_listed(names)}, not for {name!r}"
        if names
        else (f"is for another name than {name!r}")
    )
    plain = next((one for one in names if "*" not in one), None)
    use = f"{plain!r}" if plain else "a name it is for"
    return why, (
        f"the certificate of {endpoint} {why} (nothing was sent). If your provider calls the"
        f" server so, write {use} instead of {endpoint.host!r}; if it is your own server, allow"
        " that name with --tls-name (migrate: --source-tls-name or --destination-tls-name; in a"
        " configuration: `tls_name:`)"
    )


def _described(shown: Certificate | None) -> str:
    if shown is None:
        return ""
    names = f"it is for {_listed(shown.names)}, " if shown.names else ""
    issuer = f"signed by {shown.issuer!r}, " if shown.issuer else ""
    return f": {names}{issuer}with the SHA-256 fingerprint {shown.fingerprint}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(repr(name) for name in names[:NAMES_SHOWN]) + more


def _missing_file(endpoint: Endpoint) -> str:
    """Say where the environment names certificates that are not there."""
    variable = ssl.get_default_verify_paths().openssl_cafile_env
    named = None if endpoint.ca_file else os.environ.get(variable)
    if named is None or Path(named).is_file():
        return ""
    return f"{variable} in the environment names {named}, and there is no such file. "
