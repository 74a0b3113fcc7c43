"""How messages are named for a person."""

from __future__ import annotations

from mailsync.model import ArchivedMessage, Entry, UidRef


def name_of_message(message: ArchivedMessage) -> str:
    """Return a message of the archive by its subject, and by the digest that `show` takes."""
    return f"{message.subject or '(no subject)'} [{message.digest.hex()[:12]}]"


def name_of_entry(entry: Entry) -> str:
    """Return a message on its server by its UID, UIDL or number."""
    if isinstance(entry.ref, UidRef):
        return f"UID {entry.ref.uid}"
    return (
        f"UIDL {entry.ref.uidl.decode('ascii', 'replace')}"
        if entry.ref.uidl
        else f"number {entry.ref.number}"
    )
