"""What the domain name system says of a domain's mail: SRV (RFC 6186) and MX, through the library
dnspython, an extra.

Its answers are not proved: whoever sits on the way can write them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from mailsync.formats.servers import IncomingServer, Protocol, Security

if TYPE_CHECKING:
    from dns.resolver import Resolver

_SERVICES: Final[Sequence[tuple[str, Protocol, Security]]] = (
    ("imaps", "imap", "tls"),
    ("imap", "imap", "starttls"),
    ("pop3s", "pop3", "tls"),
    ("pop3", "pop3", "starttls"),
)


class NoAnswer(Exception):
    """Nothing can be learned from DNS; its words say why."""


def service_records(domain: str, resolver: Resolver) -> list[IncomingServer]:
    """Return the servers a domain announces, IMAP first. Raises NoAnswer where DNS does not
    answer.
    """
    found = []
    for service, protocol, security in _SERVICES:
        records = sorted(
            _answers(f"_{service}._tcp.{domain}", "SRV", resolver),
            key=lambda record: (record.priority, -record.weight),
        )
        for record in records:
            host = record.target.to_text(omit_final_dot=True)
            # The root as target says: decidedly not offered (RFC 2782).
            if host not in {"", "."}:
                found.append(IncomingServer(protocol, host, record.port, security))
    return found


def exchangers(domain: str, resolver: Resolver) -> list[str]:
    """Return the hosts that take mail for a domain, best first. Raises NoAnswer."""
    records = sorted(_answers(domain, "MX", resolver), key=lambda record: record.preference)
    hosts = [record.exchange.to_text(omit_final_dot=True) for record in records]
    return [host for host in hosts if host not in {"", "."}]


def resolver(nameserver: tuple[str, int] | None = None, timeout: float = 5.0) -> Resolver:
    """Return what asks the system's name servers, or only `nameserver`. Raises NoAnswer where the
    library, or a name server, is missing.
    """
    try:
        from dns.resolver import NoResolverConfiguration, Resolver  # noqa: PLC0415  an extra
    except ImportError:
        raise NoAnswer(
            "the library for it is not installed: pip install 'mailsync-archive[dns]'"
        ) from None
    try:
        asks = Resolver(configure=nameserver is None)
    except (NoResolverConfiguration, OSError):
        raise NoAnswer("this machine has no name server") from None
    if nameserver is not None:
        asks.nameservers, asks.port = [nameserver[0]], nameserver[1]
    asks.lifetime = timeout
    return asks


def _answers(name: str, kind: str, asks: Resolver) -> list[Any]:
    from dns import resolver as dns  # noqa: PLC0415  an extra
    from dns.exception import DNSException, Timeout  # noqa: PLC0415

    try:
        return list(asks.resolve(name, kind, search=False))
    except (dns.NXDOMAIN, dns.NoAnswer):
        return []
    except (Timeout, dns.NoNameservers):
        raise NoAnswer("no name server answers") from None
    except (DNSException, OSError) as error:
        raise NoAnswer(str(error) or type(error).__name__) from None
