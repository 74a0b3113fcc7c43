"""`mailsync init`, its first part: which server an address has its mail on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, TypeVar

import click

from mailsync.app.discovery import Found, Network, from_table, look_up
from mailsync.cli.dialogue import Dialogue
from mailsync.config.providers import SIGN_IN_WORDS, Provider
from mailsync.config.values import checked_host, checked_user
from mailsync.errors import ConfigError
from mailsync.formats.servers import PORTS, IncomingServer, Protocol
from mailsync.formats.terminal import plain

Word = TypeVar("Word", bound=str)
Security: TypeAlias = Literal["tls", "starttls", "none"]
PROTOCOLS: Final[Sequence[Protocol]] = ("imap", "pop3")
SECURITIES: Final[Sequence[Security]] = ("tls", "starttls", "none")
_SECURITY: Final = {
    "tls": "encrypted from the start",
    "starttls": "encrypted before the password is sent",
    "none": "not encrypted: on this machine only",
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A server, as it will be configured; `security` may be `none` for this machine."""

    protocol: Protocol
    host: str
    port: int
    security: Security
    username: str
    provider: Provider | None = None


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What options say of the server; None is asked for, or found out."""

    protocol: Protocol | None = None
    host: str | None = None
    port: int | None = None
    security: Security | None = None
    username: str | None = None
    look: bool | None = None
    trust_look: bool = False


def choose(
    address: str, options: ServerOptions, network: Callable[[], Network], dialogue: Dialogue
) -> Chosen:
    """Return the server of an address: what options say, the table, a look-up where that is wanted,
    or what is typed.

    Raises ConfigError where nobody is there to be asked.
    """
    if options.host is not None:
        return by_hand(address, options, dialogue)
    found = from_table(address)
    if found is None and _may_look(address, options, dialogue):
        found = _looked_up(address, network(), dialogue)
    if found is None:
        dialogue.tell("Nothing is known of this address: please type what your provider says.")
        return by_hand(address, options, dialogue)
    if not found.servers:
        if not dialogue.attended or found.provider is None or found.provider.sign_in == "none":
            raise ConfigError(_cannot(found))
        dialogue.tell(_cannot(found))
        return by_hand(address, options, dialogue)
    chosen = _taken(found, options)
    _show(chosen, found, dialogue)
    if _accepted(found, options, dialogue):
        return chosen
    return by_hand(address, options, dialogue, chosen)


def by_hand(
    address: str, options: ServerOptions, dialogue: Dialogue, before: Chosen | None = None
) -> Chosen:
    """Ask for every part of a server; what was found `before` is offered."""
    protocol = dialogue.text(
        "imap or pop3 (imap knows folders)",
        _one_of(PROTOCOLS),
        option="--protocol",
        given=options.protocol,
        default=before.protocol if before else "imap",
    )
    host = dialogue.text(
        "Server",
        checked_host,
        option="--host",
        given=options.host,
        default=before.host if before else None,
    )
    kept = before if before and before.protocol == protocol else None
    security, port = _security_and_port(protocol, options, dialogue, kept)
    username = dialogue.text(
        "User name",
        checked_user,
        option="--username",
        given=options.username,
        default=before.username if before else address,
    )
    return Chosen(protocol, host, port, security, username, before.provider if before else None)


def _security_and_port(
    protocol: Protocol, options: ServerOptions, dialogue: Dialogue, kept: Chosen | None
) -> tuple[Security, int]:
    begins_plain = options.port in {PORTS["imap", "starttls"], PORTS["pop3", "starttls"]}
    security = dialogue.text(
        "Encryption (tls, starttls or none)",
        _one_of(SECURITIES),
        option="--security",
        given=options.security,
        default=kept.security if kept else "starttls" if begins_plain else "tls",
    )
    usual = PORTS[protocol, "tls" if security == "tls" else "starttls"]
    port = dialogue.text(
        "Port",
        _port,
        option="--port",
        given=None if options.port is None else str(options.port),
        default=str(kept.port if kept and kept.security == security else usual),
    )
    return security, port


def _may_look(address: str, options: ServerOptions, dialogue: Dialogue) -> bool:
    domain = plain(address.rpartition("@")[2])
    if options.look is None and dialogue.attended:
        dialogue.tell(
            f"{domain} is not in the table of providers. mailsync can ask its web server and the"
            " domain name system, and try usual names. Your address is told to nobody but that web"
            " server, over an encrypted line; no password is sent."
        )
    return dialogue.yes("Look for its servers?", given=options.look, default=True, unasked=False)


def _looked_up(address: str, network: Network, dialogue: Dialogue) -> Found | None:
    for attempt in look_up(address, network):
        if attempt.found is not None:
            dialogue.tell(f"  {attempt.place}: found")
            return attempt.found
        dialogue.tell(f"  {attempt.place}: {plain(attempt.trouble)}")
    return None


def _taken(found: Found, options: ServerOptions) -> Chosen:
    """Choose the best server that options allow. Raises ConfigError for a protocol that it does not
    have.
    """
    able = [
        one for one in found.servers if options.protocol is None or one.protocol == options.protocol
    ]
    if not able:
        raise ConfigError(
            f"{found.where} names no server for {options.protocol}: leave --protocol out, or give"
            " --host"
        )
    best: IncomingServer = able[0]
    return Chosen(
        best.protocol,
        best.host,
        options.port or best.port,
        options.security or best.security,
        options.username or best.username,
        found.provider,
    )


def _show(chosen: Chosen, found: Found, dialogue: Dialogue) -> None:
    whose = f" ({found.provider.name})" if found.provider else ""
    dialogue.tell(f"Found by {plain(found.where)}{whose}:")
    dialogue.tell(
        f"  server:    {click.style(plain(chosen.host), bold=True)}, {chosen.protocol.upper()},"
        f" port {chosen.port}, {_SECURITY[chosen.security]}"
    )
    dialogue.tell(f"  user name: {plain(chosen.username)}")
    for doubt in found.doubts:
        dialogue.tell(f"{click.style('doubtful:', fg='yellow')} {plain(doubt)}")


def _accepted(found: Found, options: ServerOptions, dialogue: Dialogue) -> bool:
    """Return whether the server may get the password. Raises ConfigError where that is doubtful and
    nobody is there.
    """
    if not found.doubts:
        return dialogue.yes("Use this?", given=None, default=True, unasked=True)
    if options.trust_look:
        return True
    if not dialogue.attended:
        raise ConfigError(
            f"{' '.join(found.doubts)} Your password would go to that server: if it is right, give"
            f" --trust-lookup, or --host {found.servers[0].host}"
        )
    dialogue.tell(
        "Your password will go to that server. Use it only if you know it as your provider's."
    )
    return dialogue.yes("Use it?", given=None, default=False, unasked=False)


def _cannot(found: Found) -> str:
    provider = found.provider
    if provider is None:
        return f"{found.where} names no server"
    told = [f"{provider.name} ({SIGN_IN_WORDS[provider.sign_in]}).", *provider.notes]
    if provider.password_page:
        told.append(f"See {provider.password_page}.")
    if provider.sign_in != "none":
        told.append("Then give --host, --port and --username, or type them.")
    return " ".join(told)


def _one_of(words: Sequence[Word]) -> Callable[[str], Word]:
    def check(text: str) -> Word:
        for word in words:
            if word == text.strip().lower():
                return word
        raise ValueError(f"must be {', '.join(words[:-1])} or {words[-1]}")

    return check


def _port(text: str) -> int:
    if not text.strip().isdecimal() or not 0 < int(text) < 65_536:
        raise ValueError("must be a number from 1 to 65535")
    return int(text)
