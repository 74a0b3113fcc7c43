"""Where a server listens, and how it is trusted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens and how it is trusted.

    `security` is `tls` (from the first byte), `starttls` (upgraded before the login) or `none`.
    `ca_file` adds nothing to the system's certificates but replaces them; `tls_name` is the name
    the certificate must bear where it is not `host`. `timeout` is seconds of silence, for
    connecting and for every read and write.
    """

    host: str
    port: int
    security: str = "tls"
    ca_file: Path | None = None
    tls_name: str | None = None
    timeout: float = 60.0

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"
