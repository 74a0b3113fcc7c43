"""Which format an archive keeps its messages in, a Maildir or mbox files: chosen once, when it is
made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mailsync.archive.storage.base import Storage
from mailsync.archive.storage.disk import make_directory
from mailsync.archive.storage.maildir import MaildirStorage
from mailsync.archive.storage.mbox import SUFFIX, MboxStorage
from mailsync.errors import ArchiveError
from mailsync.model import INBOX

FORMATS: Final = ("maildir", "mbox")


def format_of(mail: Path) -> str | None:
    """Return the format of the messages below a directory; None where there is nothing yet."""
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
        mbox = MboxStorage(mail)
        mbox.make_folder(INBOX)
        mbox.sync()


def storage_of(mail: Path, *, writing: bool) -> Storage:
    """Return the storage below a directory, in the format that is there."""
    if format_of(mail) == "mbox":
        return MboxStorage(mail)
    return MaildirStorage(mail, writing=writing)
