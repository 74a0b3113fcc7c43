"""What a process ends with: the one table of exit codes, and how several become one.

An error that has no row of its own ends as the kind of error it is. README.md shows the table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from mailsync import errors


@dataclass(frozen=True, slots=True)
class ExitCode:
    """One row: the code, what it means to whoever ran the command, and the errors that end so."""

    code: int
    meaning: str
    errors: tuple[type[errors.MailsyncError], ...] = ()


DONE: Final = 0
UNEXPECTED: Final = 1
USAGE: Final = 2
INCOMPLETE: Final = 3
NOTHING: Final = 4
VANISHED: Final = 5
DAMAGED: Final = 13
DISK_FULL: Final = 74
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141
"""What a shell shows of a program that SIGPIPE ended: nobody wants to read the rest."""

TABLE: Final = (
    ExitCode(DONE, "everything asked for is done"),
    ExitCode(
        UNEXPECTED,
        "an error of another kind (unknown host, closed port, unreadable disk)",
        (errors.MailsyncError, errors.Unreachable),
    ),
    ExitCode(
        USAGE,
        "the configuration or the command line is wrong; every problem is listed with its line"
        " (also: an account names another server than its mail came from)",
        (errors.ConfigError, errors.OtherServer),
    ),
    ExitCode(
        INCOMPLETE,
        "incomplete: some messages or mailboxes are missing, each is named; the next run tries"
        " again",
        (errors.MessageError, errors.MailboxError),
    ),
    ExitCode(
        NOTHING,
        "no mailbox, or no message, matches what was asked for; nothing was done",
        (errors.NothingMatches,),
    ),
    ExitCode(
        VANISHED,
        "the pull is complete, but very many messages vanished from the server at once: all are"
        " kept, each mailbox is named with the command that brings them back",
    ),
    ExitCode(10, "there is no archive at that place", (errors.ArchiveNotFound,)),
    ExitCode(11, "another run is writing the archive", (errors.ArchiveLocked,)),
    ExitCode(12, "the login was refused", (errors.AuthenticationFailed,)),
    ExitCode(
        DAMAGED,
        "damage: a file of the archive is not what was put there",
        (errors.IntegrityError,),
    ),
    ExitCode(14, "the connection cannot be trusted", (errors.TlsError,)),
    ExitCode(15, "the destination is full", (errors.OverQuota,)),
    ExitCode(16, "the server broke its protocol", (errors.ProtocolViolation,)),
    ExitCode(17, "the archive was written by a newer mailsync", (errors.SchemaTooNew,)),
    ExitCode(DISK_FULL, "the disk is full", (errors.DiskFull,)),
    ExitCode(
        75,
        "the server is busy, fell silent or broke off, or a limit is reached: try later",
        (errors.StoreUnavailable,),
    ),
    ExitCode(INTERRUPTED, "interrupted; nothing is lost, run it again"),
    ExitCode(BROKEN_PIPE, "whoever read the output went away (a pipe was closed)"),
)

_BY_ERROR: Final = {kind: row.code for row in TABLE for kind in row.errors}


def of_error(error: errors.MailsyncError) -> int:
    """Return what an error ends the process with."""
    return next(_BY_ERROR[kind] for kind in type(error).__mro__ if kind in _BY_ERROR)


COMPLETE: Final = frozenset({DONE, VANISHED})
"""What a run ends with that did all it was asked for."""


def of_run(error: errors.MailsyncError | None, *, complete: bool, alarmed: bool = False) -> int:
    """Return what one run ends with: what stopped it, else whether all of it was done, and whether
    a person must look all the same.
    """
    if error is not None:
        return of_error(error)
    if not complete:
        return INCOMPLETE
    return VANISHED if alarmed else DONE


def of_accounts(codes: Iterable[int]) -> int:
    """Return what several accounts end with: damage and a full disk win; all alike end like that,
    and where all are complete an alarm counts; else the whole is incomplete.
    """
    found = set(codes)
    for grave in (DAMAGED, DISK_FULL):
        if grave in found:
            return grave
    if found == COMPLETE:
        return VANISHED
    return found.pop() if len(found) == 1 else INCOMPLETE if found else DONE


def of_steps(codes: Collection[int]) -> int:
    """Return what the steps of one account's run end with: what stopped a step says more than that
    all of it is incomplete.
    """
    stopped = [code for code in codes if code not in COMPLETE | {INCOMPLETE}]
    return of_accounts(stopped or codes)
