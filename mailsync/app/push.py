"""Pushes and restores: from an archive to an IMAP server."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Final

from mailsync.app import stores
from mailsync.app.accounts import Secrets
from mailsync.app.archives import demand_account, demand_server, open_archive
from mailsync.app.choice import SEARCHED, as_of, chosen_of, demand_messages, moved_to
from mailsync.app.requests import PushRequest, RestoreRequest
from mailsync.app.runs import begun, budget_of, collide, key_of, patience, rules_of, way_back
from mailsync.archive import Archive
from mailsync.engine import push as engine
from mailsync.engine.chosen import Chosen
from mailsync.engine.proof import Question, confirm, settle
from mailsync.engine.proof_outcome import Proof
from mailsync.engine.report import Report
from mailsync.engine.targets import Targets, find_targets
from mailsync.errors import ArchiveNotFound, MailsyncError, StoreUnavailable
from mailsync.formats.quantities import messages
from mailsync.model import MailboxPath
from mailsync.progress import Progress
from mailsync.stores.base import Destination, Source

_ON_PURPOSE: Final = (
    ". To fill that mailbox with this mail: `mailsync restore {} --to DESTINATION`, with the name"
    " of another account, or a URL"
)


def push(request: PushRequest, secrets: Secrets, progress: Progress) -> Report:
    """Push one account's archive.

    Raises ConfigError for a destination that cannot be one; every other MailsyncError stands in
    the report.
    """
    return _sent("push", request, secrets, progress)


def restore(request: RestoreRequest, secrets: Secrets, progress: Progress) -> Report:
    """Bring messages of one account's archive back. Raises as `push` does."""
    return _sent("restore", request, secrets, progress)


def _sent(command: str, request: PushRequest, secrets: Secrets, progress: Progress) -> Report:
    login, target = request.source, request.destination
    stores.imap_of(target)
    report = begun(command, login, target, dry_run=request.dry_run)
    try:
        secret = secrets(target)
        if not login.directory.exists():
            raise ArchiveNotFound(
                f"there is no archive in {login.directory}; `mailsync pull {login.shown}` makes it"
            )
        # A rehearsal only looks, so that it may be made beside a run.
        reading = Archive.read(login.directory) if request.dry_run else None
        with (
            reading or open_archive(login, request.wait) as archive,
            closing(stores.destination(target, secret, progress)) as destination,
        ):
            demand_account(archive, login)
            if login.name == target.name:
                # Back to where it came from; to fill another server is asked for by its name.
                demand_server(archive, login, or_else=_ON_PURPOSE.format(login.shown))
            again = partial(stores.source, target, secret, progress)
            push_from(archive, destination, request, report, progress, again=again)
    except MailsyncError as error:
        report.error = error
    report.ended = int(time.time())
    return report


def push_from(
    archive: Archive,
    destination: Destination,
    request: PushRequest,
    report: Report,
    progress: Progress,
    *,
    again: Callable[[], Source] | None = None,
) -> None:
    """Push from an archive that is open to a destination that is connected; what was sent is looked
    at by a connection of its own, which `again` opens.
    """
    login = request.source
    restoring = isinstance(request, RestoreRequest)
    chosen = _chosen(request, archive, report)
    rules = rules_of(request.destination, request.renamed, request.into)
    listed = destination.mailboxes()
    targets = find_targets(archive, login.name, listed, rules, chosen.selection)
    if restoring and login.server == request.destination.server:
        targets = replace(targets, at_home=not (request.into or request.renamed))
    targets = replace(targets, way_back=way_back(request))
    if collide(targets.mapping, report):
        return
    key = key_of(archive, destination, listed, report)
    with archive.push(login.name, key, rehearsal=report.dry_run) as run:
        budget = budget_of(archive, request.destination, destination.key, "up")
        session = engine.PushSession(run, destination, report, progress, patience(), budget)
        if report.dry_run:
            engine.rehearse_push(session, targets, restore=restoring)
        else:
            targets = engine.push(session, targets, restore=restoring)
            if again is not None and report.total.new and report.error is None:
                _confirm(session, targets, again)
        report.ended = int(time.time())
        run.finish(
            complete=report.complete and chosen.selection.everything, report=report.as_json()
        )


def _demand_confirmed(chosen: Chosen, report: Report) -> None:
    """Say how many messages are left out because they may have left their server long ago."""
    for box in chosen.mailboxes:
        if many := len(chosen.unconfirmed(box.path)):
            text = (
                f"{messages(many)} left out: since the catalogue was built again nobody has looked"
                f" whether they are on the server. First `mailsync pull {report.account}`, or,"
                " where that server is lost for good, --include-gone"
            )
            report.trouble_with("unconfirmed", box.path, "", text)


def _chosen(request: PushRequest, archive: Archive, report: Report) -> Chosen:
    """Return what is to be sent, with remarks on it: what never was on a server is not restored to
    that server by itself.
    """
    login, restoring = request.source, isinstance(request, RestoreRequest)
    home = login.name == request.destination.name
    asked = not isinstance(request, RestoreRequest) or not home or request.include_imported
    many = 0 if asked else archive.imported(login.name)
    chosen = chosen_of(request.choice, archive, login, sending=True, imported=not many)
    _demand_confirmed(chosen, report)
    demand_messages(request.choice, chosen)
    _note_choice(chosen, report, restoring=restoring)
    if many:
        text = (
            f"{messages(many)} only came out of files and {'is' if many == 1 else 'are'} not among"
            " these; --include-imported sends them too"
        )
        report.note("imported", None, "", text)
    return chosen


def _note_choice(chosen: Chosen, report: Report, *, restoring: bool) -> None:
    """Say what a choice means, and of how many messages a push would have to be asked for
    expressly.
    """
    selection = chosen.selection
    if selection.as_of is not None:
        report.note("as-of", None, "", as_of(chosen))
    if selection.search:
        report.note("searched", None, "", f"searched was {SEARCHED}, not the text")
    if selection.include_gone or selection.as_of is not None:
        for box in () if selection.also_moved else chosen.mailboxes:
            _note_moved(box.path, chosen.moved(box.path), report)
    elif restoring and (lost := sum(loss.lost for loss in chosen.losses())):
        text = (
            f"{messages(lost)} that left the server {'is' if lost == 1 else 'are'} not among these;"
            " --include-gone brings them back too"
        )
        report.note("gone", None, "", text)


def _note_moved(mailbox: MailboxPath, moved: Mapping[MailboxPath, int], report: Report) -> None:
    """Say how many messages left a mailbox for another one, and are not brought back for that."""
    if many := sum(moved.values()):
        were = "message that was in here lives" if many == 1 else "messages that were in here live"
        text = (
            f"{many:,} {were} elsewhere now, in {moved_to(moved)}, and"
            f" {'is' if many == 1 else 'are'} not brought back (--also-moved does)"
        )
        report.note("moved", mailbox, "", text)


def _confirm(session: engine.PushSession, targets: Targets, again: Callable[[], Source]) -> None:
    """Look at what was sent, and send once more what is not there as it was sent."""

    def look(question: Question) -> Proof:
        # Some servers write what they were sent only when the connection that sent it ends.
        session.destination.close()
        with closing(again()) as source:
            return confirm(targets, session.run, source, question)

    try:
        proof = settle(look, lambda: engine.send_again(session, targets), session.wait)
    except StoreUnavailable as error:
        text = f"what was sent could not be looked at: {error}"
        session.report.trouble_with("unproved", None, "", text)
    else:
        proof.tell(session.report, numbers=False)
