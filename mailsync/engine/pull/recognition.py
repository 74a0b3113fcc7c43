"""Which messages of a source the archive has already: by the server's own ids, or by header and
tail, without fetching them.

By header and tail only a delivered message is recognised: a Received line has a queue id that no
other message has. Two drafts, or two alerts of one device, may differ in the middle alone. So may a
message and what somebody, or a scanner, made of it: that lies in the same mailbox, under a new UID,
where nothing is recognised that this mailbox names already. A server's own id counts together with
the header.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from mailsync.archive import PullRun
from mailsync.engine.pull.intake import Intake
from mailsync.formats import header
from mailsync.model import Entry, Excerpt, Stored, UidlRef
from mailsync.progress import Progress
from mailsync.stores.base import HeaderSource, Source, TailSource

TAIL: Final = 4096
"""Octets of a message's end that must be equal before its content is believed to be here already;
of a longer one as many behind the header, where people write, and at a place that nobody can know
beforehand.
"""

FEW: Final = 20
"""So many new UIDLs are rather new messages than new names for old ones, and are fetched."""

_Twin: TypeAlias = tuple[str, int, int]


class Recognition:
    """The messages that wait to be recognised, and those that wait for another one to be fetched
    that is the same by the server's id.
    """

    def __init__(self, source: Source, run: PullRun, intake: Intake, progress: Progress) -> None:
        self._source = source
        self._run = run
        self._intake = intake
        self._progress = progress
        self._candidates: list[Entry] = []
        self._twins: dict[_Twin, list[Entry]] = {}
        self._twins_found = 0
        self._distrusted: set[str] = set()
        self._expected: dict[Hashable, bytes] = {}
        self._renamed = False

    @property
    def waiting(self) -> int:
        """How many messages were made to wait so far that are not recognised yet."""
        return len(self._candidates) + self._twins_found

    @property
    def has_candidates(self) -> bool:
        """Whether `unrecognised` has anything to do."""
        return bool(self._candidates)

    def unknown(self, entries: Sequence[Entry], listed: int) -> Iterator[Entry]:
        """Leave out of the new ones among `listed` messages what may be here: that waits to be
        recognised.

        A message that this run is already fetching from another mailbox, by the server's id (every
        Gmail label shows it), waits for that.
        """
        self._renamed = len(entries) > max(FEW, listed // 2)
        maybe: set[Entry] = set()
        if isinstance(self._source, HeaderSource):
            maybe = {
                entry for entry in self._run.candidates(entries) if "\\Draft" not in entry.flags
            }
        self._distrust(entries)
        for entry in entries:
            twin = self._twin(entry)
            digest = self._run.same_object(entry) if twin else None
            if digest is not None:
                self._expected[_key(entry)] = digest
                self._candidates.append(entry)
            elif twin in self._twins:
                self._twins[twin].append(entry)
                self._twins_found += 1
            elif entry in maybe:
                self._candidates.append(entry)
            else:
                if twin is not None:
                    self._twins[twin] = []
                yield entry

    def match_twins(self, entry: Entry, stored: Stored | None) -> None:
        """Have the messages that waited for this one recognised, as it where it came."""
        known = self._twin(entry)
        for twin in self._twins.pop(known, []) if known else []:
            if stored is not None:
                self._expected[_key(twin)] = stored.digest
            self._candidates.append(twin)

    def unrecognised(self) -> Iterator[Entry]:
        """Recognise candidates by header and tail, all in one flight each; yield those that must be
        fetched after all.
        """
        candidates, self._candidates = self._candidates, []
        believed = self._recognise(candidates)
        for entry in candidates:
            found = believed.get(_key(entry))
            if found is not None and self._intake.match(_dated(entry, found[1]), found[0]):
                self._intake.arrived(entry)
            else:
                self._progress.expect(1, entry.size or 0)
                yield entry

    def _distrust(self, entries: Sequence[Entry]) -> None:
        """Believe no id from now on that a server gives to several messages of one mailbox."""
        counts = Counter(entry.object_id for entry in entries if entry.object_id)
        self._distrusted.update(name for name, count in counts.items() if count > 1)

    def _twin(self, entry: Entry) -> _Twin | None:
        """Return what messages have in common that are one by the server's own id: the id alone is
        not believed, since servers have given one to all.
        """
        if not entry.object_id or not entry.size or entry.internaldate is None:
            return None
        if entry.object_id in self._distrusted:
            return None
        return entry.object_id, entry.size, entry.internaldate

    def _recognise(self, candidates: Sequence[Entry]) -> dict[Hashable, tuple[bytes, int | None]]:
        """Return, by `_key`, the digest of each message that is here, and when it arrived by its
        header.
        """
        source = self._source
        if not isinstance(source, HeaderSource):
            return {}
        alike: dict[Hashable, tuple[bytes, int | None]] = {}
        proven: dict[Hashable, tuple[bytes, int | None]] = {}
        delivered: list[Entry] = []
        for part in source.headers(candidates):
            date = header.received_or_date(part.content, self._run.started)
            digest = self._expected.pop(_key(part.entry), None)
            if digest is not None and self._run.has_header(digest, part):
                proven[_key(part.entry)] = digest, date
                continue
            digest = self._known_by_header(part)
            if digest is not None:
                alike[_key(part.entry)] = digest, date
                delivered.append(part.entry)
        if not isinstance(source, TailSource):
            return proven | alike
        tails = source.tails(delivered, TAIL)
        delivered = [
            part.entry for part in tails if self._run.tail_equals(alike[_key(part.entry)][0], part)
        ]
        digests = {key: digest for key, (digest, _) in alike.items()}
        for places in self._places(delivered, digests):
            delivered = self._equal_there(source, delivered, digests, places)
        return proven | {_key(entry): alike[_key(entry)] for entry in delivered}

    def _places(
        self, entries: Sequence[Entry], digests: Mapping[Hashable, bytes]
    ) -> Iterator[dict[Hashable, int]]:
        """Yield where in long messages to look besides their ends."""
        heads = {_key(entry): self._run.head_length(digests[_key(entry)]) for entry in entries}
        long = [entry for entry in entries if (entry.size or 0) > heads[_key(entry)] + TAIL]
        yield {_key(entry): heads[_key(entry)] for entry in long}
        longer = [entry for entry in long if (entry.size or 0) > heads[_key(entry)] + 2 * TAIL]
        yield {
            _key(entry): _somewhere(heads[_key(entry)] + TAIL, (entry.size or 0) - TAIL)
            for entry in longer
        }

    def _equal_there(
        self,
        source: TailSource,
        entries: Sequence[Entry],
        digests: Mapping[Hashable, bytes],
        places: Mapping[Hashable, int],
    ) -> list[Entry]:
        """Leave out the entries that have other octets than ours at these places."""
        wanted = [entry for entry in entries if _key(entry) in places]
        equal = {
            _key(part.entry)
            for part in source.pieces(wanted, lambda entry: places[_key(entry)], TAIL)
            if self._run.piece_equals(digests[_key(part.entry)], part, places[_key(part.entry)])
        }
        return [entry for entry in entries if _key(entry) not in places or _key(entry) in equal]

    def _known_by_header(self, part: Excerpt) -> bytes | None:
        """Return the digest of the message that this header surely is of."""
        # A Received line makes a header unique by its queue id. Without one, only what this mailbox
        # held at this second is believed.
        if header.first(part.content, b"received") is None:
            return self._run.recognise_place(part)
        digest, ref = self._run.recognise(part), part.entry.ref
        if digest is None or (isinstance(ref, UidlRef) and (self._renamed or ref.uidl is None)):
            return digest
        return None if self._run.named_here(part.entry, digest) else digest


def _somewhere(first: int, end: int) -> int:
    return first + secrets.randbelow(end - first)


def _dated(entry: Entry, date: int | None) -> Entry:
    return replace(entry, internaldate=date) if entry.internaldate is None else entry


def _key(entry: Entry) -> Hashable:
    """Tell messages of one session apart: those of a POP3 server without UIDLs are equal to each
    other if only their sizes are.
    """
    return entry, (
        entry.ref.number if isinstance(entry.ref, UidlRef) and entry.ref.uidl is None else None
    )
