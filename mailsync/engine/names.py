"""How messages are named for a person, and mailboxes that nobody has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mailsync.mapping import show
from mailsync.model import ArchivedMessage, Entry, KeyRef, MailboxPath, UidRef

NAMES_SHOWN: Final = 8
"""Mailboxes named where one was asked for that is not there."""


def no_mailbox(whose: str, globs: Sequence[str], there: Sequence[MailboxPath]) -> str:
    """Return the sentence that none of these mailboxes matches, with the likeliest ones first."""
    import difflib  # noqa: PLC0415  only a typing mistake needs it

    names = [show(path) for path in there]
    near = [name for glob in globs for name in difflib.get_close_matches(glob, names, n=3)]
    shown = list(dict.fromkeys([*near, *names]))
    more = f" and {len(shown) - NAMES_SHOWN:,} more" if len(shown) > NAMES_SHOWN else ""
    listed = ", ".join(shown[:NAMES_SHOWN]) or "none"
    return f"no mailbox {whose} matches {' '.join(globs)}; there is: {listed}{more}"


def name_of_message(message: ArchivedMessage) -> str:
    """Return a message of the archive by its subject, and by the digest that `show` takes."""
    return f"{message.subject or '(no subject)'} [{message.digest.hex()[:12]}]"


def name_of_entry(entry: Entry) -> str:
    """Return a message on its server by its UID, UIDL or number; of a file by its key:
    a name, or the digest that `show` takes.
    """
    if isinstance(entry.ref, UidRef):
        return f"UID {entry.ref.uid}"
    if isinstance(entry.ref, KeyRef):
        return _key_shown(entry.ref.key)
    return (
        f"UIDL {entry.ref.uidl.decode('ascii', 'replace')}"
        if entry.ref.uidl
        else f"number {entry.ref.number}"
    )


def _key_shown(key: bytes) -> str:
    return key.decode("ascii") if key.isascii() else f"message {key.hex()[:12]}"
