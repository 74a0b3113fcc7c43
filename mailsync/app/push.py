"""Pushes and restores: from an archive to an IMAP server."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial

from mailsync.app import stores
from mailsync.app.accounts import Secrets
from mailsync.app.archives import demand_account, open_archive
from mailsync.app.choice import demand_match, selection_of
from mailsync.app.requests import PushRequest, RestoreRequest
from mailsync.app.runs import begun, budget_of, collide, patience, rules_of
from mailsync.archive import Archive, ArchivedMailbox
from mailsync.engine import push as engine
from mailsync.engine.proof import Question, confirm, settle
from mailsync.engine.proof_outcome import Proof
from mailsync.engine.report import Report
from mailsync.engine.selection import Selection
from mailsync.engine.targets import Targets, find_targets
from mailsync.errors import ArchiveNotFound, MailsyncError, StoreUnavailable
from mailsync.formats.quantities import messages
from mailsync.progress import Progress
from mailsync.stores.base import Destination, Source


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
                f"there is no archive in {login.directory}; `mailsync pull {login.name}` makes it"
            )
        # A rehearsal only looks, so that it may be made beside a run.
        reading = Archive.read(login.directory) if request.dry_run else None
        with (
            reading or open_archive(login, request.wait) as archive,
            closing(stores.destination(target, secret, progress)) as destination,
        ):
            demand_account(archive, login)
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
    selection = selection_of(request.choice, archive, login, report)
    boxes = archive.mailboxes(login.name)
    if selection.globs:
        boxes = demand_match(selection, boxes, login)
    if restoring:
        _note_gone(boxes, selection, report)
    rules = rules_of(request.destination, request.renamed, request.into)
    targets = find_targets(archive, login.name, destination.mailboxes(), rules, selection)
    if collide(targets.mapping, report):
        return
    with archive.push(login.name, destination.key, rehearsal=report.dry_run) as run:
        budget = budget_of(archive, request.destination, destination.key, "up")
        session = engine.PushSession(run, destination, report, progress, patience(), budget)
        if report.dry_run:
            engine.rehearse_push(session, targets, restore=restoring)
        else:
            targets = engine.push(session, targets, restore=restoring)
            if again is not None and report.total.new and report.error is None:
                _confirm(session, targets, again)
        report.ended = int(time.time())
        run.finish(complete=report.complete and selection.everything, report=report.as_json())


def _note_gone(boxes: Sequence[ArchivedMailbox], selection: Selection, report: Report) -> None:
    """Say of how many messages a restore would have to be asked for expressly."""
    gone = sum(box.gone for box in boxes)
    if gone and not selection.include_gone and selection.as_of is None:
        report.note(
            "gone",
            None,
            "",
            f"{messages(gone)} that left the server are not among these; --include-gone brings them"
            " back too",
        )


def _confirm(session: engine.PushSession, targets: Targets, again: Callable[[], Source]) -> None:
    """Look at what was sent, and send once more what is not there as it was sent."""

    def look(before: Proof | None) -> Proof:
        # Some servers write what they were sent only when the connection that sent it ends.
        session.destination.close()
        with closing(again()) as source:
            return confirm(targets, session.run, source, Question(before=before))

    try:
        proof = settle(look, lambda: engine.send_again(session, targets))
    except StoreUnavailable as error:
        text = f"what was sent could not be looked at: {error}"
        session.report.trouble_with("unproved", None, "", text)
    else:
        proof.tell(session.report, numbers=False)
