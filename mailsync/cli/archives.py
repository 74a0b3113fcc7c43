"""The archive of a login: opened for writing, or proved to be about that account."""

from __future__ import annotations

from mailsync.archive import Archive
from mailsync.cli.accounts import Login
from mailsync.errors import ArchiveNotFound


def archive_of(login: Login, wait: float) -> Archive:
    """Open an account's archive for writing; made when missing. Raises ArchiveError."""
    return Archive.open(login.directory, container=login.container, dedupe=login.dedupe, wait=wait)


def known(archive: Archive, login: Login) -> Archive:
    """Give back an archive that holds mail of this account. Raises ArchiveNotFound for another's."""
    accounts = archive.accounts()
    if login.name not in accounts:
        if not accounts:
            raise ArchiveNotFound(f"there is no archive of {login.name} yet: `mailsync pull {login.name}` makes it in {login.directory}")
        raise ArchiveNotFound(f"the archive {login.directory} holds no mail of {login.name}, only of {', '.join(accounts)}")
    return archive
