"""`mailsync verify`: prove every file of the archive against its digest, and, asked to, that the
server has nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click
from tabulate import tabulate

from mailsync.app.accounts import Login
from mailsync.app.runs import globs_of
from mailsync.archive import Archive, Damage
from mailsync.cli import exits, options
from mailsync.cli.accounts import logins, password
from mailsync.cli.bars import progress_for
from mailsync.cli.session import Session
from mailsync.engine.coverage import Coverage, cover
from mailsync.engine.pull import choose, name_of
from mailsync.errors import (
    EXIT_INCOMPLETE,
    ArchiveError,
    ArchiveNotFound,
    ConfigError,
    IntegrityError,
    MailsyncError,
)
from mailsync.formats.quantities import messages, octets
from mailsync.formats.terminal import plain
from mailsync.mapping import show
from mailsync.model import MailboxPath
from mailsync.progress import Progress

SHOWN: Final = 20


@dataclass(slots=True)
class Proof:
    """What became of one archive: what it holds, and what is wrong with its files; `error` where it
    could not be looked at.
    """

    directory: Path
    messages: int = 0
    files: int = 0
    octets: int = 0
    damages: list[Damage] = field(default_factory=list)
    error: ArchiveError | None = None


@dataclass(slots=True)
class Comparison:
    """One account's server beside its archive."""

    account: str
    mailboxes: list[Coverage] = field(default_factory=list)
    left_out: list[MailboxPath] = field(default_factory=list)
    error: MailsyncError | None = None


@click.command("verify")
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]…")
@click.option(
    "--remote",
    is_flag=True,
    help="Then ask the servers too, and name every message that the archive does not have.",
)
@options.archive
@options.passwords()
@options.common
@click.pass_obj
def command(
    session: Session,
    /,
    accounts: tuple[str, ...],
    *,
    remote: bool,
    archive: Path | None,
    **passwords: str | None,
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
        directories, found = [archive], []
    else:
        found = logins(session, accounts, archive, kept=True)
        directories = list(dict.fromkeys(login.directory for login in found))
    progress = progress_for(session, sys.stderr)
    proofs = [_prove(directory, progress) for directory in directories]
    comparisons = []
    if remote:
        given = options.given(passwords)
        comparisons = [_compare(session, login, given, progress) for login in found]
    code = _code(proofs, comparisons)
    if session.json:
        absent = [proof.error for proof in proofs if proof.error]
        reports = [_proof_as_json(proof) for proof in proofs if not proof.error]
        compared = [_comparison_as_json(one) for one in comparisons]
        exits.print_json(
            session,
            code,
            {"error": str(absent[0]) if absent else None, "reports": reports, "remote": compared},
        )
        return code
    for proof in proofs:
        _tell(session, proof)
    for comparison in comparisons:
        _tell_remote(session, comparison)
    return code


def _prove(directory: Path, progress: Progress) -> Proof:
    proof = Proof(directory)
    progress.begin(f"verifying {directory.name}")
    try:
        with Archive.read(directory) as opened:
            proof.messages, proof.files, proof.octets = opened.size()
            proof.damages = list(opened.verify(progress))
    except ArchiveError as error:
        # One archive's trouble is not another's.
        proof.error = error
    finally:
        progress.end()
    return proof


def _compare(
    session: Session, login: Login, given: Mapping[str, str | None], progress: Progress
) -> Comparison:
    from mailsync.app import build  # noqa: PLC0415  most calls ask no server

    comparison = Comparison(login.name)
    progress.begin(f"comparing with {login.name}")
    try:
        secret = password(session, login, given)
        with (
            Archive.read(login.directory) as opened,
            closing(build.source(login, secret, progress)) as source,
        ):
            listed = source.mailboxes()
            chosen = choose(listed, globs_of(login), ())
            paths = {mailbox.path for mailbox in chosen}
            comparison.left_out = [
                mailbox.path
                for mailbox in listed
                if mailbox.selectable and mailbox.path not in paths
            ]
            live = {box.path: box.live for box in opened.mailboxes(login.name)}
            comparison.mailboxes = list(cover(source, opened.memory(login.name), live, chosen))
            # A pull that trusts its counters would not see what they do not tell.
            opened.doubt(
                login.name,
                [one.mailbox for one in comparison.mailboxes if one.missing or one.short],
            )
    except ArchiveNotFound:
        comparison.error = ArchiveNotFound(f"there is no archive of {login.name} to compare with")
    except ConfigError:
        raise
    except MailsyncError as error:
        comparison.error = error
    finally:
        progress.end()
    return comparison


def _code(proofs: Sequence[Proof], comparisons: Sequence[Comparison]) -> int:
    if any(one.damaged for proof in proofs for one in proof.damages):
        return IntegrityError.exit_code
    errors = {proof.error.exit_code for proof in proofs if proof.error}
    errors |= {comparison.error.exit_code for comparison in comparisons if comparison.error}
    good = [proof for proof in proofs if not proof.error]
    if len(errors) == 1 and not (good and ArchiveNotFound.exit_code in errors):
        return errors.pop()
    incomplete = any(not one.complete for comparison in comparisons for one in comparison.mailboxes)
    return EXIT_INCOMPLETE if errors or incomplete else 0


def _proof_as_json(proof: Proof) -> dict[str, object]:
    findings = [
        {
            "path": str(one.path),
            "digest": one.digest.hex() if one.digest else None,
            "what": one.what,
            "damaged": one.damaged,
        }
        for one in proof.damages
    ]
    damaged = any(one.damaged for one in proof.damages)
    return {
        "archive": str(proof.directory),
        "messages": proof.messages,
        "files": proof.files,
        "octets": proof.octets,
        "damaged": damaged,
        "findings": findings,
    }


def _comparison_as_json(comparison: Comparison) -> dict[str, object]:
    return {
        "account": comparison.account,
        "error": str(comparison.error) if comparison.error else None,
        "complete": comparison.error is None and all(one.complete for one in comparison.mailboxes),
        "left_out": [show(path) for path in comparison.left_out],
        "mailboxes": [
            {
                "mailbox": show(one.mailbox),
                "on_server": one.there,
                "in_archive": one.covered,
                "missing": [
                    {"message": name_of(entry), "octets": entry.size} for entry in one.missing
                ],
                "damaged": [
                    {"message": name_of(entry), "octets": entry.size} for entry in one.damaged
                ],
                "short_of": one.short,
                "other_flags": one.reflagged,
                "gone_from_server": one.gone,
                "renumbered": one.renumbered,
                "trouble": one.trouble or None,
            }
            for one in comparison.mailboxes
        ],
    }


def _tell(session: Session, proof: Proof) -> None:
    if proof.error:
        _complain(plain(str(proof.error)))
        return
    hurt = 0
    for one in proof.damages:
        hurt += one.damaged
        if one.damaged:
            _complain(f"{plain(str(one.path))}: {plain(one.what)}")
        elif not session.quiet:
            click.echo(f"- {plain(str(one.path))}: {plain(one.what)}")
    name = plain(str(proof.directory))
    if hurt:
        click.echo(
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
        click.echo(f"{click.style(f'{name}:', fg='green')} {held}")


def _tell_remote(session: Session, comparison: Comparison) -> None:
    who = plain(comparison.account)
    if comparison.error:
        _complain(f"{who}: {plain(str(comparison.error))}")
        return
    if not session.quiet:
        shown = [
            one
            for one in comparison.mailboxes
            if session.verbose or one.there or one.gone or not one.complete
        ]
        headings = [
            "mailbox",
            "on the server",
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
            click.echo(
                tabulate(
                    rows,
                    headings,
                    tablefmt="simple",
                    disable_numparse=True,
                    colalign=["left", *["right"] * 6],
                )
            )
        if comparison.left_out:
            click.echo(
                "left out, as in a pull:"
                f" {', '.join(plain(show(path)) for path in comparison.left_out)}"
            )
        if any(one.untold for one in comparison.mailboxes):
            click.echo(
                "this server gives messages no names, so that only their number could be compared"
            )
    for one in comparison.mailboxes:
        for line in _troubles(one, everything=session.verbose):
            _complain(f"{plain(show(one.mailbox))}: {plain(line)}")
    if all(one.complete for one in comparison.mailboxes):
        if not session.quiet:
            total = sum(one.there for one in comparison.mailboxes)
            click.echo(
                f"{click.style(f'{who}:', fg='green')} complete: the archive has {messages(total)}"
                f" of {total:,} that are on the server"
            )
    else:
        click.echo(
            f"{click.style(f'{who}:', fg='red')} the archive does not have everything: run mailsync"
            f" pull {who}",
            err=True,
        )


def _numbers(one: Coverage) -> tuple[int, ...]:
    return (
        one.there,
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
                f"the server has renumbered its {messages(one.there)}; "
                "the next pull recognises those that are here"
            )
        ]
    found = [
        f"{name_of(entry)} ({octets(entry.size or 0)}) is not in the archive"
        for entry in one.missing
    ]
    found += [
        f"{name_of(entry)} ({octets(entry.size or 0)}) is damaged in the archive"
        for entry in one.damaged
    ]
    most = len(found) if everything or len(found) == SHOWN + 1 else SHOWN
    rest = [f"… and {len(found) - most:,} more (-v shows them)"] if len(found) > most else []
    short = [f"the archive has {messages(one.short)} too few"] if one.short else []
    return [*found[:most], *rest, *short]


def _complain(line: str) -> None:
    click.echo(f"{click.style('!', fg='red', bold=True)} {line}", err=True)
