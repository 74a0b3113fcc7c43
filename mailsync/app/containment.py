"""One account's trouble is not another's: whatever goes wrong within one becomes its report.

The only place of the application where an exception of any kind is caught.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from mailsync.errors import DiskFull, MailsyncError, UnexpectedError

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def contained(keep: Callable[[MailsyncError], None]) -> Iterator[None]:
    """Give `keep` what ends the work inside, also a mistake of our own, or memory that is not
    enough; an interruption goes on its way.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001  what a server brings about must not end the others
        keep(in_words(error))


def in_words(error: BaseException) -> MailsyncError:
    """Return any exception as one whose words are for people; `__cause__` is what it was."""
    if isinstance(error, MailsyncError):
        return error
    told: MailsyncError
    if isinstance(error, OSError) and error.errno in _FULL:
        told = DiskFull("no space left on the disk; make room and run the same command again")
    elif isinstance(error, OSError) and error.strerror:
        told = MailsyncError(
            f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        )
    else:
        # Not the exception's own words: a library may have put anything into them, a password
        # included.
        told = UnexpectedError(
            f"a mistake in mailsync ({type(error).__name__}); please report it with what `mailsync"
            " --debug …` shows"
        )
    told.__cause__ = error
    return told
