"""`mailsync list`: the mailboxes of an archive, or the messages in them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import click

from mailsync import exit_codes
from mailsync.app import listing
from mailsync.app.choice import SEARCHED, moved_to
from mailsync.app.listing import ArchivedMailbox, Listing
from mailsync.app.requests import Choice, ListRequest
from mailsync.cli import exits, options
from mailsync.cli.lines import say, width_of
from mailsync.cli.message_lines import lines_of
from mailsync.cli.session import Session
from mailsync.cli.tables import table
from mailsync.errors import NothingMatches
from mailsync.formats.quantities import messages, octets
from mailsync.formats.quantities import moment as moment_of
from mailsync.formats.terminal import plain
from mailsync.mapping import show as name_of

LOSSES_BEFORE_MESSAGES: Final = "Which messages: --mailbox NAME --gone, or --gone-since 14d."


@click.command("list")
@click.argument("account")
@options.mailbox
@options.messages
@options.gone
@options.archive
@options.common
@click.pass_obj
def command(
    session: Session,
    /,
    account: str,
    *,
    globs: tuple[str, ...],
    archive: Path | None,
    **chosen: Any,  # noqa: ANN401  click's values are untyped
) -> int:
    """List the mailboxes of ACCOUNT in the archive; with --mailbox, or any other choice, the
    messages in those.

    A message shows the beginning of its digest, which `show`, `restore --digest` and every other
    command take, its date, its flags (S seen, A answered, F flagged, D draft, T to be deleted, x
    gone from the server), its size, who sent it, and its subject. What was deleted lately:
    --gone-since 14d, which first says what each mailbox lost. What was there on a day: --as-of
    2026-03-01 --mailbox Projects.
    """
    choice = options.choice(globs, chosen)
    request = ListRequest(session.accounts().one(account, archive), choice)
    with listing.opened(request) as found:
        overview = choice.whole_mailboxes and not globs
        if overview and not choice.include_gone:
            _print_mailboxes(session, found)
        elif session.json:
            return _messages_as_json(session, found)
        else:
            _print_choice(found, choice)
    return exit_codes.DONE


def _print_choice(found: Listing, choice: Choice) -> None:
    """Print what was chosen: what the mailboxes lost where that is asked for, then the messages.
    Raises NothingMatches.
    """
    if found.as_of:
        say(f"{found.as_of}\n")
    elif choice.include_gone or choice.gone_since is not None:
        _print_losses(found, choice)
    if choice.whole_mailboxes and not choice.mailboxes:
        say(LOSSES_BEFORE_MESSAGES)
        return
    found.demand_messages()
    if choice.as_of is not None and not (choice.mailboxes or choice.narrows):
        _print_counts(found)
        return
    _print_messages(found, choice)
    if choice.search:
        say(f"\nsearched: {SEARCHED}, not the text")
    for text in found.left_out():
        say(text)


def _print_losses(found: Listing, choice: Choice) -> None:
    """Print what each mailbox lost, where it went, and between which pulls."""
    losses = found.losses()
    back = any(loss.restored for loss in losses)
    rows = [
        [
            plain(name_of(loss.mailbox)),
            f"{loss.lost:,}" if loss.lost else "-",
            *([f"{loss.restored:,}" if loss.restored else "-"] if back else []),
            plain(moved_to(loss.moved)) or "-",
            _between(loss.after, loss.by),
        ]
        for loss in losses
    ]
    if len(rows) > 1:
        sums = [sum(loss.lost for loss in losses), sum(loss.restored for loss in losses)]
        rows.append(["all", *(f"{one:,}" for one in sums[: 1 + back]), "", ""])
    headings = ["mailbox", "gone", *(["brought back"] if back else []), "moved to", "left between"]
    align = f"l{'r' * (1 + back)}ll"
    if rows:
        click.echo(f"{table(rows, headings, align, drop=('left between',))}\n")
    elif not choice.narrows:
        click.echo("nothing left the server\n")


def _print_messages(found: Listing, choice: Choice) -> None:
    width = width_of(sys.stdout) if sys.stdout.isatty() else None
    for box in found.mailboxes:
        chosen = list(found.messages(box.path))
        if chosen or choice.mailboxes:
            count = _count(box, found) if choice.whole_mailboxes else messages(len(chosen))
            click.echo(f"{click.style(plain(name_of(box.path)), bold=True)}: {count}")
        for run, those in groupby(chosen, lambda message: message.gone_run):
            vanished = list(those)
            if run is not None:
                say(f"  {_vanished(found.times(vanished[0]))}:")
            for message in vanished:
                for line in lines_of(message, width):
                    click.echo(line)


def _vanished(times: tuple[int | None, int] | None) -> str:
    """Say between which times messages vanished."""
    after, by = times or (None, 0)
    return f"gone between {_between(after, by)}" if after else f"gone {_between(after, by)}"


def _between(after: int | None, by: int) -> str:
    return f"{moment_of(after)} and {moment_of(by)}" if after else f"by {moment_of(by)}"


def _print_counts(found: Listing) -> None:
    rows = []
    for box in found.mailboxes:
        sizes = [message.size for message in found.messages(box.path)]
        if sizes:
            rows.append([plain(name_of(box.path)), f"{len(sizes):,}", octets(sum(sizes))])
    headings = ["mailbox", "messages", "size"]
    click.echo(table(rows, headings, "lrr") if rows else "no messages")


def _print_mailboxes(session: Session, found: Listing) -> None:
    if session.json:
        listed = [listing.mailbox_as_json(box, found.moved(box)) for box in found.mailboxes]
        exits.print_json(session, exit_codes.DONE, {"mailboxes": listed})
        return
    rows = []
    for box in found.mailboxes:
        gone = _gone(box, found)
        rows.append(
            [
                plain(name_of(box.path)),
                f"{box.live:,}",
                f"{gone:,}" if gone else "-",
                octets(box.octets),
                moment_of(box.complete_at) if box.complete_at else "never",
                ", ".join(_remarks(box)),
            ]
        )
    headings = ["mailbox", "messages", "gone", "size", "last checked", "remarks"]
    click.echo(
        table(rows, headings, "lrrrll", drop=("size", "last checked", "remarks"))
        if rows
        else "no mailboxes yet"
    )


def _remarks(box: ArchivedMailbox) -> Iterator[str]:
    yield from (use.removeprefix("\\") for use in sorted(box.special_use))
    if box.removed:
        yield "no longer on the server"
    elif box.incomplete:
        yield "incomplete"


def _gone(box: ArchivedMailbox, found: Listing) -> int:
    """Return how many messages left a mailbox and live nowhere else."""
    return max(0, box.gone - found.moved(box))


def _count(box: ArchivedMailbox, found: Listing) -> str:
    gone = _gone(box, found)
    return f"{messages(box.live)}, {gone:,} gone" if gone else messages(box.live)


def _messages_as_json(session: Session, found: Listing) -> int:
    """Write message by message, so that a hundred thousand of them need no memory."""
    code, error = exit_codes.DONE, None
    try:
        found.demand_messages()
    except NothingMatches as none:
        code, error = exit_codes.NOTHING, str(none)
    head = {
        **exits.head(session, code),
        "error": error,
        "as_of": found.as_of or None,
        "losses": [listing.loss_as_json(loss) for loss in found.losses()],
    }
    out = sys.stdout
    out.write(f'{json.dumps(head)[:-1]}, "messages": [')
    for number, message in enumerate(found.as_json()):
        out.write(",\n" if number else "\n")
        json.dump(message, out)
    out.write("\n]}\n")
    return code
