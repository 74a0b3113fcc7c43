"""One pull or push from its login to its report: opens archive and store, runs the engine, closes
both.

A store is connected before an archive that does not exist yet is made, so that a mistyped login
leaves no empty archive behind; an archive that exists is locked first, so that no server is
bothered in vain.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from mailsync.app import build
from mailsync.app.accounts import Login
from mailsync.app.archives import archive_of, as_of, known
from mailsync.archive import Archive, PullRun
from mailsync.config.settings import DeleteAfter, ImapAccount, Pop3Account
from mailsync.engine.budget import Budget
from mailsync.engine.clean import clean
from mailsync.engine.pull import pull
from mailsync.engine.push import Patience, push
from mailsync.engine.report import Report
from mailsync.engine.selection import Selection
from mailsync.engine.targets import find_targets
from mailsync.errors import ArchiveNotFound, ConfigError
from mailsync.formats.quantities import messages
from mailsync.mapping import MappingPlan, MappingRules, parse_name, show
from mailsync.model import Mailbox, MailboxPath
from mailsync.progress import Progress
from mailsync.stores.base import DeletingSource, Destination, Source

PATIENCE: Final = 30.0
"""Seconds a server may still be storing what a broken connection had sent, before it is sent again.
"""


EVERYTHING: Final = Selection()


@dataclass(frozen=True, slots=True)
class Terms:
    """What a run was asked to keep to.

    Who watches, which mailboxes only, how many seconds to wait for a locked archive; for a push
    also which messages (`moment`: as of that time, `gone_since`: only what left the server since),
    other names than the mapped ones, and whether only what is alive on the destination is believed.
    """

    progress: Progress
    globs: Sequence[str] = ()
    wait: float = 0.0
    selection: Selection = EVERYTHING
    moment: int | None = None
    gone_since: int | None = None
    renamed: Mapping[MailboxPath, MailboxPath] = field(default_factory=dict)
    into: MailboxPath = ()
    restore: bool = False
    prove_content: bool = False


def terms_of(chosen: Mapping[str, Any], terms: Terms) -> Terms:
    """Add what the options of a push or a restore chose."""
    selection = Selection(
        since=chosen["since"],
        before=chosen["before"],
        message_id=chosen["message_id"] or "",
        search=chosen["search"] or "",
        include_gone=chosen["include_gone"] or chosen["gone_since"] is not None,
        also_moved=chosen["also_moved"],
    )
    return replace(
        terms,
        selection=selection,
        moment=chosen["moment"],
        gone_since=chosen["gone_since"],
        renamed=chosen["renamed"],
        into=chosen["into"],
    )


@contextmanager
def opened(login: Login, secret: str, terms: Terms) -> Iterator[tuple[Archive, Source]]:
    """Open the archive and the source of a login, in the order that leaves least behind."""
    with ExitStack() as stack:
        if login.directory.exists():
            archive = stack.enter_context(archive_of(login, terms.wait))
            yield archive, stack.enter_context(closing(build.source(login, secret, terms.progress)))
        else:
            source = stack.enter_context(closing(build.source(login, secret, terms.progress)))
            source.capabilities()
            yield stack.enter_context(archive_of(login, terms.wait)), source


def globs_of(login: Login) -> Sequence[str]:
    """Return the mailboxes an account is configured to pull."""
    return login.settings.mailboxes if isinstance(login.settings, ImapAccount) else ()


def budget_of(archive: Archive, login: Login, name: str, direction: str) -> Budget | None:
    """Return the limits an account is configured with, less what the last 24 hours used up; None
    when there are none.
    """
    limits = login.settings.limits
    if limits.bytes_per_day is None and limits.bytes_per_second is None:
        return None
    return Budget(
        limits.bytes_per_day,
        limits.bytes_per_second,
        spent=archive.spent(name, direction),
        record=lambda octets: archive.spend(name, direction, octets),
        clock=time.monotonic,
        sleep=time.sleep,
    )


def pull_one(login: Login, secret: str, report: Report, terms: Terms) -> None:
    """Pull one account and write its report down.

    Raises MailsyncError when not even that can be begun.
    """
    with opened(login, secret, terms) as (archive, source):
        pull_into(archive, login, source, report, terms)


def pull_into(archive: Archive, login: Login, source: Source, report: Report, terms: Terms) -> None:
    """Pull into an archive that is open."""
    with archive.pull(login.name) as run:
        pull_by(run, archive, (login, source), report, terms)


def pull_by(
    run: PullRun,
    archive: Archive,
    of: tuple[Login, Source],
    report: Report,
    terms: Terms,
    *,
    listed: Sequence[Mailbox] | None = None,
) -> None:
    """Pull by a run that has begun, and end it; `listed` are the source's mailboxes, where it was
    asked for them just now.
    """
    login, source = of
    keep = login.settings.keep if isinstance(login.settings, Pop3Account) else "forever"
    budget = budget_of(archive, login, login.name, "down")
    pull(
        source,
        run,
        report,
        terms.progress,
        only=terms.globs,
        among=globs_of(login),
        budget=budget,
        listed=listed,
    )
    if isinstance(keep, DeleteAfter) and isinstance(source, DeletingSource) and report.complete:
        clean(source, run, report, terms.progress, after=keep.delete_after)
    report.ended = int(time.time())
    # A pull of some mailboxes says nothing about how old the rest is.
    run.finish(complete=report.complete and not terms.globs, report=report.as_json())


def push_one(login: Login, target: Login, secret: str, report: Report, terms: Terms) -> None:
    """Push one account's archive to a destination and write the report down.

    Raises MailsyncError when not even that can be begun.
    """
    if not login.directory.exists():
        raise ArchiveNotFound(
            f"there is no archive in {login.directory}; `mailsync pull {login.name}` makes it"
        )
    # A rehearsal only looks, so that it may be made beside a run.
    opened_ = Archive.read(login.directory) if report.dry_run else archive_of(login, terms.wait)
    with (
        opened_ as archive,
        closing(build.destination(target, secret, terms.progress)) as destination,
    ):
        known(archive, login)
        push_from(archive, login, (target, destination), report, terms)


def patience() -> Patience:
    """Return what it takes to wait for a server that may still be storing messages."""
    return Patience(PATIENCE, time.time, time.sleep)


def rules_of(target: Login, terms: Terms) -> MappingRules:
    """Return the rules by which mailboxes are named on a destination: as configured, and as asked
    for in this call.
    """
    mapped = {
        parse_name(ours): parse_name(theirs) for ours, theirs in build.imap_of(target).map_.items()
    }
    return MappingRules({**mapped, **terms.renamed}, terms.into)


def collide(mapping: MappingPlan, report: Report) -> bool:
    """Tell of mailboxes that would end in one place; whether there are any."""
    for theirs, ours in mapping.collisions.items():
        names = ", ".join(show(path) for path in ours)
        report.trouble_with(
            "mapping",
            theirs,
            "",
            f"{names} would all end there; give them names of their own with --map or `map:`",
        )
    return bool(mapping.collisions)


def push_from(
    archive: Archive,
    login: Login,
    to: tuple[Login, Destination],
    report: Report,
    terms: Terms,
) -> None:
    """Push from an archive that is open to a destination that is connected."""
    target, destination = to
    selection = as_of(
        archive, login, replace(terms.selection, globs=tuple(terms.globs)), terms.moment, report
    )
    if terms.gone_since is not None:
        selection = replace(selection, gone_from=archive.first_run_since(terms.gone_since))
    boxes = archive.mailboxes(login.name)
    if terms.globs and not any(selection.mailbox(box.path) for box in boxes):
        names = ", ".join(show(box.path) for box in boxes) or "none"
        raise ConfigError(
            f"no mailbox of {login.name} in the archive matches {' '.join(terms.globs)}; there is:"
            f" {names}"
        )
    gone = sum(box.gone for box in boxes if selection.mailbox(box.path))
    if terms.restore and gone and not selection.include_gone and selection.as_of is None:
        report.note(
            "gone",
            None,
            "",
            f"{messages(gone)} that left the server are not among these; --include-gone brings them"
            " back too",
        )
    targets = find_targets(
        archive, login.name, destination.mailboxes(), rules_of(target, terms), selection
    )
    if collide(targets.mapping, report):
        return
    with archive.push(login.name, destination.key, rehearsal=report.dry_run) as run:
        push(
            run,
            destination,
            report,
            targets=targets,
            progress=terms.progress,
            patience=patience(),
            budget=budget_of(archive, target, destination.key, "up"),
            restore=terms.restore,
        )
        report.ended = int(time.time())
        run.finish(complete=report.complete and selection.everything, report=report.as_json())
