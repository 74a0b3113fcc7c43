"""`mailsync verify`: prove every file of the archive against its digest, and, asked to, that the
server has nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import click

from mailsync.app.accounts import Login
from mailsync.app.requests import VerifyRequest
from mailsync.app.verify import Comparison, Coverage, Proof, Verification, name_of_entry, verify
from mailsync.cli import exits, options
from mailsync.cli.bars import progress_for
from mailsync.cli.lines import complain, name_not_done, say
from mailsync.cli.pages import keep_report
from mailsync.cli.passwords import asked_first, secrets
from mailsync.cli.session import Session
from mailsync.cli.tables import table
from mailsync.errors import ArchiveNotFound
from mailsync.formats.quantities import messages, octets
from mailsync.formats.terminal import plain
from mailsync.mapping import show

SHOWN: Final = 20


@click.command("verify")
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]…")
@click.option(
    "--remote",
    is_flag=True,
    help="Then ask the servers too, and name every message that the archive does not have.",
)
@options.archive
@options.login(also="source")
@options.report
@options.common
@click.pass_obj
def command(
    session: Session,
    /,
    accounts: tuple[str, ...],
    *,
    remote: bool,
    archive: Path | None,
    **chosen: Any,  # noqa: ANN401  click's values are untyped
) -> int:
    """Prove every file of the archive against its SHA-256, and compare the catalogue with the
    files, both ways.

    All configured accounts when none is named; with --archive alone, that archive. No message is
    changed; what is damaged is remembered, and the next pull fetches it anew from the server, as
    long as it is still there. With --remote every message on the server is looked for in the
    archive by the server's own name for it; none is fetched, and nothing changes on the server.

    Ends with exit code 13 if anything is damaged, with 3 if the archive lacks messages that are on
    the server.
    """
    if archive is not None and not accounts and not remote:
        request = VerifyRequest((), archive)
    else:
        logins = session.accounts().several(accounts, archive, options.trust(chosen), kept=True)
        request = VerifyRequest(logins, remote=remote)
    given = options.given(chosen)
    bring = secrets(session, given)
    if remote:
        bring = asked_first(bring, request.accounts, given)
    found = verify(request, bring, progress_for(session, sys.stderr))
    page = partial(_page, found)
    if session.json:
        code = keep_report(session, found.exit_code, page)
        exits.print_json(session, code, found.as_json())
        return code
    _print(session, found, request.accounts)
    return keep_report(session, found.exit_code, page)


def _print(session: Session, found: Verification, logins: Sequence[Login]) -> None:
    for proof in found.proofs:
        _print_proof(session, proof)
    for comparison in found.comparisons:
        _print_comparison(session, comparison)
    if not session.quiet:
        _name_not_done(found, logins)


def _name_not_done(found: Verification, logins: Sequence[Login]) -> None:
    """Name the accounts whose archive or server somebody must look at."""
    bad = {name for proof in found.proofs if proof.exit_code for name in proof.accounts}
    bad |= {one.account for one in found.comparisons if one.exit_code}
    name_not_done([login.shown for login in logins if login.shown in bad], len(logins))


def _page(found: Verification) -> str:
    from mailsync.app.report_page.of_verification import (  # noqa: PLC0415  seldom wanted
        page_of_verification,
    )

    return page_of_verification(found)


def _print_proof(session: Session, proof: Proof) -> None:
    who = "".join(f"{plain(name)}: " for name in proof.accounts[:1])
    if proof.error:
        exits.trace(proof.error, session)
        complain(f"{who}{plain(str(proof.error))}")
        return
    hurt = 0
    for one in proof.damages:
        hurt += one.damaged
        if one.damaged:
            complain(f"{who}{plain(str(one.path))}: {plain(one.what)}")
        elif not session.quiet:
            say(f"- {who}{plain(str(one.path))}: {plain(one.what)}")
    name = plain(str(proof.directory))
    if hurt:
        say(
            f"{click.style(f'{name}:', fg='red')} {hurt:,} damaged; the next pull fetches them"
            " anew",
            err=True,
        )
    elif not session.quiet:
        files = f"{proof.files:,} file{'' if proof.files == 1 else 's'}, {octets(proof.octets)}"
        held = (
            f"{messages(proof.messages)} in {files}: every file is what was put there"
            if proof.files
            else "holds no message yet"
        )
        say(f"{click.style(f'{name}:', fg='green')} {held}")


def _print_comparison(session: Session, comparison: Comparison) -> None:
    who = plain(comparison.account)
    if comparison.error:
        exits.trace(comparison.error, session)
        # That there is no archive is said of the archive.
        if not isinstance(comparison.error, ArchiveNotFound):
            complain(f"{who}: {plain(str(comparison.error))}")
        return
    if not session.quiet:
        _print_mailboxes(session, comparison)
    for one in comparison.mailboxes:
        for line in _troubles(one, everything=session.verbose):
            complain(f"{who}: {plain(show(one.mailbox))}: {plain(line)}")
    if not comparison.complete:
        command = "import" if comparison.in_files else "pull"
        say(
            f"{click.style(f'{who}:', fg='red')} the archive does not have everything: run mailsync"
            f" {command} {who}",
            err=True,
        )
    elif not session.quiet:
        total = sum(one.on_server for one in comparison.mailboxes)
        say(
            f"{click.style(f'{who}:', fg='green')} complete: the archive has {messages(total)}"
            f" of {total:,} that are {_place(comparison)}"
        )


def _place(comparison: Comparison) -> str:
    return "in the files" if comparison.in_files else "on the server"


def _print_mailboxes(session: Session, comparison: Comparison) -> None:
    shown = [
        one
        for one in comparison.mailboxes
        if session.verbose or one.on_server or one.gone or not one.complete
    ]
    headings = [
        "mailbox",
        _place(comparison),
        "in the archive",
        "missing",
        "damaged",
        "other flags",
        "only here",
    ]
    rows = [
        [
            plain(show(one.mailbox)),
            *(f"{number:,}" if number else "-" for number in _numbers(one)),
        ]
        for one in shown
    ]
    if rows:
        drop = ("only here", "other flags", "in the archive", _place(comparison))
        click.echo(table(rows, headings, "lrrrrrr", drop=drop))
    if comparison.left_out:
        names = ", ".join(plain(show(path)) for path in comparison.left_out)
        say(f"left out, as in a pull: {names}")
    for line in comparison.unreadable:
        say(f"the server lists its mailboxes in a way that cannot be read whole: {line}")
    for text in comparison.unmatched:
        say(text)
    if any(one.nameless for one in comparison.mailboxes):
        say("this server gives messages no names, so that only their number could be compared")


def _numbers(one: Coverage) -> tuple[int, ...]:
    return (
        one.on_server,
        one.covered,
        len(one.missing) + one.short,
        len(one.damaged),
        one.reflagged,
        one.gone,
    )


def _troubles(one: Coverage, *, everything: bool) -> list[str]:
    if one.trouble:
        return [one.trouble]
    if one.renumbered:
        return [
            (
                f"the server has renumbered its {messages(one.on_server)}; "
                "the next pull recognises those that are here"
            )
        ]
    found = [
        f"{name_of_entry(entry)} ({octets(entry.size or 0)}) is not in the archive"
        for entry in one.missing
    ]
    found += [
        f"{name_of_entry(entry)} ({octets(entry.size or 0)}) is damaged in the archive"
        for entry in one.damaged
    ]
    most = len(found) if everything or len(found) == SHOWN + 1 else SHOWN
    rest = [f"… and {len(found) - most:,} more (-v shows them)"] if len(found) > most else []
    short = [f"the archive has {messages(one.short)} too few"] if one.short else []
    return [*found[:most], *rest, *short]
