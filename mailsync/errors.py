"""The whole exception tree, split by how far the damage reaches.

MailsyncError                         exit 1
├─ UnexpectedError                    1   a mistake of our own; `__cause__` is what it was
├─ ConfigError(problems)              2   every problem at once, with file and line
├─ NothingMatches                     4   what was asked for is nowhere
├─ StoreError(account)
│  ├─ MessageError                    3   one message; the run goes on
│  ├─ MailboxError                    3   one mailbox is skipped
│  │  └─ MailboxMissing               3   it is not there, whatever a list says
│  └─ StoreUnavailable               75   this account stops
│     ├─ AuthenticationFailed        12
│     ├─ TlsError                    14
│     ├─ OverQuota                   15
│     ├─ ProtocolViolation           16
│     ├─ Unreachable                  1   unknown host, closed port: not worth an automatic retry
│     ├─ ConnectionLost              75   retryable
│     ├─ ServerBusy                  75   retryable
│     ├─ Throttled                   75   retryable, may say how long to wait
│     └─ BudgetReached               75   our own limit; goes on tomorrow
└─ ArchiveError                       1   everything stops, nothing is half-written
   ├─ ArchiveNotFound                10
   ├─ ArchiveLocked                  11
   ├─ OtherServer                     2   the account is at another server than its mail came from
   ├─ IntegrityError                 13
   ├─ SchemaTooNew                   17
   └─ DiskFull                       74

Every message is written for the person who owns the mailbox: what happened, where, what to do. No
message ever holds a secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class MailsyncError(Exception):
    """Anything mailsync tells its user; `mailsync.exit_codes` has what the process ends with."""


class UnexpectedError(MailsyncError):
    """A mistake in mailsync itself, or memory that is not enough."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a config file: where it stands, what is wrong, what to write instead."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


class ConfigError(MailsyncError):
    """The configuration cannot be used; `problems` holds every mistake found, not the first one."""

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        self.problems = (Problem("", problems),) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class NothingMatches(MailsyncError):
    """No mailbox, or no message, is what was asked for; says what else there is."""


class StoreError(MailsyncError):
    """A server did not do what was asked; `account` names the configured login."""

    def __init__(self, account: str, message: str) -> None:
        self.account = account
        super().__init__(message)


class MessageError(StoreError):
    """One message could not be brought or sent; the run goes on and ends incomplete."""


class MailboxError(StoreError):
    """One mailbox cannot be used; it is skipped, and the run ends incomplete."""

    def __init__(self, account: str, mailbox: tuple[str, ...], message: str) -> None:
        self.mailbox = mailbox
        super().__init__(account, message)


class MailboxMissing(MailboxError):
    """A server that lists a mailbox, or had it, says that it does not exist; what was in it is gone
    from there.
    """


class StoreUnavailable(StoreError):
    """This account cannot go on; `retryable` tells whether a new connection may help."""

    retryable = False


class AuthenticationFailed(StoreUnavailable):
    """The server refused the login."""


class TlsError(StoreUnavailable):
    """The connection cannot be trusted, or the server offers no encryption; `distrust` is what is
    wrong with the certificate, in a few words.
    """

    def __init__(self, account: str, message: str, distrust: str = "") -> None:
        self.distrust = distrust or message
        super().__init__(account, message)


class OverQuota(StoreUnavailable):
    """The destination is full."""


class ProtocolViolation(StoreUnavailable):
    """The server said something its protocol does not allow."""


class Unreachable(StoreUnavailable):
    """No connection came about: unknown host, closed port."""


class ConnectionLost(StoreUnavailable):
    """The connection broke or fell silent."""

    retryable = True


class ServerBusy(StoreUnavailable):
    """The server asks to come back later ([INUSE], [IN-USE], [UNAVAILABLE], BYE)."""

    retryable = True


class Throttled(StoreUnavailable):
    """The server limits us; `wait` is what it stated, in seconds, or None."""

    retryable = True

    def __init__(self, account: str, message: str, wait: float | None = None) -> None:
        self.wait = wait
        super().__init__(account, message)


class BudgetReached(StoreUnavailable):
    """The configured limit for today is used up; the next run goes on from here."""


class ArchiveError(MailsyncError):
    """The archive cannot be used; everything stops."""


class ArchiveNotFound(ArchiveError):
    """There is no archive at that place."""


class ArchiveLocked(ArchiveError):
    """Another process is writing this archive."""


class OtherServer(ArchiveError):
    """The mail of an account came from another server than the one it names now."""


class IntegrityError(ArchiveError):
    """What lies in the archive is not what was put there."""


class SchemaTooNew(ArchiveError):
    """The catalogue was written by a newer mailsync."""


class DiskFull(ArchiveError):
    """No space left, or a quota reached."""
