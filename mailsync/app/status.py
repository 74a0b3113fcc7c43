"""How old and how large archives are, without asking any server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from mailsync import exit_codes
from mailsync.app.accounts import Login
from mailsync.app.archives import demand_account
from mailsync.app.rename import namesakes
from mailsync.app.requests import StatusRequest
from mailsync.archive import Archive
from mailsync.errors import ArchiveError, ArchiveNotFound

PULLS: Final = frozenset({"pull", "migrate"})
RUNS_LOOKED_AT: Final = 200

CLOCK_DRIFT: Final = 300
"""Seconds by which a run may have ended in the future: clocks are set now and then. More is a clock
that was wrong then or is wrong now, and nobody knows how old that pull is.
"""


@dataclass(frozen=True, slots=True)
class State:
    """What there is to say of one account; times are epoch seconds, None for never.

    `exit_code` is what this account alone ends the process with.
    """

    account: str
    archive: str
    exists: bool
    messages: int = 0
    gone: int = 0
    moved: int = 0
    octets: int = 0
    incomplete_mailboxes: int = 0
    last_complete: int | None = None
    last_run: int | None = None
    last_run_complete: bool = False
    stale: bool = False
    error: str | None = None
    exit_code: int = 0

    def as_json(self) -> dict[str, object]:
        """Return it as plain values."""
        return asdict(self)


def status(request: StatusRequest, now: float) -> list[State]:
    """Look at each archive; one's trouble is not another's."""
    return [_state(login, now, request.max_age) for login in request.accounts]


def exit_code(states: Sequence[State]) -> int:
    """Return what these accounts together end the process with."""
    return exit_codes.of_accounts(state.exit_code for state in states)


def _state(login: Login, now: float, max_age: float | None) -> State:
    place = str(login.directory)
    try:
        with Archive.read(login.directory) as archive:
            return _looked_at(archive, login, now, max_age)
    except ArchiveError as error:
        exists = not isinstance(error, ArchiveNotFound)
        return State(
            login.shown,
            place,
            exists=exists,
            stale=exists or max_age is not None,
            error="; ".join([str(error), *(one.remedy(login) for one in namesakes(login))]),
            exit_code=exit_codes.of_error(error),
        )


def _looked_at(archive: Archive, login: Login, now: float, max_age: float | None) -> State:
    demand_account(archive, login)
    mailboxes = archive.mailboxes(login.name)
    pulls = [run for run in archive.runs(login.name, RUNS_LOOKED_AT) if run.kind in PULLS]
    newest = max(pulls, key=lambda run: run.id, default=None)
    ends = {run.id: run.ended for run in pulls if run.complete and run.ended}
    complete = ends[max(ends)] if ends else None
    stale = max_age is not None and (
        complete is None or not -CLOCK_DRIFT <= now - complete <= max_age
    )
    return State(
        account=login.shown,
        archive=str(login.directory),
        exists=True,
        messages=sum(mailbox.live for mailbox in mailboxes),
        gone=sum(mailbox.gone for mailbox in mailboxes),
        moved=sum(len(archive.moved(login.name, box.path)) for box in mailboxes if box.gone),
        octets=sum(mailbox.octets for mailbox in mailboxes),
        incomplete_mailboxes=sum(mailbox.incomplete for mailbox in mailboxes),
        last_complete=complete,
        last_run=newest.started if newest else None,
        last_run_complete=bool(newest and newest.complete),
        stale=stale,
        exit_code=exit_codes.INCOMPLETE if stale else exit_codes.DONE,
    )
