"""`mailsync verify`: prove every file of the archive against its digest."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mailsync.archive import Archive, Damage
from mailsync.cli import exits, options
from mailsync.cli.accounts import logins
from mailsync.cli.bars import progress_for
from mailsync.cli.session import Session
from mailsync.cli.text import plain
from mailsync.errors import EXIT_INCOMPLETE, ArchiveNotFound, IntegrityError


@click.command("verify")
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]…")
@options.archive
@options.common
@click.pass_obj
def command(session: Session, accounts: tuple[str, ...], *, archive: Path | None) -> int:
    """Prove every file of the archive against its SHA-256, and compare the catalogue with the files, both ways.

    All configured accounts when none is named. No letter is changed; what is damaged is remembered, and the next pull fetches it
    anew from the server, as long as it is still there. Ends with exit code 13 if anything is damaged.
    """
    found: dict[Path, list[Damage]] = {}
    missing: list[ArchiveNotFound] = []
    progress = progress_for(session, sys.stderr)
    for login in logins(session, accounts, archive, kept=True):
        if login.directory not in found:
            try:
                with Archive.read(login.directory) as opened:
                    progress.begin(f"verifying {login.name}")
                    found[login.directory] = list(opened.verify(progress))
            except ArchiveNotFound as error:
                missing.append(error)
            finally:
                progress.end()
    code = _code(found, missing)
    if session.json:
        reports = [
            {"archive": str(directory), "damaged": any(one.damaged for one in damages), "findings": [_as_json(one) for one in damages]}
            for directory, damages in found.items()
        ]
        exits.print_json(session, code, {"error": str(missing[0]) if missing else None, "reports": reports})
        return code
    for absent in missing:
        click.echo(f"{click.style('!', fg='red', bold=True)} {plain(str(absent))}", err=True)
    for directory, damages in found.items():
        _tell(session, directory, damages)
    return code


def _code(found: dict[Path, list[Damage]], missing: list[ArchiveNotFound]) -> int:
    if any(one.damaged for damages in found.values() for one in damages):
        return IntegrityError.exit_code
    if missing:
        return EXIT_INCOMPLETE if found else ArchiveNotFound.exit_code
    return 0


def _as_json(damage: Damage) -> dict[str, object]:
    digest = damage.digest.hex() if damage.digest else None
    return {"path": str(damage.path), "digest": digest, "what": damage.what, "damaged": damage.damaged}


def _tell(session: Session, directory: Path, damages: list[Damage]) -> None:
    hurt = 0
    for one in damages:
        hurt += one.damaged
        if one.damaged or not session.quiet:
            sign = click.style("!", fg="red", bold=True) if one.damaged else "-"
            click.echo(f"{sign} {plain(str(one.path))}: {plain(one.what)}", err=one.damaged)
    name = plain(str(directory))
    if hurt:
        click.echo(f"{click.style(f'{name}:', fg='red')} {hurt:,} damaged; the next pull fetches them anew", err=True)
    elif not session.quiet:
        click.echo(f"{click.style(f'{name}:', fg='green')} every file is what was put there")
