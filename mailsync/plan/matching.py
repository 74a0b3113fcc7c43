"""Which messages of the archive are on a destination already: presence keys and digests against
what was seen there. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mailsync.model import ArchivedMessage


@dataclass(frozen=True, slots=True)
class Sighting:
    """A message seen on a destination: where, its presence key, and its Message-ID as
    `identity.message_id_key` gives it.

    `original` is the digest of the message that it is a repaired copy of, empty for any other.
    """

    uid: int
    presence: bytes
    message_id: str
    original: bytes = b""


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
    """The UIDs of sightings, in order, by what tells of their messages: a repaired copy by the
    digest of its original, any other by its header.
    """

    by_digest: dict[bytes, list[int]] = field(default_factory=dict)
    by_key: dict[bytes, list[int]] = field(default_factory=dict)
    by_id: dict[str, list[int]] = field(default_factory=dict)


def _indexed(sightings: Iterable[Sighting]) -> _Index:
    index = _Index()
    for sighting in sightings:
        if sighting.original:
            index.by_digest.setdefault(sighting.original, []).append(sighting.uid)
        else:
            index.by_key.setdefault(sighting.presence, []).append(sighting.uid)
            if sighting.message_id:
                index.by_id.setdefault(sighting.message_id, []).append(sighting.uid)
    return index


def compare(
    messages: Sequence[ArchivedMessage], sightings: Iterable[Sighting], taken: Iterable[int] = ()
) -> Comparison:
    """Match messages with what a destination mailbox holds, as multisets of presence keys; each
    sighting serves one message.

    `taken` are UIDs the ledger knows to be other messages. Ambiguous are messages that share a
    presence key while being different ones (one device, one Message-ID, many bodies), messages
    without a Message-ID, whose header may be anybody's, and messages whose Message-ID is there
    under another header.
    """
    used = set(taken)
    seen = _indexed(one for one in sightings if one.uid not in used)
    different = Counter(
        presence for presence, _ in {(message.presence, message.identity) for message in messages}
    )
    found: list[tuple[ArchivedMessage, int]] = []
    rest: list[ArchivedMessage] = []
    for message in messages:
        telling = message.message_id and different[message.presence] == 1
        uids = seen.by_digest.get(message.digest) or (
            seen.by_key.get(message.presence) if telling else None
        )
        if uids:
            uid = uids.pop(0)
            used.add(uid)
            found.append((message, uid))
        else:
            rest.append(message)
    ambiguous: list[tuple[ArchivedMessage, tuple[int, ...]]] = []
    missing: list[ArchivedMessage] = []
    for message in rest:
        uids = seen.by_key.get(message.presence, []) + seen.by_id.get(message.message_id, [])
        candidates = tuple(dict.fromkeys(uid for uid in uids if uid not in used))
        if candidates:
            ambiguous.append((message, candidates))
        else:
            missing.append(message)
    return Comparison(tuple(found), tuple(ambiguous), tuple(missing))
