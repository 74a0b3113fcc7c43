"""One migration: a pull, the push that runs beside it and ends after it, and the proof of both,
under one lock.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from mailsync.app import build
from mailsync.app.accounts import Login
from mailsync.app.runs import (
    Terms,
    budget_of,
    collide,
    globs_of,
    opened,
    patience,
    pull_by,
    pull_into,
    rules_of,
)
from mailsync.archive import Archive, PushRun
from mailsync.engine.ahead import Ahead, Announced
from mailsync.engine.proof import prove
from mailsync.engine.pull import choose
from mailsync.engine.push import Push
from mailsync.engine.report import Report
from mailsync.engine.targets import Targets, find_targets, refreshed
from mailsync.errors import MailsyncError, StoreUnavailable
from mailsync.model import Mailbox
from mailsync.progress import Progress
from mailsync.stores.base import Destination, Source


class Migration:
    """What is known at its beginning; `beside` is shown the push while `terms.progress` is shown
    the pull.
    """

    def __init__(
        self,
        origin: Login,
        target: Login,
        secrets: tuple[str, str],
        reports: tuple[Report, Report],
        terms: Terms,
        *,
        beside: Progress,
    ) -> None:
        self._origin = origin
        self._target = target
        self._secrets = secrets
        self._pulled, self._pushed = reports
        self._terms = terms
        self._beside = beside
        self._at = self._pulled

    def run(self) -> list[Report]:
        """Pull and push; returns the reports of what was begun.

        Both sides are logged in to before a message moves.
        """
        try:
            with opened(self._origin, self._secrets[0], self._terms) as (archive, source):
                source.capabilities()
                self._at = self._pushed
                with closing(
                    build.destination(self._target, self._secrets[1], self._beside)
                ) as destination:
                    destination.capabilities()
                    self._at = self._pulled
                    self._move(archive, source, destination)
        except MailsyncError as error:
            self._at.error = error
            self._at.ended = int(time.time())
        return (
            [self._pulled, self._pushed]
            if self._at is self._pushed and self._pulled.ended
            else [self._at]
        )

    def _move(self, archive: Archive, source: Source, destination: Destination) -> None:
        listed = source.mailboxes()
        chosen = choose(listed, globs_of(self._origin), self._terms.globs)
        targets = self._targets(archive, destination, chosen) if chosen else None
        if targets is None:
            pull_into(archive, self._origin, source, self._pulled, self._terms)
            self._at = self._pushed if chosen else self._pulled
            self._pushed.ended = int(time.time())
            return
        with archive.pull(self._origin.name) as pulling:
            pushing = archive.push(self._origin.name, destination.key)
            work = Push(
                pushing,
                destination,
                self._pushed,
                targets=targets,
                progress=self._beside,
                patience=patience(),
            )
            work.budget = budget_of(archive, self._target, destination.key, "up") or work.budget
            work.begin(f"pushing to {self._pushed.destination}")
            announced = Announced(self._terms.progress)
            with Ahead(work, pushing, destination, archive, coming=chosen, announced=announced):
                pull_by(
                    pulling,
                    archive,
                    (self._origin, source),
                    self._pulled,
                    replace(self._terms, progress=announced),
                    listed=listed,
                )
        self._at = self._pushed
        with pushing:
            work.targets = refreshed(work.targets)
            work.finish()
            if self._pulled.error is None and self._pushed.error is None:
                self._prove(work.targets, pushing)
            self._pushed.ended = int(time.time())
            complete = (
                self._pulled.error is None and self._pushed.complete and not self._terms.globs
            )
            pushing.finish(complete=complete, report=self._pushed.as_json())

    def _targets(
        self, archive: Archive, destination: Destination, chosen: Sequence[Mailbox]
    ) -> Targets | None:
        """Decide where everything goes, before a message moves; None, and told, where two would
        meet or the server gives up.
        """
        selection = replace(self._terms.selection, globs=tuple(self._terms.globs))
        try:
            theirs = destination.mailboxes()
        except StoreUnavailable as error:
            self._pushed.error = error
            return None
        targets = find_targets(
            archive,
            self._origin.name,
            theirs,
            rules_of(self._target, self._terms),
            selection,
            chosen,
        )
        return None if collide(targets.mapping, self._pushed) else targets

    def _prove(self, targets: Targets, run: PushRun) -> None:
        """Look for every message on the destination, by a connection that only reads."""
        seen = {path: tally.seen for path, tally in self._pulled.mailboxes.items()}
        self._terms.progress.begin(f"proving {self._pushed.destination}")
        try:
            with closing(
                build.source(self._target, self._secrets[1], self._terms.progress)
            ) as source:
                prove(
                    targets, run, source, self._pushed, seen=seen, content=self._terms.prove_content
                )
        except StoreUnavailable as error:
            self._pushed.error = error
        finally:
            self._terms.progress.end()
