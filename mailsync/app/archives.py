"""The archive of a login: opened for writing, or proved to be about that account."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from urllib.parse import quote

from mailsync.app.accounts import URL_ARCHIVES, Login
from mailsync.app.rename import Namesake
from mailsync.archive import Archive
from mailsync.config.account import Pop3Account
from mailsync.config.local import LocalFiles
from mailsync.config.url import is_url, parse_url
from mailsync.errors import ArchiveError, ArchiveNotFound, OtherServer
from mailsync.formats.hosts import bracketed


def open_archive(login: Login, wait: float) -> Archive:
    """Open an account's archive for writing; made when missing. Raises ArchiveError."""
    return Archive.open(login.directory, container=login.container, dedupe=login.dedupe, wait=wait)


def demand_place(directory: Path) -> None:
    """Raise ArchiveError where an archive could not be made."""
    nearest = next(
        place for place in (directory.absolute(), *directory.absolute().parents) if place.exists()
    )
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        why = "may not be written by you" if nearest.is_dir() else "is a file"
        raise ArchiveError(
            f"the archive cannot be made in {directory}: {nearest} {why}; choose another place"
            " (--archive, or `root:`)"
        )


def demand_account(archive: Archive, login: Login) -> None:
    """Raise ArchiveNotFound for an archive that holds no mail of this account."""
    accounts = archive.accounts()
    if login.name in accounts:
        return
    for name in accounts:
        if archive.server(name) == login.server != "":
            raise ArchiveNotFound(Namesake(name, login.directory).remedy(login))
    if not accounts:
        raise ArchiveNotFound(
            f"there is no archive of {login.shown} yet: `mailsync pull {login.shown}` makes it in"
            f" {login.directory}"
        )
    raise ArchiveNotFound(
        f"the archive {login.directory} holds no mail of {login.shown}, only of"
        f" {', '.join(accounts)}{_by_the_other_protocol(archive, login)}"
    )


def _by_the_other_protocol(archive: Archive, login: Login) -> str:
    """Return which URL finds the mail of the same login where it came by IMAP instead of POP3, or
    the other way round; empty where the archive has none.
    """
    settings = login.settings
    if isinstance(settings, LocalFiles):
        return ""
    other = "imap" if isinstance(settings, Pop3Account) else "pop3"
    name = f"{other}://{settings.username}@{settings.host}"
    if name not in archive.accounts():
        return ""
    came_from = archive.server(name).rpartition("@")[2]
    port = came_from.removeprefix(settings.host.lower()) if came_from else ""
    at = f"{bracketed(settings.host)}{port}"
    url = f"{other}s://{quote(settings.username, safe='@+')}@{at}"
    usual = URL_ARCHIVES / parse_url(url).directory == login.directory
    elsewhere = "" if usual else f" --archive {shlex.quote(str(login.directory))}"
    return f". The mail of this login came by {other.upper()}: write `{url}{elsewhere}` instead"


def demand_server(archive: Archive, login: Login, *, or_else: str = "") -> None:
    """Raise OtherServer where an account's mail came from another server than it names now; what
    else one may do then is said at its end.
    """
    known = archive.server(login.name)
    # Files have no server, and are known by their content wherever they lie.
    if not login.server or known in {"", login.server}:
        return
    command = (
        f"`mailsync pull --moved` with the same URL and `--archive {login.directory}`"
        if is_url(login.name)
        else f"`mailsync pull --moved {login.shown}`"
    )
    raise OtherServer(
        f"the mail of {login.shown} in {login.directory} came from {known}, and the account is at"
        f" {login.server} now; what is known of the one says nothing about the other. If the same"
        f" mail is on the new server, say so once: {command} matches it by its content. If it is"
        f" another mailbox, give it an archive of its own (`archive:`, or --archive){or_else}"
    )
