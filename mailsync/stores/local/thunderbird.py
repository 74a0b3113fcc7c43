"""A profile of Thunderbird: the mail of its POP3 accounts and of its local folders, mbox files or
one file a message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mailsync.formats import mozilla
from mailsync.formats.client_marks import take_off
from mailsync.formats.mbox import with_crlf
from mailsync.formats.mozilla import MailServer
from mailsync.model import INBOX, MailboxPath
from mailsync.stores.local.files import Directory, OpenFile, TreeFile
from mailsync.stores.local.folder import Folder
from mailsync.stores.local.mbox import MboxFolder, looks_like_mbox
from mailsync.stores.local.messages import MessageFiles, Named, Opened, text_of

PREFERENCES: Final = "prefs.js"
_PROFILES: Final = "profiles.ini"
_NAMES: Final = "folderCache.json"
_MAIL: Final = "Mail"
_BELOW: Final = ".sbd"
_SUMMARY: Final = ".msf"
_LIMIT: Final = 64 * 1024 * 1024
_PLACES: Final = (
    ".thunderbird",
    "snap/thunderbird/common/.thunderbird",
    ".var/app/org.mozilla.Thunderbird/.thunderbird",
    "Library/Thunderbird",
    "AppData/Roaming/Thunderbird",
)


@dataclass(frozen=True, slots=True)
class ProfileWishes:
    """`with_deleted`: also what waits to be removed; `with_imap`: also the copies of what lies on
    IMAP servers.
    """

    with_deleted: bool = False
    with_imap: bool = False


def find_profile(home: Path) -> Path | None:
    """Return the profile that Thunderbird uses by itself, where it has one."""
    for place in _PLACES:
        found = profile_at(home / place)
        if found is not None:
            return found
    return None


def profile_at(path: Path) -> Path | None:
    """Return the profile that a directory is, or names in its `profiles.ini`."""
    if (path / PREFERENCES).is_file():
        return path
    for name, relative in mozilla.profiles(_read(path / _PROFILES)):
        profile = path / name if relative else Path(name)
        if (profile / PREFERENCES).is_file():
            return profile
    return None


def folders(profile: Path, wishes: ProfileWishes) -> Sequence[Folder]:
    """Return the mailboxes of a profile. Raises OSError."""
    servers = _servers(profile, wishes)
    names = mozilla.folder_names(_read(profile / _NAMES))
    found: list[Folder] = []
    for server in servers:
        above = () if _is_main(server, servers) else (server.name,)
        place = profile / server.directory
        found += _Account(profile, names, wishes).below(place, above)
    return sorted(found, key=lambda folder: folder.path != INBOX)


def _servers(profile: Path, wishes: ProfileWishes) -> list[MailServer]:
    """Return the accounts whose mail is to be read and is there, and behind them directories of
    mail that no account names any more.
    """
    listed = mozilla.servers(mozilla.preferences(_read(profile / PREFERENCES)))
    kinds = {"pop3", "none"} | ({"imap"} if wishes.with_imap else set())
    chosen = {
        (profile / server.directory).resolve(): server
        for server in reversed(listed)
        if server.kind in kinds and (profile / server.directory).is_dir()
    }
    named = {(profile / server.directory).resolve() for server in listed}
    mail = profile / _MAIL
    left = [
        MailServer(text_of(place.name), "left", f"{_MAIL}/{place.name}")
        for place in sorted(mail.iterdir() if mail.is_dir() else ())
        if place.is_dir() and place.resolve() not in named
    ]
    return [*reversed(chosen.values()), *left]


def _is_main(server: MailServer, servers: Sequence[MailServer]) -> bool:
    """Return whether an account's mailboxes stand at the top: it is the only one, or the only one
    with a server beside the local folders.
    """
    with_server = [one for one in servers if one.kind in {"pop3", "imap"}]
    return servers == [server] or with_server == [server]


class _Account:
    """The folders below one directory of a profile."""

    def __init__(self, profile: Path, names: Mapping[str, str], wishes: ProfileWishes) -> None:
        self._profile = profile
        self._names = names
        self._wishes = wishes

    def below(self, place: Path, above: MailboxPath) -> Iterator[Folder]:
        """Yield the folders of a directory, each before those below it. Raises OSError."""
        yield from self._below(place, above, set())

    def _below(self, place: Path, above: MailboxPath, seen: set[Path]) -> Iterator[Folder]:
        real = place.resolve()
        if real in seen:
            return
        seen.add(real)
        names = sorted(each.name for each in place.iterdir())
        for name in names:
            path = place / name
            if name.endswith(_BELOW) and path.is_dir():
                parent = (*above, self._name(path.with_suffix("")))
                yield from self._below(path, parent, seen)
            elif (folder := self._folder(path, (*above, self._name(path)))) is not None:
                yield folder

    def _folder(self, path: Path, name: MailboxPath) -> Folder | None:
        if path.is_dir():
            if not (path / "cur").is_dir():
                return None
            tree = Directory(path)
            wish = "deleted" if self._wishes.with_deleted else ""
            return MessageFiles(tree, name, [("cur",)], naming, self._opened, wish=wish)
        if not path.is_file() or path.name.endswith(_SUMMARY):
            return None
        if not path.with_name(path.name + _SUMMARY).is_file() and not looks_like_mbox(path):
            return None
        return MboxFolder(path, name, with_deleted=self._wishes.with_deleted)

    def _name(self, path: Path) -> str:
        """Return what a folder is called: files of long and odd names are called otherwise."""
        below = path.as_posix().removeprefix(self._profile.as_posix())
        for known, name in self._names.items():
            if known.endswith(below):
                return name if name.upper() != "INBOX" else INBOX[0]
        return INBOX[0] if path.name.upper() == "INBOX" else text_of(path.name)

    def _opened(self, raw: bytes, _: TreeFile) -> Opened:
        content, marks = take_off(raw)
        if marks.deleted and not self._wishes.with_deleted:
            return Opened(b"", left_out="deleted in the mail program, still in its file: left out")
        if marks.partial:
            return Opened(b"", lacking="the program fetched only its beginning")
        return Opened(with_crlf(content), marks.flags if marks.told else None)


def naming(_: Sequence[TreeFile]) -> Callable[[TreeFile], Named | None]:
    """Return what tells messages from other files; their names tell nothing else."""
    return lambda file: None if file.parts[-1].startswith(".") else Named()


def _read(path: Path) -> bytes:
    """Return a file's octets, none where there is no such file. Raises OSError."""
    if not path.is_file():
        return b""
    with OpenFile(path) as file:
        return file.read(0, _LIMIT)
