"""The IMAP server beside a POP3 server: the same login, with all folders and what was read.

POP3 shows the inbox alone. Whoever moves by it, and closes the old account then, loses the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from urllib.parse import quote

from mailsync.app import stores
from mailsync.app.accounts import Login
from mailsync.config.account import ImapAccount, Pop3Account
from mailsync.engine.report import Report
from mailsync.errors import AuthenticationFailed, StoreError
from mailsync.formats.hosts import bracketed
from mailsync.formats.quantities import messages
from mailsync.model import Scan, ScanRequest
from mailsync.stores.base import Source
from mailsync.stores.credentials import Secret
from mailsync.stores.transport import is_loopback

TRIAL_TIMEOUT: Final = 10.0
"""Seconds the uninvited look for an IMAP server may wait for it."""

_PORTS: Final = {"tls": 993}


@dataclass(frozen=True, slots=True)
class ImapBeside:
    """The same login over IMAP: its URL, how many mailboxes and messages it shows, the latter None
    where the server does not tell; `login` is ready for use over the archive of the POP3 account.
    """

    url: str
    mailboxes: int
    messages: int | None
    login: Login

    @property
    def mailboxes_told(self) -> str:
        """Return how many mailboxes there are, in words."""
        return f"{self.mailboxes:,} mailbox{'' if self.mailboxes == 1 else 'es'}"

    @property
    def told(self) -> str:
        """Return what there is, in words."""
        held = "" if self.messages is None else f" with {messages(self.messages)}"
        return self.mailboxes_told + held


Choose: TypeAlias = Callable[[ImapBeside, int], bool]
"""Whether IMAP shall be used instead of POP3, which shows so many messages."""


def keep_pop3(_beside: ImapBeside, _here: int) -> bool:
    """Choose POP3 whatever IMAP shows."""
    return False


def imap_beside(login: Login, secret: Secret) -> ImapBeside | None:
    """Try the same login over IMAP on the same host; None where that is no POP3 login, or does not
    work over IMAP, which is no fault of the POP3 account.
    """
    settings = login.settings
    # A token for POP3 need not be one for IMAP.
    if not isinstance(settings, Pop3Account) or not isinstance(secret, str):
        return None
    for port, security in imap_places(settings):
        account = ImapAccount(
            protocol="imap",
            host=settings.host,
            port=port,
            security=security,
            allow_plaintext=settings.allow_plaintext,
            proxy=settings.proxy,
            username=settings.username,
            authorization_id=settings.authorization_id,
            tls_name=settings.tls_name,
            timeout=min(settings.timeout, TRIAL_TIMEOUT),
            connections=1,
        ).model_copy(update={"ca_file": settings.ca_file})
        try:
            return _found(login, account, secret)
        except AuthenticationFailed:
            # It need not be refused a second time, which may lock somebody out.
            return None
        except StoreError:
            continue
    return None


def _found(login: Login, account: ImapAccount, secret: str) -> ImapBeside:
    with closing(stores.trial(login.shown, account, secret)) as source:
        listed = [mailbox for mailbox in source.mailboxes() if mailbox.selectable]
    states = [mailbox.state for mailbox in listed if not mailbox.is_view]
    told = [state.messages for state in states if state is not None]
    url, name = _names(account)
    whole = (
        account.model_copy(update={"timeout": login.settings.timeout})
        if isinstance(login.settings, Pop3Account)
        else account
    )
    return ImapBeside(
        url,
        len(listed),
        sum(told) if len(told) == len(states) else None,
        Login(name, whole, login.directory, login.container, login.dedupe, url),
    )


def _names(account: ImapAccount) -> tuple[str, str]:
    """Return the URL of an account, and what its archive calls it."""
    scheme = "imaps" if account.security == "tls" else "imap"
    at = "" if account.port == _PORTS.get(account.security, 143) else f":{account.port}"
    user = quote(account.username, safe="@+~!$&'()=,; ")
    url = f"{scheme}://{user}@{bracketed(account.host)}{at}"
    return url, f"imap://{account.username}@{account.host}"


def imap_places(
    settings: Pop3Account,
) -> Iterator[tuple[int, Literal["tls", "starttls", "none"]]]:
    """Guess where the same host would speak IMAP, never with less security than the POP3 account
    has, and without TLS at no port that somebody else may have.

    A port of this machine that is not POP3's leads to another server mostly, by a tunnel: beside it
    without TLS anybody may listen, and nowhere is looked.
    """
    standard = settings.port in {None, 110, 995}
    plain = settings.security == "none" and (is_loopback(settings.host) or settings.allow_plaintext)
    if plain and not standard and is_loopback(settings.host):
        return
    yield 993, "tls"
    if settings.port is not None and not standard:
        # Home servers and tests keep the distance between the standard ports: 995 - 993 and 110 -
        # 143.
        yield settings.port - 2, "tls"
    if settings.security != "tls":
        # Where a machine has other users, only its administrator can listen at 143.
        yield 143, "none" if plain else "starttls"
        if settings.port is not None and settings.port != 110 and not plain:
            yield settings.port - 2, "starttls"


def shown_by(source: Source) -> int:
    """Return how many messages a POP3 server shows. Raises StoreUnavailable."""
    scans = source.scan(ScanRequest(mailbox) for mailbox in source.mailboxes())
    return sum(len(scan.entries) for scan in scans if isinstance(scan, Scan))


def tell(report: Report, login: Login, beside: ImapBeside | None, here: int | None = None) -> None:
    """Remark what POP3 does not bring, and how it comes; `here` is how many messages it shows.

    Says nothing of an account of another kind.
    """
    settings = login.settings
    if not isinstance(settings, Pop3Account):
        return
    if beside is not None:
        inbox = "the inbox" if here is None else f"the {messages(here)} of the inbox"
        report.note(
            "imap-instead",
            None,
            "",
            f"this is not all that the account holds: over IMAP the same login shows {beside.told},"
            f" while POP3 shows {inbox} alone, and not what was read. To have all of it, use"
            f" {beside.url} instead; what is in the archive already is not fetched again",
        )
    elif isinstance(settings.mark, str):
        how = "read" if settings.mark == "seen" else "unread"
        report.note(
            "no-flags",
            None,
            "",
            f"POP3 does not tell what was read: every message is marked as {how} (`mark:` in a"
            f" configuration says otherwise){_unlooked(settings)}",
        )


def _unlooked(settings: Pop3Account) -> str:
    if any(True for _ in imap_places(settings)):
        return ""
    return (
        f". Whether the login works over IMAP too was not tried: {settings.host} without TLS is"
        " told a password at the port of the account alone"
    )
