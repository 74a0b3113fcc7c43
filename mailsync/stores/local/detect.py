"""What kind of files lie at a path, and the mailboxes in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mailsync.stores.local import apple, eml, maildir, mbox, mh, takeout, thunderbird
from mailsync.stores.local.files import Directory, Tree, TreeFile
from mailsync.stores.local.folder import CannotRead, Folder
from mailsync.stores.local.tarball import Tarball, looks_like_tar
from mailsync.stores.local.zipped import Zipped, looks_like_zip

_LOOKED_AT: Final = 2_000
"""Files of a tree that are looked at to find out what it is."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person wants of files, as in `config.local.LocalFiles`."""

    with_deleted: bool = False
    with_imap: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)


def detect(path: Path) -> Sequence[str]:
    """Return the kinds of files at a path: none where nothing is known there. Raises OSError,
    CannotRead.
    """
    on_disk = path.is_dir()
    if not on_disk:
        if mbox.looks_like_mbox(path):
            return ["takeout" if takeout.looks_like_takeout(path) else "mbox"]
        if not (looks_like_zip(path) or looks_like_tar(path)):
            return []
    if on_disk and thunderbird.profile_at(path) is not None:
        return ["thunderbird"]
    tree = tree_at(path)
    directories = tree.directories()
    if maildir.is_maildir(directories):
        return ["maildir"]
    found: dict[str, None] = {}
    looked = 0
    for parts in directories:
        listed = tree.listed(parts)
        found |= dict.fromkeys(kind for file in listed for kind in _kind(file, on_disk))
        looked += len(listed)
        if looked > _LOOKED_AT:
            break
    return list(found)


def _kind(file: TreeFile, on_disk: bool) -> Iterator[str]:  # noqa: FBT001  private
    if eml.is_message(file):
        yield "eml"
    elif on_disk and apple.is_message(file):
        yield "apple"
    elif on_disk and mh.is_message(file) and mh.looks_like_message(file.path):
        yield "mh"
    elif on_disk and mbox.is_candidate(file) and mbox.looks_like_mbox(file.path):
        yield "takeout" if takeout.looks_like_takeout(file.path) else "mbox"
    elif not on_disk and file.parts[-1].lower().endswith(".mbox"):
        raise CannotRead(
            f"{file.path} holds mbox files ({file.parts[-1]}): unpack it, and name the directory"
        )


def tree_at(path: Path) -> Tree:
    """Return the files below a directory, or in an archive of files. Raises OSError,
    CannotRead.
    """
    if path.is_dir():
        return Directory(path)
    return Zipped(path) if looks_like_zip(path) else Tarball(path)


def folders(kind: str, path: Path, wishes: Wishes) -> Sequence[Folder]:
    """Return the mailboxes of files of a known kind. Raises OSError, CannotRead."""
    return _KINDS[kind](path, wishes)


def mark(kind: str, path: Path, wishes: Wishes) -> int | None:
    """Return what changes when any of these files does, without reading them; None where each
    mailbox has files of its own, and tells itself. Raises OSError.
    """
    return takeout.mark(path, wishes.labels) if kind == "takeout" else None


def _mbox(path: Path, wishes: Wishes) -> Sequence[Folder]:
    return mbox.folders(path, with_deleted=wishes.with_deleted)


def _maildir(path: Path, _: Wishes) -> Sequence[Folder]:
    return maildir.folders(tree_at(path))


def _eml(path: Path, _: Wishes) -> Sequence[Folder]:
    return eml.folders(tree_at(path), _top(path))


def _mh(path: Path, _: Wishes) -> Sequence[Folder]:
    return mh.folders(tree_at(path), _top(path))


def _thunderbird(path: Path, wishes: Wishes) -> Sequence[Folder]:
    profile = thunderbird.profile_at(path)
    if profile is None:
        raise CannotRead(f"{path} is no profile of Thunderbird: it has no prefs.js")
    return thunderbird.folders(
        profile, thunderbird.ProfileWishes(wishes.with_deleted, wishes.with_imap)
    )


def _takeout(path: Path, wishes: Wishes) -> Sequence[Folder]:
    return takeout.folders(path, wishes.labels)


def _apple(path: Path, wishes: Wishes) -> Sequence[Folder]:
    return apple.folders(path, with_deleted=wishes.with_deleted)


def _top(path: Path) -> str:
    """Return what to call the messages that lie in no directory of their own."""
    name = path.name or "Imported"
    for ending in (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"):
        if path.is_file() and name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name


_KINDS: Final[dict[str, Callable[[Path, Wishes], Sequence[Folder]]]] = {
    "mbox": _mbox,
    "maildir": _maildir,
    "eml": _eml,
    "mh": _mh,
    "thunderbird": _thunderbird,
    "takeout": _takeout,
    "apple": _apple,
}
