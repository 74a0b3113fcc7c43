"""What went wrong with TLS, in words a mailbox owner understands."""

from __future__ import annotations

import ssl

from mailsync.errors import ConnectionLost, TlsError
from mailsync.stores.endpoint import Endpoint


def reason(error: OSError) -> str:
    """Return the words of an error of socket or TLS."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return error.strerror or str(error) or type(error).__name__


def handshake_trouble(
    error: OSError, endpoint: Endpoint, account: str
) -> TlsError | ConnectionLost:
    """Say what a TLS handshake failed for, and what may help."""
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
    return TlsError(
        account,
        f"{endpoint} does not speak TLS there ({reason(error)}); perhaps `security: starttls` or"
        " another port is meant",
    )


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
