"""Names of hosts as people write them, and as they cross the line (IDNA 2008, RFC 5891)."""

from __future__ import annotations

import ipaddress


def ascii_host(host: str) -> str:
    """Return the form of a host name that DNS, proxies and certificates know: `bücher.example`
    becomes `xn--bcher-kva.example`; addresses and ASCII names stay as they are.

    Raises ValueError, with words, for what cannot be a name.
    """
    if host.isascii():
        return host
    import idna  # noqa: PLC0415  few names need it

    try:
        # UTS 46 is how browsers read what people type: capitals, full-width dots.
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError(f"is not a possible host name: {error}") from None


def bracketed(host: str) -> str:
    """Return a host as it stands before a port or in a URL: an IPv6 address in brackets (RFC 3986
    section 3.2.2).
    """
    try:
        return f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
    except ValueError:
        return host
