"""Which messages of the archive are on a destination already: presence keys and digests against
what was seen there. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from mailsync.model import ArchivedMessage, LedgerKey
from mailsync.plan.likeness import HeaderTraits

_NOTHING: Final = HeaderTraits()


@dataclass(frozen=True, slots=True)
class Sighting:
    """A message seen on a destination: where, its presence key, and its Message-ID as
    `identity.message_id_key` gives it.

    `original` is the digest of the message that it says it is a repaired copy of, empty for any
    other.
    `size` is what the server says of it, None where it says nothing.
    """

    uid: int
    presence: bytes
    message_id: str
    original: bytes = b""
    size: int | None = None
    traits: HeaderTraits = _NOTHING


class Likeness(Protocol):
    """What is known of a message of the archive besides its presence key; asked only of messages
    that may be on the destination.
    """

    def vouches(self, message: ArchivedMessage, seen: Sighting) -> bool:
        """Return whether the header seen, which is the message's, may vouch for its body."""

    def may_be(self, message: ArchivedMessage, seen: Sighting) -> bool:
        """Return whether the size seen may be the message's under another header."""

    def stays(self, message: ArchivedMessage, seen: Sighting) -> bool:
        """Return whether what is seen under the UID told for the message may vouch for its body,
        with any header.
        """

    def clue(self, message: ArchivedMessage) -> bytes:
        """Return the mark of its date, else that of its subject; empty where it has neither."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Which messages are on a destination already, and under which UIDs they were found.

    `ambiguous` ones may be one of the named UIDs: only the body can tell.
    """

    found: tuple[tuple[ArchivedMessage, int], ...]
    ambiguous: tuple[tuple[ArchivedMessage, tuple[int, ...]], ...]
    missing: tuple[ArchivedMessage, ...]


@dataclass(frozen=True, slots=True)
class _Index:
    """Sightings, in order, by what tells of their messages: its header, and where it says that it
    is a repaired copy, which anybody may write, the digest of its original too.
    """

    by_uid: dict[int, Sighting] = field(default_factory=dict)
    by_digest: dict[bytes, list[Sighting]] = field(default_factory=dict)
    by_key: dict[bytes, list[Sighting]] = field(default_factory=dict)
    by_id: dict[str, list[Sighting]] = field(default_factory=dict)
    by_clue: dict[bytes, list[Sighting]] = field(default_factory=dict)


def _indexed(sightings: Iterable[Sighting]) -> _Index:
    index = _Index()
    for seen in sightings:
        index.by_uid[seen.uid] = seen
        if seen.original:
            index.by_digest.setdefault(seen.original, []).append(seen)
        index.by_key.setdefault(seen.presence, []).append(seen)
        if seen.message_id:
            index.by_id.setdefault(seen.message_id, []).append(seen)
        for clue in {seen.traits.date, seen.traits.subject} - {b""}:
            index.by_clue.setdefault(clue, []).append(seen)
    return index


def compare(
    messages: Sequence[ArchivedMessage],
    sightings: Iterable[Sighting],
    likeness: Likeness,
    taken: Iterable[int] = (),
    told: Mapping[LedgerKey, int] | None = None,
) -> Comparison:
    """Match messages with what a destination mailbox holds, as multisets of presence keys; each
    sighting serves one message.

    `taken` are UIDs known to be other messages, `told` the UIDs under which the server said that it
    stored messages. A message is found where its size fits and the header is its own, or, under the
    UID told, has its Message-ID or date: servers rewrite headers. Ambiguous are messages that share
    a presence key while being different ones (one device, one Message-ID, many bodies), messages
    without a Message-ID, whose header may be anybody's, messages whose Message-ID, or whose date
    and size, are there under another header, those whose body cannot be told by its size, and those
    of which something says that it is their repaired copy.
    """
    used, told = set(taken), told or {}
    seen = _indexed(one for one in sightings if one.uid not in used)
    different = Counter(
        presence for presence, _ in {(message.presence, message.identity) for message in messages}
    )
    found: list[tuple[ArchivedMessage, int]] = []
    rest: list[ArchivedMessage] = []
    for message in messages:
        telling = bool(message.message_id) and different[message.presence] == 1
        one = _known_again(message, seen, likeness, used, told.get(message.key), telling=telling)
        if one is None:
            rest.append(message)
        else:
            used.add(one.uid)
            found.append((message, one.uid))
    candidates = [
        (message, _candidates(message, seen, likeness, used, told.get(message.key)))
        for message in rest
    ]
    some = tuple((message, uids) for message, uids in candidates if uids)
    none = tuple(message for message, uids in candidates if not uids)
    return Comparison(tuple(found), some, none)


def _known_again(
    message: ArchivedMessage,
    seen: _Index,
    likeness: Likeness,
    used: set[int],
    told: int | None,
    *,
    telling: bool,
) -> Sighting | None:
    """Return the sighting that is surely this message; `telling` where its header is its alone."""
    there = seen.by_uid.get(told) if told is not None else None
    if there is not None and there.uid not in used and likeness.stays(message, there):
        alike = (
            message.digest == there.original
            or there.presence == message.presence
            or (
                there.message_id == message.message_id
                if message.message_id
                else there.traits.date == likeness.clue(message) != b""
            )
        )
        if alike:
            return there
    for one in seen.by_key.get(message.presence, ()) if telling else ():
        if one.uid not in used and likeness.vouches(message, one):
            return one
    return None


def _candidates(
    message: ArchivedMessage,
    seen: _Index,
    likeness: Likeness,
    used: set[int],
    told: int | None,
) -> tuple[int, ...]:
    """Return what may be this message, the likeliest first."""
    found = [seen.by_uid[told]] if told in seen.by_uid else []
    found += seen.by_digest.get(message.digest, ())
    found += seen.by_key.get(message.presence, ())
    found += seen.by_id.get(message.message_id, ())
    if seen.by_clue:
        alike = seen.by_clue.get(likeness.clue(message), ())
        found += (one for one in alike if one.uid not in used and likeness.may_be(message, one))
    return tuple(dict.fromkeys(one.uid for one in found if one.uid not in used))
