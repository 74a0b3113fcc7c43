"""`mailsync check`: connect, log in, and tell what the server can do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from textwrap import indent
from typing import Final, Literal

import click
from tabulate import tabulate

from mailsync.app import build
from mailsync.app.abilities import Ability, abilities
from mailsync.app.accounts import Login
from mailsync.cli import exits, options
from mailsync.cli.accounts import logins, password
from mailsync.cli.bars import progress_for
from mailsync.cli.session import Session
from mailsync.config.settings import ImapAccount, Pop3Account
from mailsync.engine.report import Report, exit_code
from mailsync.errors import MailsyncError, StoreError
from mailsync.formats.quantities import messages, octets
from mailsync.formats.terminal import plain
from mailsync.model import Scan, ScanRequest
from mailsync.stores.base import Source
from mailsync.stores.transport import is_loopback

TRIAL_TIMEOUT: Final = 10.0
"""Seconds the uninvited look for an IMAP server may wait for it."""


@dataclass(slots=True)
class Finding:
    """What a check found out about one account."""

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


@click.command("check")
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]…")
@options.passwords()
@options.common
@click.pass_obj
def command(
    session: Session,
    /,
    accounts: tuple[str, ...],
    **passwords: str | None,
) -> int:
    """Connect, log in, and tell what the server can do and what mailsync will use.

    ACCOUNT is a configured name or a URL; all configured accounts when none is named. Nothing is
    changed anywhere. For a POP3 account the same login is also tried over IMAP, which knows folders
    and what was read.
    """
    given = options.given(passwords)
    findings = []
    for login in logins(session, accounts):
        finding = Finding(login.name, str(build.endpoint(login.settings)))
        findings.append(finding)
        try:
            _look(session, login, password(session, login, given), finding)
        except MailsyncError as error:
            finding.error = str(error)
            finding.exit_code = error.exit_code
        if not session.json:
            _tell(session, finding)
    code = _joined(findings)
    if session.json:
        exits.print_json(session, code, {"accounts": [asdict(finding) for finding in findings]})
    return code


def _joined(findings: list[Finding]) -> int:
    """Join the accounts' exit codes by the rule for runs."""
    reports = []
    for finding in findings:
        report = Report("check", finding.account)
        if finding.error is not None:
            report.error = MailsyncError(finding.error)
            report.error.exit_code = finding.exit_code
        reports.append(report)
    return exit_code(reports)


def _look(session: Session, login: Login, secret: str, finding: Finding) -> None:
    with closing(build.source(login, secret, progress_for(session, sys.stderr))) as source:
        settings = login.settings
        finding.capabilities = list(source.capabilities())
        pipelining = settings.pipelining if isinstance(settings, Pop3Account) else "auto"
        finding.abilities = abilities(
            settings.protocol, finding.capabilities, pipelining=pipelining
        )
        _count(source, finding)
    if isinstance(settings, Pop3Account):
        finding.imap_instead = _imap_instead(login, settings, secret)


def _count(source: Source, finding: Finding) -> None:
    """Count mailboxes and messages, as far as the server tells without every mailbox being
    opened.
    """
    listed = [mailbox for mailbox in source.mailboxes() if mailbox.selectable]
    finding.mailboxes = len(listed)
    if all(mailbox.state is not None for mailbox in listed):
        finding.messages = sum(
            mailbox.state.messages for mailbox in listed if mailbox.state and not mailbox.is_view
        )
    elif len(listed) == 1:
        for scan in source.scan([ScanRequest(listed[0])]):
            if isinstance(scan, Scan):
                finding.messages = len(scan.entries)
                finding.octets = sum(entry.size or 0 for entry in scan.entries)


def _imap_instead(login: Login, settings: Pop3Account, secret: str) -> str | None:
    """Try the same login over IMAP on the same host; whatever goes wrong with that is no fault of
    the POP3 account.
    """
    for port, security in _imap_places(settings):
        there = ImapAccount(
            protocol="imap",
            host=settings.host,
            port=port,
            security=security,
            allow_plaintext=settings.allow_plaintext,
            username=settings.username,
            authorization_id=settings.authorization_id,
            tls_name=settings.tls_name,
            timeout=min(settings.timeout, TRIAL_TIMEOUT),
            connections=1,
        ).model_copy(update={"ca_file": settings.ca_file})
        try:
            with closing(build.trial(login.name, there, secret)) as source:
                count = sum(mailbox.selectable for mailbox in source.mailboxes())
        except StoreError:
            continue
        scheme = "imaps" if security == "tls" else "imap"
        default = {"tls": 993}.get(security, 143)
        at = f":{port}" if port != default else ""
        return (
            f"{scheme}://{settings.username}@{settings.host}{at} ({count}"
            f" mailbox{'' if count == 1 else 'es'})"
        )
    return None


def _imap_places(settings: Pop3Account) -> Iterator[tuple[int, Literal["tls", "starttls", "none"]]]:
    """Guess where the same host would speak IMAP, never with less security than the POP3 account
    has.
    """
    yield 993, "tls"
    if settings.port is not None and settings.port not in {110, 995}:
        # Home servers and tests keep the distance between the standard ports: 995 - 993 and 110 -
        # 143.
        yield settings.port - 2, "tls"
    if settings.security != "tls":
        here = settings.security == "none" and (
            is_loopback(settings.host) or settings.allow_plaintext
        )
        weaker: Literal["starttls", "none"] = "none" if here else "starttls"
        yield 143, weaker
        if settings.port is not None and settings.port != 110:
            yield settings.port - 2, weaker


def _tell(session: Session, finding: Finding) -> None:
    name = plain(finding.account)
    if finding.error is not None:
        for line in finding.error.splitlines():
            click.echo(f"{click.style(f'{name}:', fg='red')} {plain(line)}", err=True)
        return
    if session.quiet:
        return
    boxes = f"{finding.mailboxes or 0:,} mailbox{'' if finding.mailboxes == 1 else 'es'}"
    many = f", {messages(finding.messages)}" if finding.messages is not None else ""
    size = f", {octets(finding.octets)}" if finding.octets is not None else ""
    click.echo(
        f"{click.style(f'{name}:', fg='green')} logged in at {plain(finding.server)};"
        f" {boxes}{many}{size}"
    )
    rows = [
        [ability.name, "yes" if ability.offered else "no", ability.effect]
        for ability in finding.abilities
    ]
    click.echo(indent(tabulate(rows, tablefmt="plain", disable_numparse=True), "  "))
    if session.verbose:
        click.echo(f"  all it announces: {plain(' '.join(finding.capabilities)) or 'nothing'}")
    if finding.imap_instead:
        click.echo(
            f"{click.style('better:', fg='yellow')} the same login works over IMAP, which also"
            " knows your folders, what you have read and the dates of arrival. Use"
            f" {plain(finding.imap_instead)} instead."
        )
