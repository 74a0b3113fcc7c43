"""Messages of a destination downloaded and compared with the archive's, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum, auto

from mailsync import identity
from mailsync.archive import Archive
from mailsync.engine.matching import ways
from mailsync.errors import IntegrityError
from mailsync.model import ArchivedMessage, Entry, Ref, Unfetched
from mailsync.stores.base import Source


class Verdict(Enum):
    """What a comparison found."""

    SAME = auto()
    REWRITTEN = auto()
    """It is the message, with other line ends or octets, or with more in its header."""
    REPAIRED = auto()
    """It is the repaired copy that was sent."""
    DIFFERS = auto()
    GONE = auto()
    WITHHELD = auto()
    """The server has it, and does not send it."""
    DAMAGED = auto()
    """The archive does not have it any more."""


def compared(
    archive: Archive, source: Source, pairs: Iterable[tuple[ArchivedMessage, Entry]]
) -> Iterator[tuple[ArchivedMessage, Verdict]]:
    """Download what is under these entries, and yield what each is to the message that should be
    there.

    One that is there for several messages is the first one's that it is.
    """
    claims: dict[Ref, list[ArchivedMessage]] = {}
    entries: list[Entry] = []
    for message, entry in pairs:
        claimants = claims.setdefault(entry.ref, [])
        if not claimants:
            entries.append(entry)
        claimants.append(message)
    for got in source.fetch(entries):
        claimants = claims.pop(got.entry.ref, [])
        if isinstance(got, Unfetched):
            missing = Verdict.GONE if got.expunged else Verdict.WITHHELD
            yield from ((message, missing) for message in claimants)
            continue
        taken = False
        for message in claimants:
            verdict = Verdict.DIFFERS if taken else _verdict(archive, message, got.content)
            taken = taken or verdict in THERE
            yield message, verdict


THERE = frozenset({Verdict.SAME, Verdict.REWRITTEN, Verdict.REPAIRED})


def _verdict(archive: Archive, message: ArchivedMessage, brought: bytes) -> Verdict:
    try:
        held = archive.content(message.digest)
    except IntegrityError:
        return Verdict.DAMAGED
    if held == brought:
        return Verdict.SAME
    theirs = identity.stored_form(brought)
    as_it_is = True
    for ours in ways(held):
        if identity.is_copy(ours, theirs):
            return Verdict.REWRITTEN if as_it_is else Verdict.REPAIRED
        as_it_is = False
    return Verdict.DIFFERS
