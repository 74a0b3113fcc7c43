"""Pulls: from accounts to their archives.

A store is connected before an archive that does not exist yet is made, so that a mistyped login
leaves no empty archive behind; an archive that exists is locked first, so that no server is
bothered in vain.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial

from mailsync.app import stores
from mailsync.app.accounts import Login, Secrets
from mailsync.app.archives import demand_server, open_archive
from mailsync.app.containment import contained
from mailsync.app.imap_beside import imap_beside, tell
from mailsync.app.rehearsals import rehearse_pull
from mailsync.app.rename import remark
from mailsync.app.requests import PullRequest
from mailsync.app.runs import begun, budget_of
from mailsync.archive import Archive, PullRun, ServerOf
from mailsync.config.account import Pop3Account
from mailsync.config.policies import DeleteAfter
from mailsync.engine import pull as engine
from mailsync.engine.report import Report
from mailsync.engine.server_deletion import delete_from_server
from mailsync.errors import DiskFull
from mailsync.model import Mailbox
from mailsync.progress import Progress
from mailsync.stores.base import DeletingSource, Source
from mailsync.stores.credentials import Secret


def pull(request: PullRequest, secrets: Secrets, progress: Progress) -> list[Report]:
    """Pull one account after the other; one's trouble is not another's, except for the disk they
    share.

    Returns a report for each account that was begun. No error is raised: it stands in the report.
    """
    reports: list[Report] = []
    for login in request.accounts:
        report = begun("pull", login, dry_run=request.dry_run)
        reports.append(report)
        only = request.mailboxes
        with contained(partial(setattr, report, "error")):
            secret = secrets(login)
            if request.dry_run:
                rehearse_pull(login, secret, report, progress, only, moved=request.moved)
            else:
                _pull_one(login, secret, report, progress, request)
        report.ended = int(time.time())
        if isinstance(report.error, DiskFull):
            break
    return reports


@contextmanager
def opened(
    login: Login, secret: Secret, progress: Progress, wait: float, *, moved: bool = False
) -> Iterator[tuple[Archive, Source]]:
    """Open the archive and the source of a login, in the order that leaves least behind.

    Raises OtherServer unless the archive's mail came from this server, or `moved` to it.
    """
    with ExitStack() as stack:
        if login.directory.exists():
            archive = stack.enter_context(open_archive(login, wait))
            if not moved:
                demand_server(archive, login)
            yield archive, stack.enter_context(closing(stores.source(login, secret, progress)))
        else:
            source = stack.enter_context(closing(stores.source(login, secret, progress)))
            source.capabilities()
            yield stack.enter_context(open_archive(login, wait)), source


def _pull_one(
    login: Login, secret: Secret, report: Report, progress: Progress, request: PullRequest
) -> None:
    """Pull one account, as asked for."""
    moved = request.moved
    with opened(login, secret, progress, request.wait, moved=moved) as (archive, source):
        if login.name not in archive.accounts():
            source.capabilities()
            tell(report, login, imap_beside(login, secret))
            remark(report, login)
        with archive.pull(login.name, ServerOf(login.server, moved, login.files)) as run:
            pull_by(run, archive, login, source, report, progress, only=request.mailboxes)


def pull_by(  # noqa: PLR0917  what a pull is about
    run: PullRun,
    archive: Archive,
    login: Login,
    source: Source,
    report: Report,
    progress: Progress,
    *,
    only: Sequence[str],
    listed: Sequence[Mailbox] | None = None,
    thorough: bool = False,
) -> None:
    """Pull by a run that has begun, and end it; `listed` are the source's mailboxes, where it was
    asked for them just now; `thorough` as in `mailsync.engine.pull`.
    """
    keep = login.settings.keep if isinstance(login.settings, Pop3Account) else "forever"
    engine.pull(
        source,
        run,
        report,
        progress,
        only=only,
        among=login.globs,
        budget=budget_of(archive, login, login.name, "down"),
        listed=listed,
        thorough=thorough,
    )
    if isinstance(keep, DeleteAfter) and isinstance(source, DeletingSource) and report.complete:
        whole = keep.compare == "content"
        delete_from_server(source, run, report, progress, after=keep.delete_after, whole=whole)
    report.ended = int(time.time())
    # A pull of some mailboxes says nothing about how old the rest is.
    run.finish(complete=report.complete and not only, report=report.as_json())
