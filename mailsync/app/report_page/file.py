"""Where such a page is kept: private, and either whole or not there."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from mailsync.app.containment import in_words
from mailsync.app.report_page.page import MARK
from mailsync.errors import MailsyncError


def keep(page: str, path: Path) -> None:
    """Write a page for its owner alone, in place of an earlier report, and of nothing else.

    Raises MailsyncError, without naming the file; what stood there before then still does.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        _demand_ours(path)
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
                file.write(page)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        # Who reads it knows the name, and not that of a draft.
        error.filename = None
        raise in_words(error) from error


def _demand_ours(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(200)
    except FileNotFoundError:
        return
    if MARK.encode() not in start:
        raise MailsyncError("it is there already, and is no report of mailsync")
