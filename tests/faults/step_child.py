"""One piece of work on an archive, to be killed at a step of it: `python -m tests.faults.step_child DIRECTORY WORK CONTAINER`.

The servers are in memory and made anew, the same each time, so that every process finds them as the one before did.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final
from unittest.mock import patch

from mailsync.archive import pull_run, reindex, writers
from mailsync.model import INBOX, MailboxPath
from mailsync.stores.memory import MemoryServer
from tests.letters import plain
from tests.unit.engine.rig import ACCOUNT, Rig

WORK: Final[MailboxPath] = ("Work",)
LISTS: Final[MailboxPath] = ("Lists", "x" * 250)
FAR: Final = 4_000_000_000
"""A time after all runs."""


def at_first() -> MemoryServer:
    """Ten letters in three mailboxes, one of them in two, with flags and keywords."""
    server = MemoryServer(condstore=True)
    for number in range(6):
        server.deliver(INBOX, plain(number), *(("\\Seen",) if number % 2 else ("work", "\\Flagged")))
    for number in range(4, 7):
        server.deliver(WORK, plain(number), "\\Seen")
    server.deliver(LISTS, plain(50))
    return server


def later() -> MemoryServer:
    """The same server after a day: letters came, left, moved, changed their flags; a mailbox has another name."""
    server = at_first()
    first, second, third, *_ = sorted(server.boxes[INBOX].letters)
    server.flag(INBOX, first, "\\Seen", "\\Answered", "later")
    server.expunge(INBOX, second)
    server.move(INBOX, third, WORK)
    server.deliver(INBOX, plain(20))
    server.deliver(INBOX, plain(21).replace(b"mx.example.org", b"mx2.example.org", 1), "new")
    server.deliver(("News",), plain(21))
    server.rename(LISTS, ("Old", "Lists"))
    return server


def pull_first(directory: Path, container: str = "maildir") -> None:
    """Bring all there is."""
    Rig(directory, at_first(), container=container).pull()


def pull_by_a_process(directory: Path, container: str = "maildir") -> None:
    """Bring all there is, the files written by a process of its own."""
    with patch.object(writers, "MUCH", 1):
        pull_first(directory, container)


def pull_later(directory: Path, container: str = "maildir") -> None:
    """Bring what changed."""
    Rig(directory, later(), container=container).pull()


def push(directory: Path, container: str = "maildir") -> None:
    """Write a ledger, of a push to a server that is new each time."""
    Rig(directory, at_first(), container=container).push()


def prune(directory: Path, container: str = "maildir") -> None:
    """Take out what left the server."""
    with Rig(directory, container=container).archive() as archive:
        archive.prune(ACCOUNT, FAR, lambda _: True)


def index(directory: Path, container: str = "maildir") -> None:  # noqa: ARG001  it finds out itself
    """Build the catalogue anew."""
    reindex(directory, ACCOUNT, by_uid=True, clock=Rig(directory).clock)


WORKS: Final[dict[str, Callable[[Path, str], None]]] = {
    work.__name__: work for work in (pull_first, pull_by_a_process, pull_later, push, prune, index)
}


if __name__ == "__main__":
    pull_run.GROUP_FILES = 4  # type: ignore[misc]
    WORKS[sys.argv[2]](Path(sys.argv[1]), sys.argv[3])
