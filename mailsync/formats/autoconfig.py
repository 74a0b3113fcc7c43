"""The XML with which a domain tells mail programs its servers (Thunderbird's "autoconfig", format
1.1).

Whatever it says is a claim of whoever served it: nothing here trusts it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from mailsync.formats.hosts import ascii_host
from mailsync.formats.servers import PORTS, IncomingServer, Protocol, Security

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_SECURITY: Final[dict[str, Security]] = {"ssl": "tls", "starttls": "starttls"}
_PROTOCOLS: Final[dict[str, Protocol]] = {"imap": "imap", "pop3": "pop3"}
_WORDS: Final = {
    "%EMAILADDRESS%": "{address}",
    "%EMAILLOCALPART%": "{local}",
    "%EMAILDOMAIN%": "{domain}",
}


@dataclass(frozen=True, slots=True)
class Announced:
    """What a domain announces: encrypted servers, best first, and how many others there were, to
    which no password may go.
    """

    servers: tuple[IncomingServer, ...]
    unencrypted: int = 0


def read_autoconfig(xml: bytes, address: str) -> Announced:
    """Read the servers for an e-mail address. Raises ValueError, with words, for what is no such
    XML.
    """
    try:
        root = fromstring(xml)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise ValueError("is no configuration for mail programs") from None
    if root.tag != "clientConfig":
        raise ValueError("is no configuration for mail programs")
    servers: list[IncomingServer] = []
    unencrypted = 0
    for element in root.iterfind("emailProvider/incomingServer"):
        protocol = _PROTOCOLS.get(element.get("type", "").lower())
        if protocol is None:
            continue
        security = _SECURITY.get(_text(element, "socketType").lower())
        if security is None:
            unencrypted += 1
            continue
        servers += _read(element, protocol, security, address)
    return Announced(tuple(sorted(servers, key=_worse)), unencrypted)


def _worse(server: IncomingServer) -> tuple[bool, bool]:
    """Sort IMAP before POP3, and what is encrypted from the start before what becomes so."""
    return server.protocol == "pop3", server.security == "starttls"


def _read(
    element: Element, protocol: Protocol, security: Security, address: str
) -> Iterator[IncomingServer]:
    port = _text(element, "port") or str(PORTS[protocol, security])
    host, username = (_words(_text(element, name)) for name in ("hostname", "username"))
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65_536:
        return
    server = IncomingServer(protocol, host, int(port), security, username or "{address}")
    server = server.filled(address)
    # Control characters could end a line of a protocol, or play with a terminal.
    if re.fullmatch(r"[\w.:-]+", server.host) and server.username.isprintable():
        try:
            ascii_host(server.host)
        except ValueError:
            return
        yield server


def _text(element: Element, name: str) -> str:
    return (element.findtext(name) or "").strip()


def _words(text: str) -> str:
    # Braces would be read as words of ours.
    text = re.sub(r"[{}]", "", text)
    for theirs, ours in _WORDS.items():
        text = text.replace(theirs, ours)
    return text
