"""`mailsync duplicates`: messages that are the same one, and messages that only look it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from mailsync.app.archives import known
from mailsync.archive import Archive, Different, Same
from mailsync.cli import exits, options
from mailsync.cli.accounts import login
from mailsync.cli.session import Session
from mailsync.formats.quantities import messages, octets
from mailsync.formats.terminal import plain, short
from mailsync.mapping import show as name_of

SHOWN: Final = 20
DIGEST_SHOWN: Final = 12


@click.command("duplicates")
@click.argument("account")
@options.archive
@options.common
@click.pass_obj
def command(session: Session, account: str, *, archive: Path | None) -> int:
    """List messages of ACCOUNT that are in several places and stored once, and different messages
    that bear one Message-ID.

    Nothing is changed: each mailbox keeps every message it has. Of messages that came over several
    routes (other Received or DKIM-Signature lines) the first one is stored. Different messages with
    one Message-ID are all kept. -v lists every group.
    """
    who = login(session, account, archive)
    with Archive.read(who.directory) as opened:
        same, different = known(opened, who).duplicates(who.name)
    if session.json:
        exits.print_json(
            session,
            0,
            {
                "error": None,
                "account": who.name,
                "same": _same_as_json(same),
                "different": _as_json(different),
            },
        )
        return 0
    shown = len(same) if session.verbose else SHOWN
    for one in same[:shown]:
        places = f"{one.places} places" + (f", {one.contents} versions" if one.contents > 1 else "")
        click.echo(
            f"{one.digest.hex()[:DIGEST_SHOWN]}  {places}, {octets(one.saved)} saved:"
            f" {short(one.subject, 60) or '(no subject)'}"
        )
        click.echo(f"    in {_names(one.mailboxes)}")
    if len(same) > shown:
        click.echo(f"… and {len(same) - shown:,} more (-v shows them)")
    ids = list(dict.fromkeys(one.message_id for one in different))
    for message_id in ids if session.verbose else ids[:SHOWN]:
        click.echo(f"different messages with Message-ID {short(message_id, 100)}:")
        for other in different:
            if other.message_id == message_id:
                who_sent = f"{short(other.sender, 30)}: " if other.sender else ""
                click.echo(
                    f"    {other.digest.hex()[:DIGEST_SHOWN]}  {octets(other.size)} "
                    f" {who_sent}{short(other.subject, 60)}"
                )
                click.echo(f"        in {_names(other.mailboxes)}")
    if len(ids) > SHOWN and not session.verbose:
        click.echo(f"… and {len(ids) - SHOWN:,} more (-v shows them)")
    saved = octets(sum(one.saved for one in same))
    click.echo(
        f"{plain(who.name)}: {messages(len(same))} in several places; storing each once saves"
        f" {saved}"
    )
    if ids:
        click.echo(f"{len(ids):,} Message-IDs are borne by different messages, which are all kept")
    return 0


def _names(mailboxes: Sequence[tuple[str, ...]]) -> str:
    return ", ".join(plain(name_of(mailbox)) for mailbox in mailboxes)


def _same_as_json(same: Sequence[Same]) -> list[dict[str, object]]:
    return [
        {
            "digest": one.digest.hex(),
            "subject": one.subject,
            "message_id": one.message_id,
            "places": one.places,
            "contents": one.contents,
            "octets_saved": one.saved,
            "mailboxes": [name_of(mailbox) for mailbox in one.mailboxes],
        }
        for one in same
    ]


def _as_json(different: Sequence[Different]) -> list[dict[str, object]]:
    return [
        {
            "message_id": one.message_id,
            "digest": one.digest.hex(),
            "subject": one.subject,
            "from": one.sender,
            "octets": one.size,
            "mailboxes": [name_of(mailbox) for mailbox in one.mailboxes],
        }
        for one in different
    ]
