"""From a configured name, or a URL, to a login with its archive; its password is brought by
whoever drives the work.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from mailsync.app.files import files_of, names_files
from mailsync.archive import Archive
from mailsync.config.account import STANDARD_PORTS, ImapAccount, Pop3Account, port_of
from mailsync.config.file import Configuration, find, load
from mailsync.config.local import LocalFiles, is_local
from mailsync.config.proxy import proxy_for
from mailsync.config.url import is_url, parse_url
from mailsync.errors import ArchiveError, ConfigError
from mailsync.formats.redaction import without_password
from mailsync.stores.credentials import Secret

__all__ = ["Accounts", "Login", "Secret", "Secrets"]

_SCHEME: Final = re.compile(r"\A(?:pop3s?|imaps?)(?::/*|/+)", re.IGNORECASE)
URL_ARCHIVES: Final = Path("mailsync-archive")


@dataclass(frozen=True, slots=True)
class Trust:
    """How a call says that a server is trusted, beside what is configured: the CA that signed its
    certificate, and the name that this bears.
    """

    ca_file: Path | None = None
    tls_name: str | None = None

    @property
    def said(self) -> dict[str, object]:
        """Return what is said, by the names of settings."""
        both = (("ca_file", self.ca_file), ("tls_name", self.tls_name))
        return {name: value for name, value in both if value is not None}

    def applied(self, login: Login) -> Login:
        """Return a login whose server is trusted so."""
        if isinstance(login.settings, LocalFiles):
            return login
        return replace(login, settings=login.settings.model_copy(update=self.said))


AS_CONFIGURED: Final = Trust()


@dataclass(frozen=True, slots=True)
class Login:
    """One account ready for use.

    `name` is what the archive calls it, `typed` the URL it was given as; its password is not in
    here. `files` is set where files are read into the archive of another account, and tells them
    from others.
    """

    name: str
    settings: Pop3Account | ImapAccount | LocalFiles
    directory: Path
    container: str = "maildir"
    dedupe: str = "message-id"
    typed: str = ""
    files: str = ""

    @property
    def shown(self) -> str:
        """Return what people call it, and may type again: its URL, or its configured name."""
        return self.typed or self.name

    @property
    def server(self) -> str:
        """Return whose mail this is: what tells this login's server and mailboxes from any other.

        The two ports that are standard for a protocol are one server's. Files have none, and need
        no telling apart: what is in them tells.
        """
        settings = self.settings
        if isinstance(settings, LocalFiles):
            return ""
        port = port_of(settings)
        at = "" if port in STANDARD_PORTS[settings.protocol] else f":{port}"
        owner = settings.authorization_id or settings.username
        return f"{settings.protocol}://{owner}@{settings.host.lower()}{at}"

    @property
    def ledger_key(self) -> str:
        """Return what the ledger calls the server as a destination, empty for one that is none."""
        settings = self.settings
        if not isinstance(settings, ImapAccount):
            return ""
        owner = settings.authorization_id or settings.username
        return f"imap://{owner}@{settings.host}:{port_of(settings)}"

    @property
    def globs(self) -> Sequence[str]:
        """Return the mailboxes the account is configured to pull."""
        return () if isinstance(self.settings, Pop3Account) else self.settings.mailboxes


Secrets: TypeAlias = Callable[[Login], Secret]
"""Brings the password of a login when it is needed, or what brings its access tokens; raises
ConfigError where there is none.
"""


def proxied(login: Login, environ: Mapping[str, str]) -> Login:
    """Return a login that goes through the proxy that the environment names, where it has none of
    its own. Raises ConfigError.
    """
    settings = login.settings
    if isinstance(settings, LocalFiles):
        return login
    proxy = settings.proxy or proxy_for(settings.host, environ)
    return replace(login, settings=settings.model_copy(update={"proxy": proxy}))


class Accounts:
    """The accounts of one configuration, which is read when the first name is asked for; a URL
    needs none.

    `named` is the file somebody chose, None to look in the usual places.
    """

    def __init__(
        self, named: Path | None, environ: Mapping[str, str], here: Path, home: Path
    ) -> None:
        self._where = (named, environ, here, home)
        self._loaded: Configuration | None = None

    def one(self, text: str, archive: Path | None = None, trust: Trust = AS_CONFIGURED) -> Login:
        """Find the account of a name or a URL, with its archive elsewhere if `archive` says so.

        Where it names no proxy, the environment may (`ALL_PROXY`). Raises ConfigError.
        """
        return trust.applied(proxied(self._named(text, archive), self._where[1]))

    def _named(self, text: str, archive: Path | None) -> Login:
        if is_url(text) and not is_local(text):
            return _of_url(text, archive)
        if self._names_files(text):
            files = files_of(text, self._where[2], self._where[3])
            return Login(files.name, files, archive or URL_ARCHIVES / files.directory)
        self._demand_scheme(text)
        return self._configured(text, archive)

    def files(self, text: str, archive: Path | None, into: str, wishes: Mapping[str, Any]) -> Login:
        """Find the login of a path, with its `wishes` (fields of LocalFiles); with `into` it stands
        for an account whose archive takes the messages. Raises ConfigError.
        """
        files = files_of(text, self._where[2], self._where[3])
        wished = replace(files, **wishes)
        if not into:
            return Login(files.name, wished, archive or URL_ARCHIVES / files.directory)
        return replace(self.one(into, archive), settings=wished, files=files.name)

    def several(
        self,
        texts: Sequence[str],
        archive: Path | None = None,
        trust: Trust = AS_CONFIGURED,
        *,
        kept: bool = False,
    ) -> list[Login]:
        """Find several accounts, each once; all configured ones when none is named, with `kept`
        only those whose mail is kept here (`backup:`).

        Raises ConfigError.
        """
        if texts and all(is_url(text) or self._names_files(text) for text in texts):
            return [self.one(text, archive, trust) for text in dict.fromkeys(texts)]
        for text in texts:
            self._demand_scheme(text)
        names = texts or [
            name
            for name, account in self._configuration().settings.accounts.items()
            if not kept or _is_kept(account)
        ]
        if archive is not None and len(names) > 1:
            raise ConfigError("--archive names one archive, so one account must be named with it")
        return [self.one(name, archive, trust) for name in dict.fromkeys(names)]

    def _names_files(self, text: str) -> bool:
        """Return whether a text names files, and no account that happens to be called so."""
        if is_local(text):
            return True
        return names_files(text, self._where[2]) and not self._is_configured(text)

    def _is_configured(self, text: str) -> bool:
        try:
            return text in self._configuration().settings.accounts
        except ConfigError:
            return False

    def _configuration(self) -> Configuration:
        if self._loaded is None:
            self._loaded = load(find(*self._where))
        return self._loaded

    def _configured(self, name: str, archive: Path | None) -> Login:
        config = self._configuration()
        account = config.account(name)
        settings = config.settings.archive
        directory = archive or config.archive_directory(name)
        return Login(name, account, directory, settings.format, settings.dedupe)

    def _demand_scheme(self, text: str) -> None:
        """Raise ConfigError for an address where a URL was meant."""
        if "@" not in text or is_url(text):
            return
        if not self._is_configured(text):
            user, _, host = text.rpartition("@")
            # A scheme that is written wrong, and a password, which nobody should write there.
            user = _SCHEME.sub("", user).partition(":")[0] or "USER"
            raise ConfigError(
                f"{without_password(text)} is no URL: write imaps://{user}@{host} or"
                f" pop3s://{user}@{host}"
            )


def _of_url(text: str, archive: Path | None) -> Login:
    url = parse_url(text)
    directory = archive or URL_ARCHIVES / url.directory
    login = Login(url.name, url.settings, directory, typed=url.typed)
    before = URL_ARCHIVES / url.older_directory
    if archive is None and not login.directory.exists() and _holds(before, login):
        return replace(login, directory=before)
    return login


def _is_kept(account: Pop3Account | ImapAccount) -> bool:
    return account.backup if isinstance(account, ImapAccount) else True


def _holds(directory: Path, login: Login) -> bool:
    """Return whether an archive from before ports had archives of their own may be this login's."""
    if not directory.exists():
        return False
    try:
        with Archive.read(directory) as archive:
            return archive.server(login.name) in {"", login.server}
    except ArchiveError:
        # Whoever opens it says what is wrong with it.
        return True
