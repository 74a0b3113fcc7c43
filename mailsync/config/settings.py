"""What can be configured: every setting, its default and its rules, each once.

The JSON Schema is made from these classes.

A setting stands here only when the program obeys it.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from mailsync import mapping
from mailsync.config.amounts import DURATION_PATTERN, SIZE_PATTERN, duration, size
from mailsync.config.paths import ReadablePath, UserPath
from mailsync.config.secrets import Secret
from mailsync.stores.transport import is_loopback

DEFAULT_PORTS: Final = {
    ("pop3", "tls"): 995,
    ("imap", "tls"): 993,
    ("pop3", "plain"): 110,
    ("imap", "plain"): 143,
}
LONGEST_NAME: Final = 200


def safe_name(name: str) -> str:
    """Return `name` if it can be one directory on any file system; raises ValueError, with words,
    if not.
    """
    if not name or name != name.strip() or name.startswith((".", "-")) or name.endswith("."):
        raise ValueError(
            "must be a plain name: not empty, not beginning with a dot or a dash, no spaces around"
            " it, no dot at the end"
        )
    if re.search(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|]', name) or not name.isprintable():
        raise ValueError(
            'must be a single plain name: none of / \\ : * ? " < > | and no control characters'
        )
    if len(name.encode()) > LONGEST_NAME:
        raise ValueError(f"must not be longer than {LONGEST_NAME} bytes")
    return name


def _host(host: str) -> str:
    if "://" in host:
        raise ValueError("must be the host name alone, without the part up to ://")
    bare = host.strip("[]")
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass
    if re.fullmatch(r"[^:]+:[0-9]+", host):
        raise ValueError("must be the host name alone; the port has a line of its own, `port:`")
    if not host or re.search(r"[\s/@:\\\x00-\x1f\x7f]", host):
        raise ValueError("must be a host name, such as imap.example.org")
    return host


def _user(name: str) -> str:
    if re.search(r"[\x00-\x1f\x7f]", name):
        raise ValueError("must not contain control characters")
    return name


def _seconds(written: object) -> object:
    """Take `90s` and `2m` beside plain seconds."""
    return (
        duration(written)
        if isinstance(written, str) and not re.fullmatch(r"[0-9.]+", written)
        else written
    )


def _span(written: object) -> object:
    return duration(written) if isinstance(written, str) else written


def _octets(written: object) -> object:
    """Take `2GB` beside plain octets."""
    return size(written) if isinstance(written, str) and not written.isdigit() else written


def _globs(globs: tuple[str, ...]) -> tuple[str, ...]:
    if not globs or not all(glob.removeprefix("!") for glob in globs):
        raise ValueError('must name mailboxes or patterns, such as ["*", "!Spam"]')
    return globs


def _mapping(names: dict[str, str]) -> dict[str, str]:
    for name in (*names, *names.values()):
        if not all(mapping.parse_name(name)):
            raise ValueError(
                f"{name!r} is not a mailbox name; levels are parted by / as in Archive/2024"
            )
    return names


class _Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, populate_by_name=True
    )

    later: ClassVar[dict[str, str]] = {}
    """Settings people may look for here, with what to do instead."""


class SeenOlderThan(_Section):
    """Messages older than this count as read."""

    seen_older_than: Annotated[
        float,
        BeforeValidator(_span),
        Field(gt=0, description="Age, such as 30d."),
        WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN}),
    ]


def _mark_form(given: object) -> str | None:
    if isinstance(given, str) and given in {"seen", "unseen"}:
        return "word"
    if isinstance(given, SeenOlderThan) or (
        isinstance(given, dict) and set(given) == {"seen_older_than"}
    ):
        return "age"
    return None


Mark = Annotated[
    Annotated[Literal["seen", "unseen"], Tag("word")] | Annotated[SeenOlderThan, Tag("age")],
    Discriminator(
        _mark_form,
        custom_error_type="mark_form",
        custom_error_message="must be seen, unseen or {seen_older_than: 30d}",
    ),
]


class DeleteAfter(_Section):
    """Messages are deleted on the server once the archive has held them for so long, and only if it
    provably does.
    """

    delete_after: Annotated[
        float,
        BeforeValidator(_span),
        Field(
            ge=0,
            description=(
                "How long the archive must have held a message before it is deleted on the server,"
                " such as 14d."
            ),
        ),
        WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN}),
    ]


def _keep_form(given: object) -> str | None:
    if given == "forever":
        return "word"
    if isinstance(given, DeleteAfter) or (
        isinstance(given, dict) and set(given) == {"delete_after"}
    ):
        return "age"
    return None


Keep = Annotated[
    Annotated[Literal["forever"], Tag("word")] | Annotated[DeleteAfter, Tag("age")],
    Discriminator(
        _keep_form,
        custom_error_type="keep_form",
        custom_error_message="must be forever or {delete_after: 14d}",
    ),
]

Octets = Annotated[
    int,
    BeforeValidator(_octets),
    Field(gt=0),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "exclusiveMinimum": 0},
                {"type": "string", "pattern": SIZE_PATTERN},
            ]
        }
    ),
]


class Limits(_Section):
    """How much may cross the line to or from this account."""

    bytes_per_day: Annotated[
        Octets | None,
        Field(description="In 24 hours, such as 2GB; a run that reaches it goes on the next day."),
    ] = None
    bytes_per_second: Annotated[Octets | None, Field(description="On average, such as 5MB.")] = None


class ArchiveSettings(_Section):
    """Where the archives lie and how they are written."""

    later: ClassVar[dict[str, str]] = {}

    root: Annotated[
        UserPath, Field(description="The directory under which every account gets its archive.")
    ]
    format: Annotated[
        Literal["maildir", "mbox"],
        Field(
            description=(
                "How messages are stored: maildir (one file a message), or mbox (one file a"
                " mailbox, appended to)."
            )
        ),
    ] = "maildir"
    dedupe: Annotated[
        Literal["message-id", "exact", "none"],
        Field(
            description=(
                "What counts as the same message: the same Message-ID and text (message-id), the"
                " same bytes (exact), nothing (none)."
            )
        ),
    ] = "message-id"


class _Account(_Section):
    """What POP3 and IMAP accounts have in common."""

    later: ClassVar[dict[str, str]] = {
        "keyring": 'use password: {command: "secret-tool lookup …"}',
        "oauth2": "OAuth2 is not supported; many providers offer an app password instead",
    }

    host: Annotated[str, AfterValidator(_host), Field(description="The server's name or address.")]
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
        str, AfterValidator(_user), Field(min_length=1, description="The login name.")
    ]
    password: Annotated[
        Secret | None,
        Field(
            description="Where the password comes from. Left out: it is asked for on the terminal."
        ),
    ] = None
    authorization_id: Annotated[
        str | None,
        AfterValidator(lambda name: name and _user(name)),
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
        Field(description="The name in the server's certificate, where it is not `host`."),
    ] = None
    timeout: Annotated[
        float,
        BeforeValidator(_seconds),
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
        AfterValidator(_globs),
        Field(
            description=(
                'Which mailboxes to pull: names and patterns, "!" leaves out. Default: all of your'
                " own."
            )
        ),
    ] = ("*",)
    map_: Annotated[
        dict[str, str],
        AfterValidator(_mapping),
        Field(
            alias="map",
            description=(
                "Mailboxes that shall be called otherwise on this server: name in the archive, name"
                " here."
            ),
        ),
    ] = {}
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


Account = Annotated[
    Annotated[Pop3Account, Tag("pop3")] | Annotated[ImapAccount, Tag("imap")],
    Discriminator(meant_protocol),
]


class Settings(_Section):
    """A whole configuration."""

    model_config = ConfigDict(title="mailsync configuration")

    archive: Annotated[
        ArchiveSettings, Field(description="Where the archives lie and how they are written.")
    ]
    accounts: Annotated[
        dict[str, Account],
        Field(min_length=1, description="Your logins, each under a name of your choice."),
    ]

    @field_validator("accounts")
    @classmethod
    def _tell_archives_apart(
        cls, accounts: dict[str, Pop3Account | ImapAccount]
    ) -> dict[str, Pop3Account | ImapAccount]:
        seen: dict[str, str] = {}
        for name, account in accounts.items():
            archive = account.archive or name
            first = seen.setdefault(archive.casefold(), archive)
            if first != archive:
                raise PydanticCustomError(
                    "archive_case",
                    "the archives {first} and {archive} differ only in upper and lower case, which"
                    " not every disk can tell apart: write them alike if they shall be one, else"
                    " rename one",
                    {"first": first, "archive": archive},
                )
        return accounts

    @classmethod
    def of(cls, value: object, base: Path) -> Self:
        """Validate plain values; relative paths start at `base`.

        Raises pydantic's ValidationError.
        """
        return cls.model_validate(value, context={"base": base})


def port_of(account: Pop3Account | ImapAccount) -> int:
    """Tell the port to connect to (RFC 1939, 8314, 9051)."""
    return (
        account.port
        or DEFAULT_PORTS[account.protocol, "tls" if account.security == "tls" else "plain"]
    )
