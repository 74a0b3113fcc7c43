"""One pull or push from its login to its report: opens archive and store, runs the engine, closes both.

A store is connected before an archive that does not exist yet is made, so that a mistyped login leaves no empty archive behind;
an archive that exists is locked first, so that no server is bothered in vain.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager

from mailsync.archive import Archive
from mailsync.cli import build
from mailsync.cli.accounts import Login
from mailsync.config.settings import ImapAccount
from mailsync.engine.pull import pull, rehearse
from mailsync.engine.report import Report
from mailsync.errors import ArchiveNotFound
from mailsync.model import Known, MailboxPath, Scan, SyncState
from mailsync.progress import Progress
from mailsync.stores.base import Source


class Nothing:
    """What an archive that does not exist remembers."""

    def state(self, _: MailboxPath) -> SyncState | None:
        """Know no state."""
        return None

    def known(self, scan: Scan) -> Known:  # noqa: ARG002  a protocol's signature
        """Know no letter."""
        return Known(None, {}, 0)


@contextmanager
def opened(login: Login, secret: str, progress: Progress, wait: float) -> Iterator[tuple[Archive, Source]]:
    """Open the archive and the source of a login, in the order that leaves least behind."""
    with ExitStack() as stack:
        if login.directory.exists():
            archive = stack.enter_context(build.archive(login, wait))
            yield archive, stack.enter_context(closing(build.source(login, secret, progress)))
        else:
            source = stack.enter_context(closing(build.source(login, secret, progress)))
            source.capabilities()
            yield stack.enter_context(build.archive(login, wait)), source


def globs_of(login: Login) -> Sequence[str]:
    """Give the mailboxes an account is configured to pull."""
    return login.settings.mailboxes if isinstance(login.settings, ImapAccount) else ()


def pull_one(login: Login, secret: str, report: Report, progress: Progress, *, globs: Sequence[str], wait: float) -> None:
    """Pull one account and write its report down. Raises MailsyncError when not even that can be begun."""
    with opened(login, secret, progress, wait) as (archive, source), archive.pull(login.name) as run:
        pull(source, run, report, progress, only=globs, among=globs_of(login))
        report.ended = int(time.time())
        # A pull of some mailboxes says nothing about how old the rest is.
        run.finish(complete=report.complete and not globs, report=report.as_json())


def rehearse_one(login: Login, secret: str, report: Report, progress: Progress, *, globs: Sequence[str]) -> None:
    """Find out what a pull would do; writes nothing, makes nothing."""
    with ExitStack() as stack:
        try:
            archive: Archive | None = stack.enter_context(build.archive_to_read(login))
        except ArchiveNotFound:
            archive = None
        source = stack.enter_context(closing(build.source(login, secret, progress)))
        memory = Nothing() if archive is None else archive.memory(login.name)
        rehearse(source, memory, report, only=globs, among=globs_of(login))
