"""`mailsync status`: how old and how large each archive is."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from mailsync.app.requests import StatusRequest
from mailsync.app.status import State, exit_code, status
from mailsync.cli import exits, options
from mailsync.cli.lines import complain
from mailsync.cli.session import Session
from mailsync.cli.tables import table
from mailsync.formats.quantities import moment, octets, span
from mailsync.formats.terminal import plain


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
    that long; where there is no archive at all, with 10.
    """
    now = time.time()
    logins = session.accounts().several(accounts, archive, kept=True)
    states = status(StatusRequest(logins, max_age), now)
    code = exit_code(states)
    if session.json:
        exits.print_json(session, code, {"accounts": [state.as_json() for state in states]})
        return code
    if not session.quiet:
        headings = ["account", "messages", "gone", "size", "last complete pull", "last run"]
        drop = ("last run", "gone", "size")
        rows = [list(_row(state, now)) for state in states]
        click.echo(table(rows, headings, "lrrrll", drop=drop))
        _tell_unfinished(states)
    _complain(states, now)
    return code


def _tell_unfinished(states: Sequence[State]) -> None:
    """Name the accounts whose last pull was not complete: the table may have no room for that."""
    for state in states:
        if state.last_run and not (state.last_run_complete or state.stale or state.error):
            complain(
                f"{plain(state.account)}: the last pull, begun {moment(state.last_run)}, is not"
                " complete: it failed, was broken off, still runs, or was of some mailboxes alone"
            )


def _complain(states: Sequence[State], now: float) -> None:
    """Say what is wrong with archives, whatever else is said."""
    for state in states:
        if state.error:
            complain(f"{plain(state.account)}: {plain(state.error)}")
        elif state.stale:
            complain(f"{plain(state.account)}: {_why_stale(state, now)}")


def _why_stale(state: State, now: float) -> str:
    if not state.last_complete:
        return "never pulled completely"
    if state.last_complete > now:
        return (
            f"the last complete pull ended {moment(state.last_complete)}, which is yet to come:"
            " set the clock of this machine right, and pull"
        )
    return f"last complete pull {span(now - state.last_complete)} ago"


def _age(seconds: float) -> str:
    return f"{span(seconds)} ago" if seconds >= 0 else "in the future"


def _row(state: State, now: float) -> Iterator[str]:
    yield plain(state.account)
    if not state.exists:
        # It may be there, and hold another account's mail.
        why = "see below" if Path(state.archive).exists() else "no archive yet"
        yield from ("-", "-", "-", f"never ({why})", "-")
        return
    if state.error:
        yield from ("-", "-", "-", "damaged: see below", "-")
        return
    yield f"{state.messages:,}"
    # As `list` counts them: what went to another mailbox is still there.
    gone = max(0, state.gone - state.moved)
    yield f"{gone:,}" if gone else "-"
    yield octets(state.octets)
    yield (
        f"{moment(state.last_complete)} ({_age(now - state.last_complete)})"
        if state.last_complete
        else "never"
    )
    if state.last_run is None:
        yield "-"
    else:
        # The last complete pull is the last one then.
        yield "complete" if state.last_run_complete else f"{moment(state.last_run)}: incomplete"
