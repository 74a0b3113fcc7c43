"""The archive of a login: opened for writing, or proved to be about that account."""

from __future__ import annotations

import os
from pathlib import Path

from mailsync.app.accounts import Login
from mailsync.app.rename import Namesake
from mailsync.archive import Archive
from mailsync.config.url import is_url
from mailsync.errors import ArchiveError, ArchiveNotFound, OtherServer


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
        f" {', '.join(accounts)}"
    )


def demand_server(archive: Archive, login: Login) -> None:
    """Raise OtherServer where an account's mail came from another server than it names now."""
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
        " another mailbox, give it an archive of its own (`archive:`, or --archive)"
    )
