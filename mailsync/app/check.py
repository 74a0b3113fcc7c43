"""What the servers of accounts can do, and what mailsync makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace

from mailsync import exit_codes
from mailsync.app import stores
from mailsync.app.abilities import Ability, abilities
from mailsync.app.accounts import Login, Secrets
from mailsync.app.containment import contained
from mailsync.app.imap_beside import imap_beside
from mailsync.app.requests import CheckRequest
from mailsync.config.account import ImapAccount, Pop3Account
from mailsync.config.local import LocalFiles
from mailsync.engine.pull import choose
from mailsync.errors import MailboxError, MailboxMissing, MailsyncError
from mailsync.mapping import show
from mailsync.model import Mailbox, Scan, ScanRequest
from mailsync.progress import Progress
from mailsync.stores.base import Source
from mailsync.stores.credentials import Secret


@dataclass(frozen=True, slots=True)
class FoundMailbox:
    """A mailbox in files; `unreadable` says what of it cannot be read."""

    mailbox: str
    messages: int
    octets: int
    unreadable: list[str]


@dataclass(slots=True)
class Finding:
    """What a check found out about one account, or about files: then `kind` says which."""

    account: str
    server: str = ""
    error: str | None = None
    exit_code: int = 0
    mailboxes: int | None = None
    messages: int | None = None
    octets: int | None = None
    capabilities: list[str] = field(default_factory=list)
    abilities: list[Ability] = field(default_factory=list)
    imap_instead: str | None = None
    kind: str | None = None
    found: list[FoundMailbox] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    failure: MailsyncError | None = None

    def fail(self, error: MailsyncError) -> None:
        """Take down what the check failed for."""
        self.failure = error
        self.error = str(error)
        self.exit_code = exit_codes.of_error(error)

    def as_json(self) -> dict[str, object]:
        """Return it as plain values."""
        values = asdict(replace(self, failure=None))
        del values["failure"]
        return values


def check(request: CheckRequest, secrets: Secrets, progress: Progress) -> Iterator[Finding]:
    """Connect to one account after the other and yield what was found; changes nothing anywhere.

    No error is raised: it stands in the finding.
    """
    for login in request.accounts:
        settings = login.settings
        if isinstance(settings, LocalFiles):
            passed_over = list(settings.passed_over)
            finding = Finding(login.shown, kind=settings.format, passed_over=passed_over)
            with contained(finding.fail):
                _look_at_files(login, finding, progress)
        else:
            finding = Finding(login.shown, str(stores.endpoint(settings)))
            with contained(finding.fail):
                _look(login, settings, secrets(login), finding, progress)
        yield finding


def exit_code(findings: Sequence[Finding]) -> int:
    """Return what these accounts together end the process with."""
    return exit_codes.of_accounts(finding.exit_code for finding in findings)


def _look_at_files(login: Login, finding: Finding, progress: Progress) -> None:
    """Read all there is and count it. Raises StoreUnavailable."""
    with closing(stores.source(login, "", progress)) as source:
        chosen = choose(source.mailboxes(), login.globs, ())
        progress.begin(f"reading {login.name}")
        try:
            for scan in source.scan(map(ScanRequest, chosen)):
                finding.found.append(_found(scan))
        finally:
            progress.end()
    finding.mailboxes = len(finding.found)
    finding.messages = sum(one.messages for one in finding.found)
    finding.octets = sum(one.octets for one in finding.found)
    if finding.passed_over or any(one.unreadable for one in finding.found):
        finding.exit_code = exit_codes.INCOMPLETE


def _found(scan: Scan | MailboxError) -> FoundMailbox:
    if isinstance(scan, MailboxError):
        return FoundMailbox(show(scan.mailbox), 0, 0, [str(scan)])
    size = sum(entry.size or 0 for entry in scan.entries)
    return FoundMailbox(show(scan.mailbox.path), len(scan.entries), size, list(scan.unlisted))


def _look(
    login: Login,
    settings: Pop3Account | ImapAccount,
    secret: Secret,
    finding: Finding,
    progress: Progress,
) -> None:
    with closing(stores.source(login, secret, progress)) as source:
        announced = source.capabilities()
        finding.capabilities = list(announced)
        pipelining = settings.pipelining if isinstance(settings, Pop3Account) else "auto"
        finding.abilities = abilities(settings.protocol, announced, pipelining=pipelining)
        _count(source, finding)
    if isinstance(settings, Pop3Account):
        beside = imap_beside(login, secret)
        finding.imap_instead = None if beside is None else f"{beside.url} ({beside.mailboxes_told})"


def _count(source: Source, finding: Finding) -> None:
    """Count mailboxes and messages, as far as the server tells without every mailbox being opened;
    one is, since some servers show mailboxes to anybody and open none.

    Raises MailboxError where that fails.
    """
    listed = [mailbox for mailbox in source.mailboxes() if mailbox.selectable]
    finding.mailboxes = len(listed)
    if all(mailbox.state is not None for mailbox in listed):
        finding.messages = sum(
            mailbox.state.messages for mailbox in listed if mailbox.state and not mailbox.is_view
        )
        smallest = min(listed, key=_messages, default=None)
        requests = [] if smallest is None else [ScanRequest(smallest)]
        for scan in source.scan(requests):
            if isinstance(scan, MailboxError) and not isinstance(scan, MailboxMissing):
                raise scan
    elif len(listed) == 1:
        for scan in source.scan([ScanRequest(listed[0])]):
            if isinstance(scan, Scan):
                finding.messages = len(scan.entries)
                finding.octets = sum(entry.size or 0 for entry in scan.entries)


def _messages(mailbox: Mailbox) -> int:
    return mailbox.state.messages if mailbox.state is not None else 0
