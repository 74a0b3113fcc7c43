"""What kind of files lie at a path, and the mailboxes in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mailsync.formats import mail_files
from mailsync.formats import mbox as mbox_format
from mailsync.formats import proton as proton_format
from mailsync.stores.local import apple, eml, maildir, mbox, mh, proton, takeout, thunderbird
from mailsync.stores.local.files import Directory, OpenFile, Tree, TreeFile
from mailsync.stores.local.folder import CannotRead, Folder, words_of
from mailsync.stores.local.messages import shown
from mailsync.stores.local.tarball import Tarball, looks_like_tar
from mailsync.stores.local.zipped import Zipped, looks_like_zip

_LIMIT: Final = 16 * 1024 * 1024
_HEAD: Final = 4096
"""Octets with which a file begins that tell what it is."""

_INSTEAD: Final = "let its program copy its folders to an IMAP account, and pull that"
_UNREAD: Final = "mailsync does not read that; it was passed over"
_UNPACK: Final = "is read on disk only: unpack the archive, and name the directory"
_NAMELESS: Final = "looks like a message, but has no name of one (.eml); it was passed over"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person wants of files, as in `config.local.LocalFiles`."""

    with_deleted: bool = False
    with_imap: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Detected:
    """The kinds of mail at a path, and the files there that look like mail and are of none of
    them, each with why it cannot be read.
    """

    kinds: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def detect(path: Path) -> Detected:
    """Find out what lies at a path; every file there is looked at. Raises OSError, CannotRead."""
    if not path.is_dir():
        if mbox.looks_like_mbox(path):
            return Detected(("takeout" if takeout.looks_like_takeout(path) else "mbox",))
        with OpenFile(path) as file:
            other = mail_files.other_kind(path.name, file.read(0, _HEAD))
        if other:
            return Detected(others=(f"{other}: {_INSTEAD}",))
        if not (looks_like_zip(path) or looks_like_tar(path)):
            return Detected()
    elif thunderbird.profile_at(path) is not None:
        return Detected(("thunderbird",))
    return _looked_through(tree_at(path), on_disk=path.is_dir())


def _looked_through(tree: Tree, *, on_disk: bool) -> Detected:
    directories = tree.directories()
    in_maildirs = maildir.parts_of(directories)
    kinds: dict[str, None] = dict.fromkeys(["maildir"] if in_maildirs else [])
    others: list[str] = []
    for parts in directories:
        for file in tree.listed(parts) if parts not in in_maildirs else ():
            try:
                kind, other = _kind(tree, file, on_disk=on_disk)
            except (OSError, CannotRead) as error:
                kind = ""
                other = words_of(error) if isinstance(error, OSError) else str(error)
            if kind:
                kinds[kind] = None
            elif other:
                others.append(f"{shown(file)}: {other}")
    if kinds.keys() & {"mbox", "takeout"}:
        # Of the other kinds the first mailbox names them.
        others += map(str, tree.troubles())
    if "proton" in kinds:
        # Their messages are `.eml` files.
        kinds.pop("eml", None)
    if kinds.keys() == {"mbox", "takeout"}:
        # An export may hold mailboxes without a label.
        kinds = {"takeout": None}
    return Detected(tuple(kinds), tuple(others))


def _kind(tree: Tree, file: TreeFile, *, on_disk: bool) -> tuple[str, str]:
    """Return the kind of mail in a file, or why mail in it cannot be read."""
    if eml.is_message(file):
        return "eml", ""
    if proton.is_beside(file) and proton_format.placed(tree.read(file, _LIMIT), {}):
        return "proton", ""
    if apple.is_message(file):
        return ("apple", "") if on_disk else ("", _UNPACK)
    head = tree.read(file, _HEAD)
    if other := mail_files.other_kind(file.parts[-1], head):
        return "", f"{other}: {_UNREAD}"
    if on_disk and mbox.looks_like_mbox(file.path):
        return "takeout" if takeout.looks_like_takeout(file.path) else "mbox", ""
    if not on_disk and mbox_format.holds(head):
        return "", _UNPACK
    inside = mail_files.unpacked_head(head)
    if mbox_format.holds(inside) or mail_files.is_message(inside):
        return "", "is compressed: unpack it"
    if mail_files.is_message(head):
        return ("mh", "") if mh.is_message(file) else ("", _NAMELESS)
    return "", ""


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


def _proton(path: Path, _: Wishes) -> Sequence[Folder]:
    return proton.folders(tree_at(path))


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
    "proton": _proton,
}
