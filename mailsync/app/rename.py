"""Accounts under other names: the history of one whose name in the configuration changed, or that
was a URL before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Final

from mailsync.app.accounts import URL_ARCHIVES, Login
from mailsync.archive import Archive
from mailsync.config.url import is_url, parse_url
from mailsync.engine.report import Report
from mailsync.errors import ArchiveError, ArchiveNotFound

LOOKED_AT: Final = 100
"""Archives beside an account's own that are looked into, at most."""


@dataclass(frozen=True, slots=True)
class Namesake:
    """The same server and user under another name, in an archive."""

    name: str
    directory: Path

    def remedy(self, login: Login) -> str:
        """Return what to do about it."""
        elsewhere = "" if self.directory == login.directory else f" in {self.directory}"
        return (
            f"the archive{elsewhere} holds mail of the same server and user under the name"
            f" {self.name}; `mailsync account rename {self.name} {login.shown}` goes on with its"
            " history"
        )


@dataclass(frozen=True, slots=True)
class Renamed:
    """What a renaming did; `came_from` is where the archive lay, where that changed, and `aside`
    where the archive lies that the new name had in the meantime.
    """

    old: str
    new: str
    directory: Path
    came_from: Path | None
    aside: Path | None

    def as_json(self) -> dict[str, object]:
        """Return it as plain values."""
        return {
            "old": self.old,
            "new": self.new,
            "archive": str(self.directory),
            "came_from": str(self.came_from) if self.came_from else None,
            "aside": str(self.aside) if self.aside else None,
        }


def namesakes(login: Login) -> list[Namesake]:
    """Return the accounts of the same server and user under other names, in the archive of a login
    or in those beside it; none where the login has a history of its own.
    """
    if login.name in _accounts(login.directory):
        return []
    return [
        Namesake(name, place)
        for place in _places(login)
        for name, server in _accounts(place).items()
        if server and server == login.server and name != login.name
    ]


def remark(report: Report, login: Login) -> None:
    """Name in a report the accounts whose history is hidden by another name."""
    for one in namesakes(login):
        report.note("another-name", None, "", one.remedy(login))


def rename(old: str, login: Login, wait: float = 0.0) -> Renamed:
    """Have an archive call an account as a login does, with all its history; its directory becomes
    the login's own, and an archive that the login alone has filled there since is put aside. No
    mail moves.

    `old` is a name, or a URL as it was typed. Raises ArchiveError.
    """
    name = parse_url(old).name if is_url(old) else old
    place, aside = _place_of(name, login), None
    moves = place != login.directory
    if moves:
        _demand_alone(place, name, login)
        _demand_idle(place, wait)
        if login.directory.exists():
            _demand_alone(login.directory, login.name, login)
            _demand_idle(login.directory, wait)
            aside = _free_beside(login.directory)
            _move(login.directory, aside)
        _move(place, login.directory)
    with Archive.open(login.directory, wait=wait) as archive:
        archive.rename(name, login.name)
    return Renamed(old, login.shown, login.directory, place if moves else None, aside)


def _demand_idle(place: Path, wait: float) -> None:
    """Take in what a killed run left. Raises ArchiveLocked while somebody writes it."""
    with Archive.open(place, wait=wait):
        pass


def _free_beside(directory: Path) -> Path:
    names = (directory.with_name(f"{directory.name}.aside{number or ''}") for number in count())
    return next(place for place in names if not place.exists())


def _move(place: Path, to: Path) -> None:
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        place.rename(to)
    except OSError as error:
        raise ArchiveError(
            f"{place} cannot be moved to {to}: {error.strerror}; move it yourself, and say this"
            " again"
        ) from error


def _place_of(name: str, login: Login) -> Path:
    found = [place for place in _places(login) if name in _accounts(place)]
    if login.directory in found:
        return login.directory
    if not found:
        raise ArchiveNotFound(
            f"no archive knows an account {name}: looked in {login.directory}, beside it, and in"
            f" ./{URL_ARCHIVES}; say where it lies with --archive"
        )
    if len(found) > 1:
        raise ArchiveError(
            f"several archives know an account {name}: {', '.join(map(str, found))}; say which one"
            " with --archive"
        )
    return found[0]


def _demand_alone(place: Path, name: str, login: Login) -> None:
    """Raise ArchiveError for a directory that cannot be moved, for it holds more than this."""
    others = [one for one in _accounts(place) if one != name]
    if others:
        raise ArchiveError(
            f"{place} holds mail of {', '.join(others)} too, and stays where it is; to have"
            f" {login.shown} use it, name it with `archive:` or --archive"
        )


def _places(login: Login) -> Iterator[Path]:
    """Yield the directories of archives where an account may lie under another name."""
    yield login.directory
    for root in dict.fromkeys((login.directory.parent, URL_ARCHIVES)):
        if root.is_dir():
            beside = (place for place in sorted(root.iterdir()) if place != login.directory)
            yield from islice((place for place in beside if place.is_dir()), LOOKED_AT)


def _accounts(place: Path) -> dict[str, str]:
    """Return the accounts of an archive with their servers; none where it cannot be read."""
    try:
        with Archive.read(place) as archive:
            return {name: archive.server(name) for name in archive.accounts()}
    except ArchiveError:
        return {}
