"""From a path, or a kind of files and a path, to a login whose mail lies in files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mailsync.config.local import LocalFiles, is_local, kind_alone, parse_local
from mailsync.config.url import is_url
from mailsync.errors import ConfigError
from mailsync.progress import Progress
from mailsync.stores.base import Source
from mailsync.stores.local import apple, detect, thunderbird
from mailsync.stores.local.folder import CannotRead, Folder
from mailsync.stores.local.source import LocalSource


def names_files(text: str, here: Path) -> bool:
    """Return whether a text names files: it says of which kind they are, or there is such a path
    and it is written as one.
    """
    if is_local(text):
        return True
    if is_url(text):
        return False
    try:
        there = (here / Path(text).expanduser()).exists()
    except (OSError, RuntimeError, ValueError):
        there = False
    return there and ("/" in text or "@" not in text)


def files_of(text: str, here: Path, home: Path) -> LocalFiles:
    """Return the files a text names, of a known kind; those of a mail program that is named without
    a path are looked for below `home`. Raises ConfigError.
    """
    if kind_alone(text) == "thunderbird":
        profile = thunderbird.find_profile(home)
        if profile is None:
            raise ConfigError(
                "no profile of Thunderbird was found here: write where it is, such as"
                " thunderbird:///home/alice/.thunderbird/abcd.default"
            )
        return LocalFiles(profile, "thunderbird")
    if kind_alone(text) == "apple" and (home / apple.HOME).is_dir():
        return LocalFiles(home / apple.HOME, "apple")
    files = parse_local(text, here)
    if files.format:
        return files
    try:
        found = detect.detect(files.path)
    except OSError as error:
        raise ConfigError(f"{files.path}: {error.strerror or error}") from error
    except CannotRead as error:
        raise ConfigError(str(error)) from error
    if not found.kinds:
        raise ConfigError(_nothing_in(files.path, found.others))
    if len(found.kinds) > 1:
        each = " or ".join(f"{kind}://{files.path}" for kind in found.kinds)
        raise ConfigError(f"{files.path} holds mail of several kinds: say {each}")
    return replace(files, format=found.kinds[0], passed_over=found.others)


def _nothing_in(path: Path, others: Sequence[str]) -> str:
    if others:
        more = f", and {len(others) - 1:,} more" if len(others) > 1 else ""
        return f"{path} holds no mail that mailsync reads ({others[0]}{more})"
    return (
        f"{path} holds no mail that mailsync knows: no message was found in it. If it does, say of"
        f" which kind it is, such as mbox://{path}"
    )


def source_of(name: str, files: LocalFiles, progress: Progress) -> Source:
    """Return the source of files; nothing is read yet."""
    wishes = detect.Wishes(files.with_deleted, files.with_imap, files.labels)

    def folders() -> Sequence[Folder]:
        return detect.folders(files.format, files.path, wishes)

    seen = frozenset({"\\Seen"}) if files.mark == "seen" else frozenset[str]()
    return LocalSource(
        name,
        folders,
        progress,
        whole=lambda: detect.mark(files.format, files.path, wishes),
        rules=files.renamed,
        unmarked=seen,
        passed_over=files.passed_over,
    )
