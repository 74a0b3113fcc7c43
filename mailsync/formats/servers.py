"""Servers of mail as tables and look-ups name them, with what still depends on the address."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from mailsync.formats.hosts import bracketed

Protocol: TypeAlias = Literal["imap", "pop3"]
Security: TypeAlias = Literal["tls", "starttls"]

PORTS: Final[dict[tuple[Protocol, Security], int]] = {
    ("imap", "tls"): 993,
    ("pop3", "tls"): 995,
    ("imap", "starttls"): 143,
    ("pop3", "starttls"): 110,
}
_SCHEMES: Final[dict[str, tuple[Protocol, Security]]] = {
    "imaps": ("imap", "tls"),
    "pop3s": ("pop3", "tls"),
    "imap": ("imap", "starttls"),
    "pop3": ("pop3", "starttls"),
}


@dataclass(frozen=True, slots=True)
class IncomingServer:
    """Where mail is fetched, always encrypted; `host` and `username` may hold `{address}`,
    `{local}` and `{domain}`.
    """

    protocol: Protocol
    host: str
    port: int
    security: Security
    username: str = "{address}"

    def filled(self, address: str) -> IncomingServer:
        """Return it for an e-mail address."""
        local, _, domain = address.rpartition("@")

        def fill(text: str) -> str:
            for word, value in (("address", address), ("local", local), ("domain", domain)):
                text = text.replace(f"{{{word}}}", value)
            return text

        return replace(self, host=fill(self.host), username=fill(self.username))

    @property
    def url(self) -> str:
        """The server as a URL without a user: `imaps://imap.example.org`."""
        scheme = f"{self.protocol}{'s' if self.security == 'tls' else ''}"
        at = "" if self.port == PORTS[self.protocol, self.security] else f":{self.port}"
        return f"{scheme}://{bracketed(self.host)}{at}"


def read_server(url: str, username: str = "{address}") -> IncomingServer:
    """Read `imaps://HOST[:PORT]`; raises ValueError for what is none."""
    scheme, _, place = url.partition("://")
    host, _, port = place.partition(":")
    if scheme not in _SCHEMES or not host:
        raise ValueError(f"{url!r} is no server")
    protocol, security = _SCHEMES[scheme]
    return IncomingServer(
        protocol, host, int(port or PORTS[protocol, security]), security, username
    )
