"""What pulls, pushes and migrations have in common."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from typing import Final

from mailsync.app import stores
from mailsync.app.accounts import Login
from mailsync.app.requests import MigrateRequest, PushRequest
from mailsync.archive import Archive
from mailsync.config.local import LocalFiles
from mailsync.engine.budget import Budget, unlimited
from mailsync.engine.push import Patience
from mailsync.engine.report import Report
from mailsync.engine.same_destination import holds_what_was_sent
from mailsync.mapping import MappingPlan, MappingRules, parse_name, show
from mailsync.model import Mailbox, MailboxPath
from mailsync.stores.base import Destination

PATIENCE: Final = 30.0
"""Seconds a server may still be storing what a broken connection had sent, before it is sent again.
"""


def begun(
    command: str, login: Login, destination: Login | None = None, *, dry_run: bool = False
) -> Report:
    """Return the report of a run that begins now."""
    return Report(
        command,
        login.shown,
        destination.shown if destination else "",
        str(login.directory),
        dry_run=dry_run,
        started=int(time.time()),
    )


def budget_of(archive: Archive, login: Login, name: str, direction: str) -> Budget:
    """Return the limits an account is configured with, less what the last 24 hours used up."""
    limits = login.settings.limits
    if limits.bytes_per_day is None and limits.bytes_per_second is None:
        return unlimited()
    return Budget(
        limits.bytes_per_day,
        limits.bytes_per_second,
        spent=archive.spent(name, direction),
        record=lambda octets: archive.spend(name, direction, octets),
        clock=time.monotonic,
        sleep=time.sleep,
    )


def key_of(
    archive: Archive, destination: Destination, listed: Sequence[Mailbox], report: Report
) -> str:
    """Return the key by which the ledger knows a destination; a remark says where its port has
    changed. Raises StoreUnavailable.
    """
    key = destination.key
    for known in archive.destinations(key, listed):
        if known == key:
            break
        if holds_what_was_sent(archive, known, destination, listed):
            text = (
                f"this is the server that was at port {known.rpartition(':')[2]}, as the messages"
                " say that were sent there last: what was sent there is not sent again"
            )
            report.note("same-server", None, "", text)
            return known
    return key


def patience() -> Patience:
    """Return what it takes to wait for a server that may still be storing messages."""
    return Patience(PATIENCE, time.time, time.sleep)


def rules_of(
    destination: Login, renamed: Mapping[MailboxPath, MailboxPath], into: MailboxPath
) -> MappingRules:
    """Return the rules by which mailboxes are named on a destination: as configured, and as asked
    for by a request, which wins.
    """
    configured = {
        parse_name(here): parse_name(there)
        for here, there in stores.imap_of(destination).map_.items()
    }
    return MappingRules({**configured, **renamed}, into)


def way_back(request: PushRequest | MigrateRequest) -> str:
    """Return the command that brings messages back to a request's destination, under the names that
    their mailboxes have there; only the mailboxes themselves are still to be added.
    """
    source, destination = request.source, request.destination
    words = ["mailsync", "restore", source.shown]
    if source.typed:
        words += ["--archive", str(source.directory)]
    if destination.shown != source.shown:
        words += ["--to", destination.shown]
    settings = destination.settings
    if destination.typed and not isinstance(settings, LocalFiles):
        words += ["--ca-file", str(settings.ca_file)] if settings.ca_file else []
        words += ["--tls-name", settings.tls_name] if settings.tls_name else []
    for here, there in request.renamed.items():
        words += ["--map", f"{show(here)}={show(there)}"]
    if request.into:
        words += ["--into", show(request.into)]
    return shlex.join(words)


def collide(mapping: MappingPlan, report: Report) -> bool:
    """Return whether mailboxes would end in one place; the report names them."""
    for place, mailboxes in mapping.collisions.items():
        names = ", ".join(show(path) for path in mailboxes)
        report.trouble_with(
            "mapping",
            place,
            "",
            f"{names} would all end there; give them names of their own with --map or `map:`",
        )
    return bool(mapping.collisions)
