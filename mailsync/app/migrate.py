"""Migrations: a pull, the push that runs beside it and ends after it, and the proof of both, under
one lock.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from mailsync.app import stores
from mailsync.app.accounts import Login, Secrets
from mailsync.app.imap_beside import Choose, imap_beside, keep_pop3, shown_by, tell
from mailsync.app.pull import opened, pull_by
from mailsync.app.rehearsals import rehearse_migration
from mailsync.app.rename import remark
from mailsync.app.requests import MigrateRequest
from mailsync.app.runs import begun, budget_of, collide, key_of, patience, rules_of, way_back
from mailsync.archive import Archive, PullRun, PushRun, ServerOf
from mailsync.engine.proof import Question, prove, settle
from mailsync.engine.proof_outcome import Proof
from mailsync.engine.pull import choose
from mailsync.engine.push import AnnouncedProgress, PushSession, StreamingPush
from mailsync.engine.report import Report
from mailsync.engine.selection import Selection
from mailsync.engine.targets import Targets, came_late, find_targets
from mailsync.errors import MailsyncError, StoreUnavailable
from mailsync.model import Mailbox
from mailsync.progress import Progress
from mailsync.stores.base import Destination, Source
from mailsync.stores.credentials import Secret


def migrate(
    request: MigrateRequest,
    secrets: Secrets,
    progress: Progress,
    beside: Progress,
    imap_instead: Choose = keep_pop3,
) -> list[Report]:
    """Pull and push; returns the reports of what was begun.

    `progress` is shown the pull and the proof, `beside` the push, which runs at the same time.
    `imap_instead` is asked the first time that an account is moved by POP3 whose login works over
    IMAP too.

    Raises ConfigError for a destination that cannot be one, and where a password is missing; every
    other MailsyncError stands in its report.
    """
    stores.imap_of(request.destination)
    both = (secrets(request.source), secrets(request.destination))
    if request.dry_run:
        return rehearse_migration(request, both, progress)
    migration = Migration(request, both, progress, beside)
    reports = migration.run(imap_instead)
    if migration.better is None:
        return reports
    return Migration(replace(request, source=migration.better), both, progress, beside).run()


class Migration:
    """What is known at its beginning; `secrets` are those of source and destination."""

    def __init__(
        self,
        request: MigrateRequest,
        secrets: tuple[Secret, Secret],
        progress: Progress,
        beside: Progress,
    ) -> None:
        self._request = request
        self._secrets = secrets
        self._progress = progress
        self._beside = beside
        self._pulled = begun("pull", request.source)
        self._pushed = begun("push", request.source, request.destination)
        self._at = self._pulled
        self.better: Login | None = None
        """The login that was chosen instead of the source's."""

    def run(self, imap_instead: Choose = keep_pop3) -> list[Report]:
        """Pull and push, unless a better login is chosen; returns the reports of what was begun.

        Both sides are logged in to before a message moves.
        """
        asked = self._request
        try:
            with opened(asked.source, self._secrets[0], self._progress, asked.wait) as (
                archive,
                source,
            ):
                source.capabilities()
                self._at = self._pushed
                with closing(
                    stores.destination(asked.destination, self._secrets[1], self._beside)
                ) as destination:
                    destination.capabilities()
                    self._at = self._pulled
                    self.better = self._better(archive, source, imap_instead)
                    if self.better is None:
                        self._move(archive, source, destination)
        except MailsyncError as error:
            self._at.error = error
            self._at.ended = int(time.time())
        return (
            [self._pulled, self._pushed]
            if self._at is self._pushed and self._pulled.ended
            else [self._at]
        )

    def _better(self, archive: Archive, source: Source, imap_instead: Choose) -> Login | None:
        """Return the login over IMAP where that shows more and is chosen; else remark it."""
        login = self._request.source
        found = imap_beside(login, self._secrets[0])
        here = None if found is None else shown_by(source)
        first = login.name not in archive.accounts()
        if found and here is not None and first and imap_instead(found, here):
            return found.login
        tell(self._pushed, login, found, here)
        remark(self._pushed, login)
        return None

    def _move(self, archive: Archive, source: Source, destination: Destination) -> None:
        login, only = self._request.source, self._request.mailboxes
        listed = source.mailboxes()
        chosen = choose(listed, login.globs, only)
        targets = self._targets(archive, destination, chosen) if chosen else None
        if targets is None:
            with archive.pull(login.name, ServerOf(login.server)) as run:
                self._pull(run, archive, source, self._progress)
            self._at = self._pushed if chosen else self._pulled
            self._pushed.ended = int(time.time())
            return
        with archive.pull(login.name, ServerOf(login.server)) as pulling:
            pushing = archive.push(
                login.name, key_of(archive, destination, targets.listed, self._pushed)
            )
            session = PushSession(
                pushing,
                destination,
                self._pushed,
                self._beside,
                patience(),
                budget_of(archive, self._request.destination, destination.key, "up"),
            )
            announced = AnnouncedProgress(self._progress)
            push = StreamingPush(session, targets, coming=chosen, announced=announced)
            with push:
                self._pull(pulling, archive, source, announced, listed)
        self._at = self._pushed
        with pushing:
            self._end(push, pushing, destination)

    def _pull(
        self,
        run: PullRun,
        archive: Archive,
        source: Source,
        progress: Progress,
        listed: Sequence[Mailbox] | None = None,
    ) -> None:
        login, only = self._request.source, self._request.mailboxes
        pull_by(
            run,
            archive,
            login,
            source,
            self._pulled,
            progress,
            only=only,
            listed=listed,
            thorough=True,
        )

    def _end(self, push: StreamingPush, run: PushRun, destination: Destination) -> None:
        """Send what the pull left to send, prove both sides, and write the push's report down."""
        targets = push.finish()
        for path in came_late(targets):
            text = "came to be on the old server during this run: run the command again to move it"
            self._pushed.trouble_with("mailbox", path, "", text)
        if self._pulled.error is None and self._pushed.error is None:
            self._prove(push, targets, run, destination)
        if self._pulled.error is not None:
            text = "only what had come by then was sent: the pull stopped early; nothing was proved"
            self._pushed.trouble_with("not-pulled", None, "", text)
        self._pushed.ended = int(time.time())
        partly = self._pulled.error is not None or self._request.mailboxes
        complete = self._pushed.complete and not partly
        run.finish(complete=complete, report=self._pushed.as_json())

    def _targets(
        self, archive: Archive, destination: Destination, chosen: Sequence[Mailbox]
    ) -> Targets | None:
        """Decide where everything goes, before a message moves; None, with a remark in the report,
        where two would meet or the server gives up.
        """
        asked = self._request
        try:
            existing = destination.mailboxes()
        except StoreUnavailable as error:
            self._pushed.error = error
            return None
        targets = find_targets(
            archive,
            asked.source.name,
            existing,
            rules_of(asked.destination, asked.renamed, asked.into),
            Selection(globs=asked.mailboxes),
            chosen,
        )
        if collide(targets.mapping, self._pushed):
            return None
        return replace(targets, way_back=way_back(asked))

    def _prove(
        self, push: StreamingPush, targets: Targets, run: PushRun, destination: Destination
    ) -> None:
        """Look for every message on the destination, send once more what is not there as it was
        sent, and look again.
        """
        try:
            proof = settle(
                lambda question: self._looked_at(targets, run, destination, question),
                lambda: push.again(targets),
                push.wait,
            )
        except StoreUnavailable as error:
            self._pushed.error = error
        else:
            proof.tell(self._pushed)

    def _looked_at(
        self, targets: Targets, run: PushRun, destination: Destination, question: Question
    ) -> Proof:
        """Return what a connection sees that only reads. Raises StoreUnavailable."""
        asked = self._request
        seen = {path: tally.seen for path, tally in self._pulled.mailboxes.items()}
        # Some servers write what they were sent only when the connection that sent it ends.
        destination.close()
        self._progress.begin(f"proving {self._pushed.destination}")
        try:
            with closing(
                stores.source(asked.destination, self._secrets[1], self._progress)
            ) as source:
                question = replace(question, seen=seen, content=asked.prove_content)
                return prove(targets, run, source, question)
        finally:
            self._progress.end()
