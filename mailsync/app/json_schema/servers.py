"""What check, providers, init and their like print with `--json`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mailsync.app.json_schema.runs import RunReport
from mailsync.app.json_schema.shape import Shape


class Ability(Shape):
    """One thing that a server can or cannot do."""

    name: str
    """the extension"""
    offered: bool
    """whether the server has it"""
    effect: str
    """what follows, in words"""


class FoundInFiles(Shape):
    """One mailbox in files."""

    mailbox: str
    """its name"""
    messages: int
    """how many messages can be read"""
    octets: int
    """how large they are"""
    unreadable: list[str]
    """what cannot be read, in words"""


class CheckedAccount(Shape):
    """What the server of one account can do."""

    account: str
    """its name"""
    server: str
    """host and port"""
    error: str | None
    """why the login failed, in words, else null"""
    exit_code: int
    """what that alone would end the process with"""
    mailboxes: int | None
    """how many mailboxes there are, null if not known"""
    messages: int | None
    """how many messages, null where the server does not say without opening each mailbox"""
    octets: int | None
    """how large they are (POP3, files), else null"""
    capabilities: list[str]
    """all that the server announces"""
    abilities: list[Ability]
    """what mailsync makes of it"""
    imap_instead: str | None
    """POP3: the same login over IMAP, where that works, else null"""
    kind: str | None = None
    """of files: what kind they are, else null"""
    found: list[FoundInFiles] = Field(default_factory=list)
    """of files: the mailboxes in them"""
    passed_over: list[str] = Field(default_factory=list)
    """of files: those that look like mail and are not read, in words"""


class Checked(Shape):
    """Every account."""

    accounts: list[CheckedAccount]
    """each account"""


class ProviderServer(Shape):
    """One server of a provider."""

    protocol: Literal["imap", "pop3"]
    """`imap` or `pop3`"""
    host: str
    """the host; may hold `{domain}`"""
    port: int
    """the port"""
    security: Literal["tls", "starttls"]
    """`tls` or `starttls`"""
    username: str
    """the user name: `{address}`, or `{local}`, what stands before the @"""


class Provider(Shape):
    """One mail provider."""

    key: str
    """its name for programs"""
    name: str
    """its name"""
    domains: list[str]
    """the domains of its addresses and of its mail exchangers"""
    servers: list[ProviderServer]
    """its servers, best first"""
    sign_in: Literal["password", "app-password", "own-password", "oauth2", "none"]
    """what to try first: `password`, `app-password`, `own-password`, `oauth2`; or `none`"""
    oauth2: bool
    """whether OAuth2 is taken too"""
    password_page: str | None
    """where such a password is made, else null"""
    enable_page: str | None
    """where mail programs are let in, else null"""
    help_page: str | None
    """its own help, else null"""
    connections: int | None
    """connections at once for one account, null if not known"""
    notes: list[str]
    """what else to know"""
    source: Literal["ISPDB", "mailsync"]
    """where its servers are known from: `ISPDB` or `mailsync`"""


class Providers(Shape):
    """The table of providers."""

    providers: list[Provider]
    """the whole table, or those that the name means"""


class FoundMailbox(Shape):
    """One mailbox that a first login found."""

    mailbox: str
    """its name"""
    messages: int | None
    """messages in it, null if the server does not tell"""


class SetUp(Shape):
    """The account that was set up."""

    configuration: str
    """the file that was written"""
    account: str
    """the account's name in it"""
    server: str
    """protocol, user and host"""
    archive: str
    """the directory of its archive"""
    mailboxes: list[FoundMailbox]
    """what the first login found, empty where signing in is still to come"""
    cron: str | None
    """the line for `crontab -e`, null if none was asked for"""
    reports: list[RunReport]
    """the first pull, as `pull` prints it; empty without one"""


class Certificate(Shape):
    """What a server shows of itself."""

    account: str
    """the account"""
    server: str
    """host and port"""
    trusted: bool
    """whether it is trusted"""
    distrust: str | None
    """what is wrong with it, else null"""
    names: list[str]
    """the names it is for"""
    issuer: str | None
    """who signed it, or null"""
    valid_until: str | None
    """the day on which it ends, or null"""
    fingerprint: str
    """its SHA-256, in pairs of digits with colons between"""
    pem: str
    """the certificate itself"""


class Certificates(Shape):
    """The certificate of one server."""

    certificate: Certificate
    """the certificate that the server shows"""


class LoggedIn(Shape):
    """The login at the provider, which is kept."""

    account: str
    """the account"""
    server: str
    """host and port of the mail server"""
    username: str
    """the user name there"""
    kept: str
    """the file that the login is kept in"""
    lasting: bool
    """whether it is renewed by itself"""
    mailboxes: int | None
    """how many mailboxes the mail server showed, null if it could not be asked"""
    untried: str | None
    """why the mail server could not be asked, else null"""


class LoggedOut(Shape):
    """The login that is kept no more."""

    account: str
    """the account"""
    was_there: bool
    """whether there was one"""
    revoked: bool | None
    """whether the provider has ended it too, null where it has no way for that"""
    trouble: str | None
    """why the provider was not told, else null"""
