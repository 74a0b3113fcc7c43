"""Proxies as a configuration and the environment name them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

from mailsync.config.values import checked_host
from mailsync.errors import ConfigError
from mailsync.stores.proxies import DEFAULT_PORTS, Proxy
from mailsync.stores.transport import is_loopback

PROXY_PATTERN: Final = r"^(none|(socks5h?|http)://.+)$"
_KINDS: Final[dict[str, Literal["socks5", "http"]]] = {
    "socks5": "socks5",
    "socks5h": "socks5",
    "http": "http",
}


def read_proxy(written: object) -> object:
    """Take a proxy's URL, or `none`; raises ValueError, with words that repeat no password."""
    if written is None or written == "none" or isinstance(written, Proxy):
        return written
    if not isinstance(written, str):
        raise ValueError("must be the URL of a proxy, or none")  # noqa: TRY004  pydantic's way
    return parse_proxy(written)


def parse_proxy(url: str) -> Proxy:
    """Read `socks5://[USER:PASSWORD@]HOST[:PORT]`, or `http://…`; the proxy looks up names with
    either.

    Raises ValueError, with words that repeat no password.
    """
    scheme, sign, _ = url.partition("://")
    kind = _KINDS.get(scheme.lower())
    if not sign or kind is None:
        raise ValueError(
            "must be the URL of a SOCKS5 proxy or of one for HTTP CONNECT, such as"
            " socks5://127.0.0.1:1080 or http://proxy.example:8080"
        )
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS[kind]
    except ValueError:
        raise ValueError("has no possible host or port") from None
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("must end after the port")
    if not parts.hostname:
        raise ValueError("names no host")
    user, password = (part and unquote(part) for part in (parts.username, parts.password))
    if re.search(r"[^\x20-\x7e]", f"{user or ''}{password or ''}"):
        raise ValueError("has a user name or password that no proxy can be told (ASCII only)")
    if any(part and len(part) > 255 for part in (user, password)):
        raise ValueError("has a user name or password of more than 255 characters")
    return Proxy(kind, checked_host(parts.hostname), port, user, password)


def proxy_for(
    host: str, environ: Mapping[str, str], names: Sequence[str] = ("all_proxy", "ALL_PROXY")
) -> Proxy | None:
    """Return the proxy that the environment names for `host`: `ALL_PROXY`, or the first there is of
    `names`, unless `NO_PROXY` or the host is this machine.

    Raises ConfigError.
    """
    name, url = next(((name, environ[name]) for name in names if environ.get(name)), ("", ""))
    if not url or is_loopback(host):
        return None
    if _spared(host, environ.get("no_proxy") or environ.get("NO_PROXY") or ""):
        return None
    try:
        return parse_proxy(url)
    except ValueError as error:
        raise ConfigError(f"the environment variable {name} {error}") from None


def _spared(host: str, names: str) -> bool:
    """Return whether NO_PROXY names a host: itself, a domain above it, or everything (`*`)."""
    host = host.lower().rstrip(".")
    for name in names.lower().replace(",", " ").split():
        domain = name.strip(".").removeprefix("*.")
        if domain in {"*", host} or host.endswith(f".{domain}"):
            return True
    return False
