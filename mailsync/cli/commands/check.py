"""`mailsync check`: connect, log in, and tell what the server can do."""

from __future__ import annotations

import sys
from typing import Any

import click

from mailsync.app.check import Finding, check, exit_code
from mailsync.app.requests import CheckRequest
from mailsync.cli import exits, options
from mailsync.cli.bars import progress_for
from mailsync.cli.lines import complain, name_not_done, say
from mailsync.cli.passwords import secrets
from mailsync.cli.session import Session
from mailsync.cli.tables import table
from mailsync.formats.quantities import messages, octets
from mailsync.formats.terminal import plain


@click.command("check")
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]…")
@options.login(also="source")
@options.common
@click.pass_obj
def command(
    session: Session,
    /,
    accounts: tuple[str, ...],
    **chosen: Any,  # noqa: ANN401  click's values are untyped
) -> int:
    """Connect, log in, and tell what the server can do and what mailsync will use.

    ACCOUNT is a configured name or a URL; all configured accounts when none is named. It may also
    be a path to the files of a mail program, which are read, to tell what is in them. Nothing is
    changed anywhere. For a POP3 account the same login is also tried over IMAP, which knows folders
    and what was read.
    """
    request = CheckRequest(session.accounts().several(accounts, trust=options.trust(chosen)))
    findings = []
    for finding in check(
        request,
        secrets(session, options.given(chosen)),
        progress_for(session, sys.stderr),
    ):
        findings.append(finding)
        if not session.json:
            _print(session, finding)
    code = exit_code(findings)
    if session.json:
        listed = [finding.as_json() for finding in findings]
        exits.print_json(session, code, {"accounts": listed})
    elif not session.quiet:
        not_done = [finding.account for finding in findings if finding.exit_code]
        name_not_done(not_done, len(findings))
    return code


def _print(session: Session, finding: Finding) -> None:
    name = plain(finding.account)
    if finding.failure is not None:
        exits.trace(finding.failure, session)
    if finding.error is not None:
        for line in finding.error.splitlines():
            say(f"{click.style(f'{name}:', fg='red')} {plain(line)}", err=True)
        return
    if finding.kind is not None:
        _print_files(session, finding)
    elif not session.quiet:
        _print_server(session, finding)


def _print_files(session: Session, finding: Finding) -> None:
    """Print what files hold, and what of them cannot be read."""
    if not session.quiet:
        rows = [
            [plain(one.mailbox), f"{one.messages:,}", octets(one.octets)] for one in finding.found
        ]
        if rows:
            click.echo(table(rows, ["mailbox", "messages", "size"], "lrr"))
    troubles = [f"{one.mailbox}: {text}" for one in finding.found for text in one.unreadable]
    for text in (*troubles, *finding.passed_over):
        complain(plain(text))
    if not session.quiet:
        boxes = f"{len(finding.found):,} mailbox{'' if len(finding.found) == 1 else 'es'}"
        click.echo(
            f"{click.style(f'{plain(finding.account)}:', fg='green')} {finding.kind}; {boxes},"
            f" {messages(finding.messages or 0)}, {octets(finding.octets or 0)}"
        )


def _print_server(session: Session, finding: Finding) -> None:
    name = plain(finding.account)
    boxes = f"{finding.mailboxes or 0:,} mailbox{'' if finding.mailboxes == 1 else 'es'}"
    many = f", {messages(finding.messages)}" if finding.messages is not None else ""
    size = f", {octets(finding.octets)}" if finding.octets is not None else ""
    say(
        f"{click.style(f'{name}:', fg='green')} logged in at {plain(finding.server)};"
        f" {boxes}{many}{size}"
    )
    rows = [
        [ability.name, "yes" if ability.offered else "no", ability.effect]
        for ability in finding.abilities
    ]
    click.echo(table(rows, ["it can", "offered", "what follows"], "lll"))
    if session.verbose:
        say(f"  all it announces: {plain(' '.join(finding.capabilities)) or 'nothing'}")
    if finding.imap_instead:
        say(
            f"{click.style('better:', fg='yellow')} the same login works over IMAP, which also"
            " knows your folders, what you have read and the dates of arrival. Use"
            f" {plain(finding.imap_instead)} instead."
        )
