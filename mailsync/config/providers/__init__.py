"""The bundled table of mail providers: servers, how one signs in, what to know.

Servers come from Thunderbird's ISPDB (`ispdb.json`, under its own licence), the rest from us
(`ours.json`). Nothing here asks the network.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final, Literal, TypeAlias

from mailsync.formats.hosts import ascii_host
from mailsync.formats.servers import IncomingServer, read_server

SignIn: TypeAlias = Literal["password", "app-password", "own-password", "oauth2", "none"]

SIGN_IN_WORDS: Final[Mapping[SignIn, str]] = {
    "password": "the password of the account",
    "app-password": "an app password, made for this program alone",
    "own-password": "a password of its own for mail programs",
    "oauth2": "signing in with the browser (OAuth2)",
    "none": "not offered to mail programs",
}


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider of mail.

    `domains` are those of its addresses and of its mail exchangers, `more_exchangers` those that
    addresses never have. `sign_in` is what to try first, `tokens` whether OAuth2 is taken too.
    `connections` is how many an account may have at once, where that is known.
    """

    key: str
    name: str
    domains: tuple[str, ...]
    servers: tuple[IncomingServer, ...]
    sign_in: SignIn
    tokens: bool = False
    short: str = ""
    password_page: str = ""
    enable_page: str = ""
    help_page: str = ""
    connections: int | None = None
    notes: tuple[str, ...] = ()
    more_exchangers: tuple[str, ...] = ()
    source: str = "mailsync"

    def servers_of(self, protocol: str) -> list[IncomingServer]:
        """Return its servers that speak a protocol, best first."""
        return [server for server in self.servers if server.protocol == protocol]


@cache
def providers() -> tuple[Provider, ...]:
    """Return the whole table, by name."""
    theirs, ours = (_read(name) for name in ("ispdb.json", "ours.json"))
    found = [
        _provider({**given, **_merged(given, ours["more"].get(given["id"], {}))}, "ISPDB")
        for given in theirs["providers"]
    ]
    found += [_provider(given, "mailsync") for given in ours["providers"]]
    return tuple(sorted(found, key=lambda provider: provider.name.casefold()))


def of_domain(domain: str) -> Provider | None:
    """Return whose addresses have this domain."""
    wanted = _folded(domain)
    return next((one for one in providers() if wanted in one.domains), None)


def of_exchanger(host: str) -> Provider | None:
    """Return who runs a mail exchanger: the provider of the longest domain that it lies in."""
    name = _folded(host)
    best: tuple[int, Provider | None] = (0, None)
    for provider in providers():
        for domain in (*provider.domains, *provider.more_exchangers):
            if len(domain) > best[0] and (name == domain or name.endswith(f".{domain}")):
                best = len(domain), provider
    return best[1]


def sign_in_hint(host: str) -> str:
    """Return what to know about signing in at a mail server where a password was refused; empty
    where nothing is known, or the account's password should do.
    """
    wanted = _folded(host)
    known = (one for one in providers() if any(it.host == wanted for it in one.servers))
    provider = next(known, None)
    if provider is None or provider.sign_in == "password":
        return ""
    page = f" ({provider.password_page})" if provider.password_page else ""
    more = ": set `oauth2:`, and run `mailsync login`" if provider.sign_in == "oauth2" else page
    return f"{provider.name} wants {SIGN_IN_WORDS[provider.sign_in]}{more}"


def named(text: str) -> list[Provider]:
    """Return the providers that a word may mean: an address, a domain, a short name; else all
    whose name or domain holds it.
    """
    word = _folded(text.rpartition("@")[2])
    if not word:
        return []
    exact = of_domain(word)
    if exact is not None:
        return [exact]
    short = [one for one in providers() if word in {one.short, one.key}]
    if short:
        return short
    return [
        one
        for one in providers()
        if word in one.name.casefold() or any(word in domain for domain in one.domains)
    ]


def _folded(domain: str) -> str:
    try:
        return ascii_host(domain.strip().lower().rstrip("."))
    except ValueError:
        return domain.casefold()


def _read(name: str) -> Any:  # noqa: ANN401  our own file
    return json.loads(resources.files(__name__).joinpath(name).read_text("utf-8"))


def _merged(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    return {**ours, "domains": [*ours.get("domains", ()), *theirs["domains"]]}


def _provider(given: Mapping[str, Any], source: str) -> Provider:
    auth: Iterable[str] = given.get("auth", ("password",))
    sign_in: SignIn = "password" if "password" in auth else "oauth2"
    return Provider(
        key=given["id"],
        name=given["name"],
        domains=tuple(given["domains"]),
        servers=tuple(
            read_server(url, f"{{{given.get('user', 'address')}}}") for url in given["servers"]
        ),
        sign_in=given.get("sign_in", sign_in),
        tokens="oauth2" in auth,
        short=given.get("short", ""),
        password_page=given.get("password_page", ""),
        enable_page=given.get("enable", ""),
        help_page=given.get("help", ""),
        connections=given.get("connections"),
        notes=tuple(given.get("notes", ())),
        more_exchangers=tuple(given.get("mx", ())),
        source=source,
    )
