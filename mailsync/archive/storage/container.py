"""What an archive keeps its messages in: a Maildir, or mbox files.

One archive stays with one of them.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Final, TypeAlias

from mailsync.archive.storage.disk import make_directory, sync_directory
from mailsync.archive.storage.maildir import MaildirTree, sha256_of
from mailsync.archive.storage.mbox import SUFFIX, MboxTree, Part
from mailsync.errors import ArchiveError
from mailsync.model import INBOX

Container: TypeAlias = MaildirTree | MboxTree
Located: TypeAlias = Path | Part
"""Where a message lies: its file, or its part of one."""

FORMATS: Final = ("maildir", "mbox")


def format_of(mail: Path) -> str | None:
    """Tell what the messages below a directory are kept in; None where there is nothing yet."""
    if (mail / "cur").is_dir():
        return "maildir"
    return "mbox" if mail.is_dir() and any(mail.glob(f"*{SUFFIX}")) else None


def prepare(directory: Path, wanted: str) -> None:
    """Make what a new archive needs.

    Raises ArchiveError for a format there is not, or that this archive does not have.
    """
    if wanted not in FORMATS:
        raise ArchiveError(f"{directory}: no such archive format as {wanted!r}")
    mail = directory / "mail"
    found = format_of(mail)
    if found not in {None, wanted}:
        raise ArchiveError(
            f"the archive {directory} is kept as {found}, not as {wanted}: write "
            f"`format: {found}`, or name another archive"
        )
    make_directory(mail)
    if wanted == "maildir":
        for part in ("cur", "new", "tmp"):
            make_directory(mail / part)
    elif found is None:
        MboxTree(mail, writing=True).make_folder(INBOX)
        sync_directory(mail)


def tree_of(mail: Path, *, writing: bool) -> Container:
    """Open the messages below a directory."""
    return (MboxTree if format_of(mail) == "mbox" else MaildirTree)(mail, writing=writing)


def digest_of(located: Located) -> bytes:
    """Hash a message. Raises OSError."""
    return (
        sha256(located.read_bytes()).digest() if isinstance(located, Part) else sha256_of(located)
    )
