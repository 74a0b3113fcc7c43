"""Where an e-mail address has its mail: the bundled table, then, only if asked to, the domain's own
announcement, its DNS records, and usual names.

What a look-up says is judged here and believed by nobody else: a doubt stands beside it, for a
person to decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from mailsync.config.providers import Provider, of_domain, of_exchanger, providers
from mailsync.config.values import checked_host
from mailsync.errors import StoreUnavailable
from mailsync.formats.autoconfig import read_autoconfig
from mailsync.formats.hosts import ascii_host
from mailsync.formats.servers import PORTS, IncomingServer, Protocol, Security
from mailsync.stores import dns_records, web_page
from mailsync.stores.endpoint import Endpoint
from mailsync.stores.proxies import Proxy
from mailsync.stores.transport import connect

GUESS_TIMEOUT: Final = 5.0
_GUESSES: Final[Sequence[tuple[str, Protocol, Security]]] = (
    ("imap", "imap", "tls"),
    ("mail", "imap", "tls"),
    ("imap", "imap", "starttls"),
    ("mail", "imap", "starttls"),
    ("", "imap", "tls"),
    ("pop", "pop3", "tls"),
    ("pop3", "pop3", "tls"),
    ("mail", "pop3", "tls"),
)
_GREETINGS: Final[dict[Protocol, bytes]] = {"imap": b"* OK", "pop3": b"+OK"}


@dataclass(frozen=True, slots=True)
class Found:
    """Servers for an address, best first, with everything filled in.

    `where` says who told; `doubts` are sentences about why that may be wrong, none where it needs
    no second look. A `provider` of the table may have no servers, and then says why in its notes.
    """

    where: str
    servers: tuple[IncomingServer, ...]
    provider: Provider | None = None
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One look at one place: what it was, and what came of it, or why nothing did."""

    place: str
    found: Found | None = None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """How the network is asked. With a proxy, DNS is not: that would go past it."""

    proxy: Proxy | None = None
    nameserver: tuple[str, int] | None = None
    timeout: float = 10.0


def checked_address(text: str) -> str:
    """Return an e-mail address; raises ValueError, with words."""
    address = text.strip()
    local, _, domain = address.rpartition("@")
    if not local or not domain or not address.isprintable() or " " in address:
        raise ValueError("must be an e-mail address, such as alice@example.org")
    checked_host(domain)
    return address


def from_table(address: str) -> Found | None:
    """Return what the bundled table says; asks nobody."""
    provider = of_domain(address.rpartition("@")[2])
    return None if provider is None else _of_provider(provider, address, "the table of providers")


def look_up(address: str, network: Network) -> Iterator[Attempt]:
    """Ask one place after the other about the domain of an address, and yield what came of each;
    whoever has enough stops.

    The address itself is told to the domain's own web server only, over HTTPS.
    """
    domain = ascii_host(address.rpartition("@")[2].lower())
    yield from _announcements(domain, address, network)
    yield _records(domain, address, network)
    yield _mail_exchangers(domain, address, network)
    yield _guesses(domain, address, network)


def _of_provider(provider: Provider, address: str, where: str) -> Found:
    servers = tuple(server.filled(address) for server in provider.servers)
    return Found(where, servers, provider)


def _announcements(domain: str, address: str, network: Network) -> Iterator[Attempt]:
    """Ask the domain's web servers, encrypted ones first; plain HTTP is how many still do it."""
    whose = f"?emailaddress={quote(address)}"
    pages = (
        f"https://autoconfig.{domain}/mail/config-v1.1.xml{whose}",
        f"https://{domain}/.well-known/autoconfig/mail/config-v1.1.xml{whose}",
        f"http://autoconfig.{domain}/mail/config-v1.1.xml",
    )
    for url in pages:
        place = url.partition("/mail/")[0].removesuffix("/.well-known/autoconfig")
        try:
            page = web_page.fetch(url, network.proxy, network.timeout)
            announced = read_autoconfig(page.content, address)
        except (web_page.NoPage, ValueError) as error:
            yield Attempt(place, trouble=str(error))
            continue
        if not announced.servers:
            said = "names no server" if not announced.unencrypted else "names unencrypted ones only"
            yield Attempt(place, trouble=said)
            continue
        doubts = [] if page.proved else [f"{place} answered unencrypted: anybody could have."]
        yield Attempt(place, _judged(place, announced.servers, domain, doubts))


def _records(domain: str, address: str, network: Network) -> Attempt:
    def ask() -> Found | None:
        asks = dns_records.resolver(network.nameserver, network.timeout)
        servers = [one.filled(address) for one in dns_records.service_records(domain, asks)]
        return _judged("DNS (SRV)", servers, domain) if servers else None

    return _of_dns("DNS (SRV)", ask, network)


def _mail_exchangers(domain: str, address: str, network: Network) -> Attempt:
    def ask() -> Found | None:
        asks = dns_records.resolver(network.nameserver, network.timeout)
        for host in dns_records.exchangers(domain, asks):
            provider = of_exchanger(host)
            if provider is not None:
                return _of_provider(provider, address, f"DNS (MX): {host} is {provider.name}")
        return None

    return _of_dns("DNS (MX)", ask, network)


def _of_dns(place: str, ask: Callable[[], Found | None], network: Network) -> Attempt:
    if network.proxy is not None:
        return Attempt(place, trouble="not asked: the question would go past the proxy")
    try:
        found = ask()
    except dns_records.NoAnswer as error:
        return Attempt(place, trouble=str(error))
    return Attempt(place, found, "" if found else "says nothing of it")


def _judged(
    where: str, servers: Sequence[IncomingServer], domain: str, doubts: Sequence[str] = ()
) -> Found:
    """Return what was told, with a doubt for each host that neither lies in the domain nor is one
    of a provider of the table.
    """
    known = {server.host for provider in providers() for server in provider.servers}
    strange = [
        f"{host} lies outside {domain}."
        for host in dict.fromkeys(server.host for server in servers)
        if host.lower() not in known and not _within(host.lower(), domain)
    ]
    return Found(where, tuple(servers), None, (*doubts, *strange))


def _within(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


def _guesses(domain: str, address: str, network: Network) -> Attempt:
    """Connect to usual names; only a host that greets as such a server is taken, and that proves
    its name where it encrypts from the start. Nobody logs in.
    """
    for prefix, protocol, security in _GUESSES:
        host = f"{prefix}.{domain}" if prefix else domain
        server = IncomingServer(protocol, host, PORTS[protocol, security], security)
        if _greets(server, network):
            return Attempt("usual names", Found("its usual name", (server.filled(address),)))
    return Attempt("usual names", trouble=f"none of imap., mail. and pop.{domain} answers")


def _greets(server: IncomingServer, network: Network) -> bool:
    endpoint = Endpoint(
        server.host,
        server.port,
        server.security,
        timeout=min(network.timeout, GUESS_TIMEOUT),
        proxy=network.proxy,
    )
    try:
        with closing(connect(endpoint, server.host)) as connection:
            greeting = connection.readline(limit=4096)
            return greeting.startswith(_GREETINGS[server.protocol])
    except StoreUnavailable:
        return False
