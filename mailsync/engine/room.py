"""Whether a destination has room for what is to be sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mailsync.engine.report import Report
from mailsync.errors import OverQuota
from mailsync.mapping import show
from mailsync.model import MailboxPath
from mailsync.stores.base import BoundedDestination

NAMES_SHOWN: Final = 5
"""Mailboxes named in one remark."""


def demand_room(
    destination: BoundedDestination, needed: Mapping[MailboxPath, int], report: Report
) -> None:
    """Compare the octets needed in each mailbox with what the server still takes.

    Raises OverQuota, and says where.
    """
    full: list[str] = []
    for room in destination.rooms(list(needed)):
        asked = sum(needed.get(path, 0) for path in room.mailboxes)
        if asked > room.octets:
            names = ", ".join(sorted(map(show, room.mailboxes))[:NAMES_SHOWN]) + (
                ", …" if len(room.mailboxes) > NAMES_SHOWN else ""
            )
            full.append(
                f"the messages for {names} have {asked:,} octets, and there is room for"
                f" {room.octets:,}"
            )
    for words in full:
        report.trouble_with("quota", None, "", words)
    if full:
        raise OverQuota(
            destination.account,
            "the server has too little room for all of it, so nothing more is sent",
        )
