"""`mailsync reindex`: build the catalogue of an archive again."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mailsync.app.reindex import ReindexReport, reindex
from mailsync.app.requests import ReindexRequest
from mailsync.cli import exits, options
from mailsync.cli.bars import progress_for
from mailsync.cli.lines import complain, say
from mailsync.cli.session import Session
from mailsync.formats.quantities import messages, moment, octets
from mailsync.formats.terminal import plain


@click.command("reindex")
@click.argument("account")
@options.archive
@options.wait
@options.common
@click.pass_obj
def command(session: Session, account: str, *, archive: Path | None, wait: float) -> int:
    """Build the catalogue of ACCOUNT's archive again, when it was lost or damaged: no message that
    can be recognised is fetched again, and it says beforehand which cannot.

    Every file is read and proved. What the mail itself cannot tell (what was gone, which messages
    were pushed where) is taken from the catalogue, or from its copy of an earlier day. Damaged
    files go to quarantine, and the next pull fetches them anew. Nothing is deleted. Ends with exit
    code 13 if anything is damaged.
    """
    request = ReindexRequest(session.accounts().one(account, archive), wait)
    report = reindex(request, progress_for(session, sys.stderr))
    if session.json:
        exits.print_json(session, report.exit_code, report.as_json())
        return report.exit_code
    for path in report.outcome.damaged:
        complain(f"{plain(str(path))}: its content is not what was stored; it is in quarantine now")
    if report.outcome.missing:
        complain(f"{report.outcome.missing:,} files are missing")
    if not session.quiet:
        for line in _sentences(report):
            say(plain(line))
    return report.exit_code


def _sentences(report: ReindexReport) -> list[str]:
    done, account = report.outcome, report.account
    lines = [
        (
            f"{account}: the catalogue holds {messages(done.files)} again, "
            f"{octets(done.octets)}, every one proved"
        )
    ]
    if done.basis == "catalogue":
        lines.append(
            "it was sound and is kept with its history; it was compared with the mail, both ways"
        )
    elif done.basis == "copy":
        lines.append(
            f"history and what was pushed come from its copy of {moment(done.as_of or 0)}; of what"
            " happened since, the messages are here with the flags their files say, but not what"
            " was deleted or pushed"
        )
    else:
        lines.append(
            "history (what was gone, earlier flags) and what was pushed could not be recovered: no"
            " copy of the catalogue was there"
        )
    if done.aside:
        lines.append(f"the catalogue that could not be read lies in {done.aside}")
    if done.adopted:
        lines.append(f"taken in that it did not know: {messages(done.adopted)}")
    return lines + _next(report)


def _next(report: ReindexReport) -> list[str]:
    """Say what the next pull has to do, and what it must fetch for that."""
    done = report.outcome
    lines = []
    if done.unrecognisable:
        lines.append(
            f"{messages(done.unrecognisable)} have no Received line, by which POP3 messages are"
            " recognised: the next pull fetches these again, and adds no file for what is here"
        )
    elif done.basis != "catalogue" and done.unplaced:
        lines.append(
            "messages that came by several ways and were kept once are fetched again where the"
            " server has them in another form than the one kept, and no file is added for them"
        )
    if done.unplaced or done.damaged or done.missing:
        lines.append(
            f"next: mailsync pull {report.account} (it finds every message on the server again, and"
            " stores only what is damaged or new)"
        )
    return lines
