"""Where a server listens, and how it is trusted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mailsync.formats.hosts import ascii_host, bracketed
from mailsync.stores.proxies import Proxy


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens and how it is trusted.

    `security` is `tls` (from the first byte), `starttls` (upgraded before the login) or `none`.
    `ca_file` adds nothing to the system's certificates but replaces them; `tls_name` is the name
    the certificate must bear where it is not `host`. `timeout` is seconds of silence, for
    connecting and for every read and write. With `proxy` the server is reached through that alone,
    which also looks up its name.
    """

    host: str
    port: int
    security: str = "tls"
    ca_file: Path | None = None
    tls_name: str | None = None
    timeout: float = 60.0
    proxy: Proxy | None = None

    @property
    def address(self) -> str:
        """What is looked up or connected to: the name in ASCII, or the address."""
        return ascii_host(self.host)

    @property
    def certified(self) -> str:
        """The name, or the address, that the certificate must bear."""
        return ascii_host(self.tls_name or self.host)

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"
