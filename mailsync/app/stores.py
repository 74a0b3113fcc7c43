"""Stores from settings: the one place that knows which class speaks which protocol, and imports it
when it is asked for.

Start-up imports only what the command needs.
"""

from __future__ import annotations

import time
from functools import partial

from mailsync.app.accounts import Login
from mailsync.app.files import source_of
from mailsync.config.account import ImapAccount, Pop3Account, port_of
from mailsync.config.local import LocalFiles
from mailsync.config.policies import SeenOlderThan
from mailsync.errors import ConfigError
from mailsync.progress import Progress
from mailsync.stores.base import Destination, Source
from mailsync.stores.credentials import Credentials, Secret
from mailsync.stores.endpoint import Endpoint
from mailsync.stores.proxies import Proxy


def endpoint(settings: Pop3Account | ImapAccount) -> Endpoint:
    """Return where an account's server listens."""
    return Endpoint(
        settings.host,
        port_of(settings),
        settings.security,
        settings.ca_file,
        settings.tls_name,
        settings.timeout,
        settings.proxy if isinstance(settings.proxy, Proxy) else None,
    )


def credentials(settings: Pop3Account | ImapAccount, secret: Secret) -> Credentials:
    """Return who logs in."""
    if isinstance(secret, str):
        return Credentials(
            settings.username,
            lambda: secret,
            settings.authorization_id,
            hint=partial(_hint, settings.host),
        )
    return Credentials.with_tokens(settings.username, secret)


def _hint(host: str) -> str:
    from mailsync.config.providers import sign_in_hint  # noqa: PLC0415  few logins are refused

    return sign_in_hint(host)


def source(login: Login, secret: Secret, progress: Progress) -> Source:
    """Connect to an account to read from it. Raises StoreUnavailable."""
    settings = login.settings
    if isinstance(settings, LocalFiles):
        return source_of(login.name, settings, progress)
    who = credentials(settings, secret)
    if isinstance(settings, ImapAccount):
        from mailsync.stores.imap.source import ImapSource  # noqa: PLC0415

        return ImapSource(login.shown, endpoint(settings), who, progress=progress)
    from mailsync.stores.pop3 import Pop3Source  # noqa: PLC0415

    return Pop3Source(
        login.shown,
        endpoint(settings),
        who,
        pipelining=settings.pipelining,
        mark=(
            settings.mark.seen_older_than
            if isinstance(settings.mark, SeenOlderThan)
            else settings.mark
        ),
        progress=progress,
        clock=time.time,
        sleep=time.sleep,
    )


def trial(name: str, settings: Pop3Account | ImapAccount, password: str) -> Source:
    """Make a source that gives up at the first failure, for trying whether there is a server at
    all, and whether it takes this password.
    """
    where, who = endpoint(settings), credentials(settings, password)
    if isinstance(settings, ImapAccount):
        from mailsync.stores.imap.source import ImapSource  # noqa: PLC0415

        return ImapSource(name, where, who, retries=0)
    from mailsync.stores.pop3 import Pop3Source  # noqa: PLC0415

    return Pop3Source(name, where, who, retries=0)


def imap_of(login: Login) -> ImapAccount:
    """Return the settings of a destination. Raises ConfigError for what cannot be one."""
    if isinstance(login.settings, ImapAccount):
        return login.settings
    raise ConfigError(
        f"{login.shown} is a POP3 account, and POP3 has no way to add messages: a destination must"
        " be IMAP"
    )


def destination(login: Login, secret: Secret, progress: Progress) -> Destination:
    """Connect to an account to add to it. Raises StoreUnavailable, ConfigError."""
    settings = imap_of(login)
    from mailsync.stores.imap.destination import ImapDestination  # noqa: PLC0415

    return ImapDestination(
        login.shown,
        endpoint(settings),
        credentials(settings, secret),
        repair=settings.repair == "on-refusal",
        connections=settings.connections,
        progress=progress,
    )
