"""`mailsync status`: how old and how large each archive is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from tabulate import tabulate

from mailsync.app.accounts import Login
from mailsync.archive import Archive
from mailsync.cli import exits, options
from mailsync.cli.accounts import logins
from mailsync.cli.session import Session
from mailsync.errors import EXIT_INCOMPLETE, ArchiveError, ArchiveNotFound
from mailsync.formats.quantities import moment, octets, span
from mailsync.formats.terminal import plain

PULLS = frozenset({"pull", "migrate"})
RUNS_LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class State:
    """What there is to say of one account; times are epoch seconds, None for never."""

    account: str
    archive: str
    exists: bool
    messages: int = 0
    gone: int = 0
    octets: int = 0
    incomplete_mailboxes: int = 0
    last_complete: int | None = None
    last_run: int | None = None
    last_run_complete: bool = False
    stale: bool = False
    error: str | None = None
    exit_code: int = 0


@click.command("status")
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]…")
@options.max_age
@options.archive
@options.common
@click.pass_obj
def command(
    session: Session, accounts: tuple[str, ...], *, max_age: float | None, archive: Path | None
) -> int:
    """Return how old and how large each archive is, without asking any server.

    With --max-age (for monitoring), ends with exit code 3 if any account had no complete pull for
    that long.
    """
    now = time.time()
    states = [
        _state(login, now, max_age) for login in logins(session, accounts, archive, kept=True)
    ]
    broken = {state.exit_code for state in states if state.error}
    code = (
        EXIT_INCOMPLETE
        if len(broken) > 1 or (not broken and any(state.stale for state in states))
        else max(broken, default=0)
    )
    if session.json:
        exits.print_json(session, code, {"accounts": [asdict(state) for state in states]})
        return code
    if not session.quiet:
        headings = ["account", "messages", "gone", "size", "last complete pull", "last run"]
        rows = [_row(state, now) for state in states]
        click.echo(
            tabulate(
                rows,
                headings,
                tablefmt="simple",
                disable_numparse=True,
                colalign=["left", *["right"] * 3, "left", "left"],
            )
        )
    for state in states:
        if state.error:
            click.echo(
                f"{click.style('!', fg='red', bold=True)} {plain(state.account)}:"
                f" {plain(state.error)}",
                err=True,
            )
        elif state.stale:
            had = (
                f"last complete pull {span(now - state.last_complete)} ago"
                if state.last_complete
                else "never pulled completely"
            )
            click.echo(
                f"{click.style('!', fg='red', bold=True)} {plain(state.account)}: {had}", err=True
            )
    return code


def _state(login: Login, now: float, max_age: float | None) -> State:
    try:
        with Archive.read(login.directory) as archive:
            return _looked_at(archive, login, now, max_age)
    except ArchiveNotFound:
        return State(login.name, str(login.directory), exists=False, stale=max_age is not None)
    except ArchiveError as error:
        # One archive's trouble is not another's.
        return State(
            login.name,
            str(login.directory),
            exists=True,
            stale=True,
            error=str(error),
            exit_code=error.exit_code,
        )


def _looked_at(archive: Archive, login: Login, now: float, max_age: float | None) -> State:
    mailboxes = archive.mailboxes(login.name)
    pulls = [run for run in archive.runs(login.name, RUNS_LOOKED_AT) if run.kind in PULLS]
    complete = max((run.ended for run in pulls if run.complete and run.ended), default=None)
    newest = max(pulls, key=lambda run: run.started, default=None)
    return State(
        account=login.name,
        archive=str(login.directory),
        exists=True,
        messages=sum(mailbox.live for mailbox in mailboxes),
        gone=sum(mailbox.gone for mailbox in mailboxes),
        octets=sum(mailbox.octets for mailbox in mailboxes),
        incomplete_mailboxes=sum(mailbox.incomplete for mailbox in mailboxes),
        last_complete=complete,
        last_run=newest.started if newest else None,
        last_run_complete=bool(newest and newest.complete),
        stale=max_age is not None and (complete is None or now - complete > max_age),
    )


def _row(state: State, now: float) -> Iterator[str]:
    yield plain(state.account)
    if state.error:
        yield from ("-", "-", "-", "damaged: see below", "-")
        return
    if not state.exists:
        yield from ("-", "-", "-", "never (no archive yet)", "-")
        return
    yield f"{state.messages:,}"
    yield f"{state.gone:,}" if state.gone else "-"
    yield octets(state.octets)
    yield (
        f"{moment(state.last_complete)} ({span(now - state.last_complete)} ago)"
        if state.last_complete
        else "never"
    )
    if state.last_run is None:
        yield "-"
    else:
        yield f"{moment(state.last_run)}{'' if state.last_run_complete else ' (incomplete)'}"
