"""What can be configured below `oauth2:`: a client of one's own and its provider, an application or
a service account that opens many people's mailboxes, or a program that prints tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from mailsync.config.oauth.presets import PRESETS
from mailsync.config.paths import ReadablePath
from mailsync.config.secrets import Secret
from mailsync.config.section import Section

_LOOPBACK: str = r"http://(?:127\.0\.0\.1|localhost)(?::[0-9]{1,5})?(?:/[!-~]*)?"


def _secure(url: str) -> str:
    if not re.fullmatch(r"https://[^\s/@#]+(?:/[^\s#]*)?", url):
        raise ValueError("must be an address that begins with https://")
    return url


def _loopback(url: str) -> str:
    if not re.fullmatch(_LOOPBACK, url):
        raise ValueError(
            "must be an address of this machine, such as http://127.0.0.1:8765/callback"
        )
    return url


def _listed(written: object) -> object:
    return tuple(written.split()) if isinstance(written, str) else written


Address: TypeAlias = Annotated[str, AfterValidator(_secure)]
Scopes: TypeAlias = Annotated[
    tuple[str, ...],
    BeforeValidator(_listed),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class PrintedToken(Section):
    """Somebody else's program logs in, and prints a token whenever one is wanted."""

    token: Annotated[
        Secret,
        Field(description="Where an access token comes from; it is asked for at each login."),
    ]


class ServiceAccount(Section):
    """A Google service account with domain-wide delegation: it opens any mailbox of a domain."""

    service_account: Annotated[
        ReadablePath,
        Field(
            description=(
                "The JSON key of a Google service account; needs the extra [service-account]."
            )
        ),
    ]
    scopes: Annotated[
        Scopes | None,
        Field(description="What the token shall be good for. Default: as the provider has it."),
    ] = None
    token_url: Annotated[
        Address | None, Field(description="Default: what stands in the key file.")
    ] = None


class Client(Section):
    """A client that is registered at a provider, with which somebody logs in; or which is let in
    by itself (`grant: client-credentials`).
    """

    later: ClassVar[dict[str, str]] = {
        "refresh_token": "`mailsync login` gets it, and keeps it in a file of its own",
        "access_token": "write it as oauth2: {token: {command: …}}",
        "password": "a token takes its place",
    }

    provider: Annotated[
        Literal["google", "microsoft", "fastmail"] | None,
        Field(description="Whose addresses to use; else write token_url and the others."),
    ] = None
    client_id: Annotated[
        str, Field(min_length=1, description="The id of the client you registered there.")
    ]
    client_secret: Annotated[
        Secret | None, Field(description="The client's secret, where it has one.")
    ] = None
    tenant: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9.-]+$",
            description=(
                "microsoft: your organisation (its id or domain), or consumers for outlook.com."
                " Default: common, for both."
            ),
        ),
    ] = None
    grant: Annotated[
        Literal["login", "client-credentials"],
        Field(
            description=(
                "login: somebody logs in once, with `mailsync login`. client-credentials: the"
                " client opens mailboxes by itself, for administrators."
            )
        ),
    ] = "login"
    scopes: Annotated[
        Scopes | None,
        Field(description="What the token shall be good for. Default: as the provider has it."),
    ] = None
    authorization_url: Annotated[
        Address | None, Field(description="Where one logs in with a browser.")
    ] = None
    token_url: Annotated[Address | None, Field(description="Where tokens are given out.")] = None
    device_url: Annotated[
        Address | None, Field(description="Where a login on another device begins (RFC 8628).")
    ] = None
    revocation_url: Annotated[
        Address | None, Field(description="Where `mailsync logout` ends a login (RFC 7009).")
    ] = None
    redirect_url: Annotated[
        str | None,
        AfterValidator(lambda url: url and _loopback(url)),
        Field(
            description=(
                "The address of this machine under which the client is registered. Default: any"
                " free port."
            )
        ),
    ] = None

    @model_validator(mode="after")
    def _is_enough(self) -> Self:
        wrong = next((what for found, what in self._mistakes() if found), None)
        if wrong:
            raise PydanticCustomError("oauth2", "cannot be used so: {wrong}", {"wrong": wrong})
        return self

    def _mistakes(self) -> Iterator[tuple[bool, str]]:
        """Yield what would be wrong with such settings, and whether it is; the gravest first."""
        preset = PRESETS.get(self.provider or "")
        alone = self.grant == "client-credentials"
        if preset is None:
            yield self.token_url is None, "`provider` or `token_url` is missing"
            yield self.scopes is None, "`scopes` is missing: say what the token shall be good for"
            yield (
                not (alone or self.authorization_url or self.device_url),
                "`authorization_url` or `device_url` is missing: say where one logs in",
            )
        elif alone:
            yield (
                not preset.application_scopes,
                f"{self.provider} has no client-credentials; Google has `service_account` instead",
            )
            yield self.tenant is None, "`tenant` is missing: name the organisation"
        yield (
            self.tenant is not None and self.provider != "microsoft",
            "`tenant` belongs to `provider: microsoft`",
        )
        yield (
            self.client_secret is None and alone,
            "`client_secret` is missing: client-credentials are nothing without it",
        )
        yield (
            self.client_secret is None and preset is not None and preset.demands_secret,
            "`client_secret` is missing: Google wants it, of desktop clients too",
        )


def form_of(given: object) -> str:
    """Return which of the forms is meant, so that only its own mistakes are told."""
    if isinstance(given, PrintedToken) or (isinstance(given, dict) and "token" in given):
        return "token"
    if isinstance(given, ServiceAccount) or (
        isinstance(given, dict) and "service_account" in given
    ):
        return "service_account"
    return "client"


FORMS: dict[str, type[Section]] = {
    "token": PrintedToken,
    "service_account": ServiceAccount,
    "client": Client,
}

OAuth2: TypeAlias = Annotated[
    Annotated[PrintedToken, Tag("token")]
    | Annotated[ServiceAccount, Tag("service_account")]
    | Annotated[Client, Tag("client")],
    Discriminator(form_of),
]
