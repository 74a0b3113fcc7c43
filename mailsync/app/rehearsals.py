"""Dry runs: what a pull or a migration would do, how much that is, and how long it may take.

They write nothing anywhere.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, suppress

from mailsync.app import stores
from mailsync.app.accounts import Login
from mailsync.app.archives import demand_place, demand_server
from mailsync.app.imap_beside import imap_beside, tell
from mailsync.app.push import push_from
from mailsync.app.requests import Choice, MigrateRequest, PushRequest
from mailsync.app.runs import begun, collide, rules_of
from mailsync.archive import Archive
from mailsync.config.account import Pop3Account
from mailsync.config.policies import DeleteAfter
from mailsync.engine import pull as engine
from mailsync.engine.report import Report
from mailsync.engine.server_deletion import rehearse_deletion
from mailsync.errors import ArchiveNotFound, MailsyncError, NothingMatches
from mailsync.formats.quantities import messages, octets, span
from mailsync.mapping import plan_mapping, show
from mailsync.model import Entry, Known, Mailbox, MailboxPath, Scan, SyncState
from mailsync.progress import Progress
from mailsync.stores.credentials import Secret

GUESSES: tuple[float, ...] = (1e6, 10e6)
"""Octets a second that an estimate names where none was ever measured."""

TELLING = 1_000_000
"""Octets that a run must have moved for its speed to tell anything."""


class Nothing:
    """What an archive that does not exist remembers."""

    def state(self, _: MailboxPath) -> SyncState | None:
        """Know no state."""
        return None

    def known(self, scan: Scan) -> Known:  # noqa: ARG002  a protocol's signature
        """Know no message."""
        return Known(None, {}, 0)

    def held(self, entries: Sequence[Entry], before: int) -> dict[Entry, bytes]:  # noqa: ARG002  a protocol's signature
        """Hold no message."""
        return {}


def rehearse_pull(
    login: Login,
    secret: Secret,
    report: Report,
    progress: Progress,
    only: Sequence[str],
    *,
    moved: bool = False,
) -> list[Mailbox]:
    """Find out what a pull would do; returns the mailboxes it is about. Raises MailsyncError.

    Of an account that `moved` to another server nothing is known by UID or UIDL there.
    """
    with ExitStack() as stack:
        archive = _archive(stack, login)
        if archive is not None and not moved:
            demand_server(archive, login)
        source = stack.enter_context(closing(stores.source(login, secret, progress)))
        memory = archive.last_known(login.name, login.files) if archive and not moved else Nothing()
        chosen = engine.rehearse_pull(source, memory, report, only=only, among=login.globs)
        keep = login.settings.keep if isinstance(login.settings, Pop3Account) else "forever"
        if isinstance(keep, DeleteAfter) and report.complete:
            rehearse_deletion(source, memory, report, after=keep.delete_after, now=time.time())
        estimate(archive, login, report)
    return chosen


def rehearse_migration(
    request: MigrateRequest, secrets: tuple[Secret, Secret], progress: Progress
) -> list[Report]:
    """Find out what a migration would do: what its pull would bring, and what its push would send
    of that and of the archive.
    """
    source, target = request.source, request.destination
    choice = Choice(request.mailboxes)
    pulled = at = begun("pull", source, dry_run=True)
    pushed = begun("push", source, target, dry_run=True)
    try:
        chosen = rehearse_pull(source, secrets[0], pulled, progress, request.mailboxes)
        if pulled.error is not None:
            return [pulled]
        at = pushed
        tell(pushed, source, imap_beside(source, secrets[0]), pulled.total.seen)
        with ExitStack() as stack:
            archive = _archive(stack, source)
            destination = stack.enter_context(
                closing(stores.destination(target, secrets[1], progress))
            )
            if archive is not None and source.name in archive.accounts():
                rest = PushRequest(
                    source, target, choice, request.renamed, request.into, dry_run=True
                )
                with suppress(NothingMatches):  # which the pull may bring
                    push_from(archive, destination, rest, pushed, progress)
            mapping = plan_mapping(
                [mailbox for mailbox in chosen if not mailbox.is_view],
                destination.mailboxes(),
                rules_of(target, request.renamed, request.into),
            )
            if pushed.error is None and not pushed.trouble and not collide(mapping, pushed):
                _add(pulled, pushed, {move.ours.path: move.theirs for move in mapping.moves})
            estimate(archive, source, pushed)
    except MailsyncError as error:
        at.error = error
        return [at]
    return [pulled, pushed]


def estimate(archive: Archive | None, login: Login, report: Report) -> None:
    """Say how long the messages may take: as fast as the last run that moved enough to tell, or
    else at two speeds one may have.
    """
    amount = report.total.octets
    if not amount or report.error is not None:
        return
    speed = next(_speeds(archive, login, report), None) if archive else None
    if speed:
        text = (
            f"{octets(amount)}: about {span(amount / speed)}, as fast as the last time"
            f" ({octets(speed)}/s)"
        )
    else:
        guesses = " or ".join(f"{span(amount / guess)} at {octets(guess)}/s" for guess in GUESSES)
        text = f"{octets(amount)}: about {guesses}; no run has measured the line yet"
    limits = login.settings.limits
    if not report.destination and limits.bytes_per_day and amount > limits.bytes_per_day:
        text += (
            f"; with the limit of {octets(limits.bytes_per_day)} a day,"
            f" {-(-amount // limits.bytes_per_day)} days"
        )
    report.note("estimate", None, "", text)


def _speeds(archive: Archive, login: Login, report: Report) -> Iterator[float]:
    for run in archive.runs(login.name, 100):
        report_then, ended = run.report, run.ended or run.started
        total = report_then.get("total")
        moved = total.get("octets") if isinstance(total, dict) else None
        alike = (
            run.kind == ("push" if report.destination else "pull")
            and report_then.get("destination", "") == report.destination
        )
        if alike and isinstance(moved, int) and moved >= TELLING and ended > run.started:
            yield moved / (ended - run.started)


def _archive(stack: ExitStack, login: Login) -> Archive | None:
    try:
        return stack.enter_context(Archive.read(login.directory))
    except ArchiveNotFound:
        demand_place(login.directory)
        return None


def _add(pulled: Report, pushed: Report, places: dict[MailboxPath, MailboxPath | None]) -> None:
    """Count what the pull would bring as sent too; some of it may turn out to be there already."""
    fresh = 0
    for path, tally in pulled.mailboxes.items():
        place = places.get(path)
        if place is None or not tally.new:
            continue
        there = pushed.of(path)
        there.to = there.to or show(place)
        there.seen += tally.new
        there.new += tally.new
        there.octets += tally.octets
        fresh += tally.new
    if fresh:
        pushed.note(
            "rehearsal",
            None,
            "",
            f"{messages(fresh)} of these would be pulled first; some may turn out to be there"
            " already",
        )
