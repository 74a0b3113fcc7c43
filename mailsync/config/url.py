"""Accounts written as URLs: `imaps://alice@new.example`, for work that needs no configuration file.

The scheme tells protocol and security: `pop3s` and `imaps` encrypt from the start; `pop3` and
`imap` require STLS or STARTTLS, except to this machine itself. The last @ parts the user from the
host, so `imaps://alice@example.org@mx.example` works as meant.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

from pydantic import ValidationError

from mailsync.config.account import STANDARD_PORTS, ImapAccount, Pop3Account, port_of
from mailsync.config.document import Document
from mailsync.config.mistakes import problems
from mailsync.errors import ConfigError
from mailsync.stores.transport import is_loopback

_SCHEMES: Final = {
    "pop3s": ("pop3", "tls"),
    "imaps": ("imap", "tls"),
    "pop3": ("pop3", "starttls"),
    "imap": ("imap", "starttls"),
}
EXAMPLE: Final = "imaps://alice@mail.example.org"


@dataclass(frozen=True, slots=True)
class UrlAccount:
    """An account from a URL.

    `name` (`imap://alice@host`) is its name in the archive; `typed` the URL, as it may be typed
    again; `directory` a name for its archive, which no other server has; `older_directory` the one
    without a port that it had in earlier versions.
    """

    name: str
    typed: str
    directory: str
    older_directory: str
    settings: Pop3Account | ImapAccount


def is_url(text: str) -> bool:
    """Return whether this is a URL; the name of a configured account holds neither : nor /."""
    return "://" in text


def parse_url(text: str) -> UrlAccount:
    """Read a URL as an account.

    Raises ConfigError, which never repeats a URL with a password in it.
    """
    scheme, _, rest = text.partition("://")
    protocol, security = _known(scheme.lower())
    user_part, host_part = _split(rest)
    user = _decoded(user_part)
    host, port = _host_and_port(host_part)
    if security == "starttls" and is_loopback(host):
        security = "none"
    given: dict[str, Any] = {
        "protocol": protocol,
        "host": host,
        "username": user,
        "security": security,
    }
    given |= {"port": port} if port else {}
    try:
        settings = (Pop3Account if protocol == "pop3" else ImapAccount).model_validate(given)
    except ValidationError as error:
        found = problems(error.errors(include_url=False, include_input=False), Document("", given))
        raise ConfigError(
            f"the URL cannot be used: {'; '.join(problem.what for problem in found)}"
        ) from None
    place = f"{user}@{settings.host}"
    # Two servers may listen on one host; the standard ports lead to the same one.
    own = "" if port_of(settings) in STANDARD_PORTS[protocol] else f",{port_of(settings)}"
    return UrlAccount(
        f"{protocol}://{place}",
        f"{scheme.lower()}://{user_part}@{host_part}",
        _directory(place + own),
        _directory(place),
        settings,
    )


def _split(rest: str) -> tuple[str, str]:
    """Part what follows the scheme into user and host."""
    authority, slash, path = rest.partition("/")
    user_part, at, host_part = authority.rpartition("@")
    if "/" in user_part or (slash and "@" in path):
        raise ConfigError("a / in the user name of a URL must be written %2F")
    if not at or not user_part:
        raise ConfigError(f"the URL names no user; write it like {EXAMPLE}")
    if ":" in user_part:
        raise ConfigError(
            "a password inside a URL would be seen by everybody who lists the processes of this"
            " machine, and stay in the shell's history. Leave it out and type it when asked, or use"
            " one of the options --…-password-command, -env, -file (a : in the user name itself is"
            " written %3A)"
        )
    if path or re.search(r"[?#]", authority):
        raise ConfigError(
            f"a URL ends after the host, like {EXAMPLE}; mailboxes are chosen with --mailbox"
        )
    return user_part, host_part


def _known(scheme: str) -> tuple[str, str]:
    if scheme not in _SCHEMES:
        near = difflib.get_close_matches(scheme, _SCHEMES, n=1, cutoff=0.5)
        meant = f"; did you mean {near[0]}://?" if near else ""
        raise ConfigError(f"a URL must begin with pop3s://, imaps://, pop3:// or imap://{meant}")
    return _SCHEMES[scheme]


def _decoded(user: str) -> str:
    try:
        return unquote_to_bytes(user).decode()
    except UnicodeError:
        raise ConfigError(
            "the user name in the URL is not UTF-8 after its %-signs are decoded"
        ) from None


def _host_and_port(text: str) -> tuple[str, str]:
    """Split host and port; an IPv6 address stands in brackets (RFC 3986 section 3.2.2)."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::([0-9]*))?", text)
    if match is None or not match[1]:
        raise ConfigError(
            f"the URL names no possible host; write it like {EXAMPLE}, an IPv6 address in brackets"
        )
    return match[1].strip("[]"), match[2] or ""


def _directory(name: str) -> str:
    """Make a safe directory name; what no file system likes is percent-encoded."""
    safe = (
        quote(name, safe="@+~!$&'()=,; ")
        if not name.isprintable() or re.search(r'[/\\:*?"<>|%]', name)
        else name
    )
    return f"%{ord(safe[0]):02X}{safe[1:]}" if safe[0] in ".- " else safe
