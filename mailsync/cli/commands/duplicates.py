"""`mailsync duplicates`: messages that are the same one, and messages that only look it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from mailsync.app.duplicates import Duplicates, duplicates
from mailsync.app.requests import DuplicatesRequest
from mailsync.cli import exits, options
from mailsync.cli.lines import say
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
    found = duplicates(DuplicatesRequest(session.accounts().one(account, archive)))
    if session.json:
        exits.print_json(session, 0, found.as_json())
        return 0
    _print_same(found, len(found.same) if session.verbose else SHOWN)
    ids = list(dict.fromkeys(one.message_id for one in found.different))
    _print_different(found, ids if session.verbose else ids[:SHOWN])
    if len(ids) > SHOWN and not session.verbose:
        say(f"… and {len(ids) - SHOWN:,} more (-v shows them)")
    saved = octets(sum(one.saved for one in found.same))
    say(
        f"{plain(found.account)}: {messages(len(found.same))} in several places; storing each once"
        f" saves {saved}"
    )
    if ids:
        say(f"{len(ids):,} Message-IDs are borne by different messages, which are all kept")
    return 0


def _print_same(found: Duplicates, most: int) -> None:
    for one in found.same[:most]:
        places = f"{one.places} places" + (f", {one.contents} versions" if one.contents > 1 else "")
        say(
            f"{one.digest.hex()[:DIGEST_SHOWN]}  {places}, {octets(one.saved)} saved:"
            f" {short(one.subject, 60) or '(no subject)'}"
        )
        say(f"    in {_names(one.mailboxes)}")
    if len(found.same) > most:
        say(f"… and {len(found.same) - most:,} more (-v shows them)")


def _print_different(found: Duplicates, ids: Sequence[str]) -> None:
    for message_id in ids:
        say(f"different messages with Message-ID {short(message_id, 100)}:")
        for one in found.different:
            if one.message_id == message_id:
                sender = f"{short(one.sender, 30)}: " if one.sender else ""
                say(
                    f"    {one.digest.hex()[:DIGEST_SHOWN]}  {octets(one.size)} "
                    f" {sender}{short(one.subject, 60)}"
                )
                say(f"        in {_names(one.mailboxes)}")


def _names(mailboxes: Sequence[tuple[str, ...]]) -> str:
    return ", ".join(plain(name_of(mailbox)) for mailbox in mailboxes)
