"""The archive of a login: opened for writing, proved to be about that account, or seen as of a
time.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from mailsync.app.accounts import Login
from mailsync.archive import Archive
from mailsync.engine.report import Report
from mailsync.engine.selection import Selection
from mailsync.errors import ArchiveError, ArchiveNotFound, ConfigError


def archive_of(login: Login, wait: float) -> Archive:
    """Open an account's archive for writing; made when missing. Raises ArchiveError."""
    return Archive.open(login.directory, container=login.container, dedupe=login.dedupe, wait=wait)


def demand_place(directory: Path) -> None:
    """Raise ArchiveError where an archive could not be made."""
    there = next(
        place for place in (directory.absolute(), *directory.absolute().parents) if place.exists()
    )
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = "may not be written by you" if there.is_dir() else "is a file"
        raise ArchiveError(
            f"the archive cannot be made in {directory}: {there} {why}; choose another place"
            " (--archive, or `root:`)"
        )


def known(archive: Archive, login: Login) -> Archive:
    """Give back an archive that holds mail of this account.

    Raises ArchiveNotFound for another's.
    """
    accounts = archive.accounts()
    if login.name not in accounts:
        if not accounts:
            raise ArchiveNotFound(
                f"there is no archive of {login.name} yet: `mailsync pull {login.name}` makes it in"
                f" {login.directory}"
            )
        raise ArchiveNotFound(
            f"the archive {login.directory} holds no mail of {login.name}, only of"
            f" {', '.join(accounts)}"
        )
    return archive


def as_of(
    archive: Archive,
    login: Login,
    selection: Selection,
    moment: int | None,
    report: Report | None = None,
) -> Selection:
    """Turn a time into the last complete run by then. Raises ConfigError when there was none."""
    if moment is None:
        return selection
    run = archive.run_as_of(login.name, moment)
    if run is None:
        first = archive.first_complete(login.name)
        since = f"; the first one ended {_at(first.ended)}" if first and first.ended else ""
        raise ConfigError(f"no complete pull of {login.name} had ended by {_at(moment)}{since}")
    if report is not None:
        report.note(
            "as-of", None, "", f"as of the pull that ended {_at(run.ended or 0)} (run {run.id})"
        )
    return replace(selection, as_of=run.id)


def _at(moment: int) -> str:
    return f"{datetime.fromtimestamp(moment).astimezone():%Y-%m-%d %H:%M:%S}"
