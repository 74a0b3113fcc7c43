"""What can be configured of an account."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from mailsync.config.amounts import DURATION_PATTERN
from mailsync.config.oauth.settings import OAuth2
from mailsync.config.paths import ReadablePath
from mailsync.config.policies import Keep, Limits, Mark
from mailsync.config.proxy import PROXY_PATTERN, read_proxy
from mailsync.config.secrets import Secret
from mailsync.config.section import Section
from mailsync.config.values import (
    checked_globs,
    checked_host,
    checked_names,
    checked_user,
    read_seconds,
    safe_name,
)
from mailsync.stores.proxies import Proxy
from mailsync.stores.transport import is_loopback

DEFAULT_PORTS: Final = {
    ("pop3", "tls"): 995,
    ("imap", "tls"): 993,
    ("pop3", "plain"): 110,
    ("imap", "plain"): 143,
}

STANDARD_PORTS: Final = {
    protocol: {port for (kind, _), port in DEFAULT_PORTS.items() if kind == protocol}
    for protocol in ("pop3", "imap")
}


class _Account(Section):
    """What POP3 and IMAP accounts have in common."""

    later: ClassVar[dict[str, str]] = {
        "keyring": "write it as password: {keyring: SERVICE}",
        "credential": "write it as password: {credential: NAME}",
        "token": "write it as oauth2: {token: {command: …}}",
    }

    host: Annotated[
        str, AfterValidator(checked_host), Field(description="The server's name or address.")
    ]
    allow_plaintext: Annotated[
        bool,
        Field(
            description=(
                "Allow `security: none` to another machine: everybody in between can read all."
            )
        ),
    ] = False
    security: Annotated[
        Literal["tls", "starttls", "none"],
        Field(
            description=(
                "tls: encrypted from the start. starttls: encrypted before the login. none: this"
                " machine only."
            )
        ),
    ] = "tls"
    port: Annotated[
        int | None,
        Field(
            ge=1,
            le=65535,
            description="Default: 995 or 110 (POP3), 993 or 143 (IMAP), by security.",
        ),
    ] = None
    username: Annotated[
        str, AfterValidator(checked_user), Field(min_length=1, description="The login name.")
    ]
    password: Annotated[
        Secret | None,
        Field(
            description="Where the password comes from. Left out: it is asked for on the terminal."
        ),
    ] = None
    oauth2: Annotated[
        OAuth2 | None,
        Field(description="Log in with OAuth 2.0 access tokens in place of a password."),
    ] = None
    authorization_id: Annotated[
        str | None,
        AfterValidator(lambda name: name and checked_user(name)),
        Field(description="Whose mail to read with an administrator's login."),
    ] = None
    ca_file: Annotated[
        ReadablePath | None,
        Field(
            description="The CA that signed the server's certificate (PEM), where it is your own."
        ),
    ] = None
    tls_name: Annotated[
        str | None,
        AfterValidator(lambda name: name and checked_host(name)),
        Field(description="The name in the server's certificate, where it is not `host`."),
    ] = None
    proxy: Annotated[
        Proxy | Literal["none"] | None,
        BeforeValidator(read_proxy),
        Field(
            description=(
                "The proxy through which the server is reached, such as"
                " socks5://127.0.0.1:9050 or http://proxy.example:8080; none: straight there,"
                " whatever ALL_PROXY says."
            )
        ),
        WithJsonSchema({"type": "string", "pattern": PROXY_PATTERN}),
    ] = None
    timeout: Annotated[
        float,
        BeforeValidator(read_seconds),
        Field(gt=0, le=3600, description="Seconds a server may be silent."),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "number", "exclusiveMinimum": 0, "maximum": 3600},
                    {"type": "string", "pattern": DURATION_PATTERN},
                ]
            }
        ),
    ] = 60.0
    limits: Annotated[Limits, Field(description="How much may cross the line.")] = Limits()
    archive: Annotated[
        str | None,
        AfterValidator(lambda name: name and safe_name(name)),
        Field(description="Name of its archive. Default: the account's."),
    ] = None

    @field_validator("authorization_id")
    @classmethod
    def _of_passwords(cls, name: str | None, info: ValidationInfo) -> str | None:
        if name and info.data.get("oauth2"):
            raise PydanticCustomError(
                "oauth2_owner",
                "does not go with `oauth2`: write whose mailbox it is as `username`, whoever has"
                " logged in",
            )
        return name

    @field_validator("oauth2")
    @classmethod
    def _one_secret(cls, oauth2: OAuth2 | None, info: ValidationInfo) -> OAuth2 | None:
        if oauth2 and info.data.get("password"):
            raise PydanticCustomError(
                "oauth2_and_password",
                "and `password` are given: a token takes the place of the password; remove one",
            )
        return oauth2

    @field_validator("security")
    @classmethod
    def _encrypted_unless_here(cls, security: str, info: ValidationInfo) -> str:
        host = info.data.get("host")
        if (
            security == "none"
            and host is not None
            and not info.data.get("allow_plaintext")
            and not is_loopback(host)
        ):
            raise PydanticCustomError(
                "plaintext",
                "would send the password and all mail readable over the network; write tls or"
                " starttls (or, if you must, add the line `allow_plaintext: true`)",
            )
        return security

    @field_validator("proxy")
    @classmethod
    def _encrypted_through_it(
        cls, proxy: Proxy | Literal["none"] | None, info: ValidationInfo
    ) -> Proxy | Literal["none"] | None:
        if (
            isinstance(proxy, Proxy)
            and info.data.get("security") == "none"
            and not info.data.get("allow_plaintext")
        ):
            raise PydanticCustomError(
                "plaintext",
                "would see the password and all mail, since `security` is none; write tls or"
                " starttls there",
            )
        return proxy


class Pop3Account(_Account):
    """A POP3 account: a source."""

    later: ClassVar[dict[str, str]] = {
        **_Account.later,
        "mailboxes": "POP3 has only the one mailbox; mailboxes are chosen on IMAP accounts",
        "map": (
            "POP3 has only the one mailbox; names are mapped on the IMAP account that is pushed to"
        ),
        "connections": "a POP3 server lets in one connection at a time",
        "repair": "POP3 is only read from; repairs belong to the IMAP account that is pushed to",
    }

    protocol: Annotated[Literal["pop3"], Field(description="How the server is spoken to.")]
    keep: Annotated[
        Keep,
        Field(
            description=(
                "Messages on the server stay (forever), or are deleted once the archive has held"
                " them: {delete_after: 14d}."
            )
        ),
    ] = "forever"
    mark: Annotated[
        Mark,
        Field(
            description=(
                "POP3 has no flags: how messages are marked in the archive and on destinations."
            )
        ),
    ] = "seen"
    pipelining: Annotated[
        Literal["auto", "off"],
        Field(
            description="off: one command at a time, for a server that announces more than it can."
        ),
    ] = "auto"


class ImapAccount(_Account):
    """An IMAP account: a source, a destination, or both."""

    later: ClassVar[dict[str, str]] = {
        **_Account.later,
        "keep": "it belongs to POP3; from an IMAP account nothing is ever deleted",
        "mark": "it belongs to POP3; an IMAP server keeps flags itself, and they are brought along",
        "pipelining": "it belongs to POP3",
    }

    protocol: Annotated[Literal["imap"], Field(description="How the server is spoken to.")]
    backup: Annotated[
        bool,
        Field(
            description=(
                "false: messages are only sent here; pull, verify and status leave the account out"
                " unless it is named."
            )
        ),
    ] = True
    mailboxes: Annotated[
        tuple[str, ...],
        AfterValidator(checked_globs),
        Field(
            description=(
                'Which mailboxes to pull: names and patterns, "!" leaves out. Default: all of your'
                " own."
            )
        ),
    ] = ("*",)
    map_: Annotated[
        dict[str, str],
        AfterValidator(checked_names),
        Field(
            alias="map",
            description=(
                "Mailboxes that shall be called otherwise on this server: name in the archive, name"
                " here."
            ),
        ),
    ] = {}  # noqa: RUF012  pydantic copies it
    connections: Annotated[
        int, Field(ge=1, le=16, description="How many connections to use at once, at most.")
    ] = 4
    repair: Annotated[
        Literal["on-refusal", "never"],
        Field(
            description=(
                "Send a repaired copy of a message the server refuses (the archive keeps the"
                " original)."
            )
        ),
    ] = "on-refusal"


def meant_protocol(given: object) -> str:
    """Guess what is meant even where `protocol` is wrong or missing, so that the other mistakes are
    found as well.
    """
    if not isinstance(given, dict):
        return "pop3" if isinstance(given, Pop3Account) else "imap"
    said = given.get("protocol")
    if isinstance(said, str) and said:
        return "pop3" if said.lower().startswith("p") else "imap"
    return "pop3" if {"keep", "mark", "pipelining"} & set(given) else "imap"


def port_of(account: Pop3Account | ImapAccount) -> int:
    """Return the port to connect to (RFC 1939, 8314, 9051)."""
    return (
        account.port
        or DEFAULT_PORTS[account.protocol, "tls" if account.security == "tls" else "plain"]
    )
