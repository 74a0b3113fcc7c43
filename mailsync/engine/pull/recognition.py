"""Which messages of a source the archive has already: by the server's own ids, or by header and
tail, without fetching them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Final

from mailsync.archive import PullRun
from mailsync.engine.pull.intake import Intake
from mailsync.formats import header
from mailsync.model import Entry, Stored, UidlRef
from mailsync.progress import Progress
from mailsync.stores.base import HeaderSource, Source, TailSource

TAIL: Final = 4096
"""Octets of a message's end that must be equal before its content is believed to be here already.
"""


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
        self._twins: dict[str, list[Entry]] = {}
        self._twins_found = 0

    @property
    def waiting(self) -> int:
        """How many messages were made to wait so far that are not recognised yet."""
        return len(self._candidates) + self._twins_found

    @property
    def has_candidates(self) -> bool:
        """Whether `unrecognised` has anything to do."""
        return bool(self._candidates)

    def unknown(self, entries: Sequence[Entry]) -> Iterator[Entry]:
        """Leave out what the archive has: by the server's own ids at once; what merely may be here
        waits to be recognised.

        A message that this run is already fetching from another mailbox, by the server's id (every
        Gmail label shows it), waits for that.
        """
        maybe: set[Entry] = set()
        if isinstance(self._source, HeaderSource):
            maybe = {
                entry for entry in self._run.candidates(entries) if "\\Draft" not in entry.flags
            }
        for entry in entries:
            digest = self._run.same_object(entry) if entry.object_id else None
            if digest is not None and self._intake.match(entry, digest):
                continue
            if entry.object_id in self._twins:
                self._twins[entry.object_id].append(entry)
                self._twins_found += 1
            elif entry in maybe:
                self._candidates.append(entry)
            else:
                if entry.object_id:
                    self._twins[entry.object_id] = []
                yield entry

    def match_twins(self, entry: Entry, stored: Stored | None) -> None:
        """Match the messages that waited for this one; where it did not come, or the archive cannot
        vouch for it, they must be recognised or fetched themselves.
        """
        for twin in self._twins.pop(entry.object_id, []) if entry.object_id else []:
            if stored is not None and self._intake.match(twin, stored.digest):
                self._intake.arrived(twin)
            else:
                self._candidates.append(twin)

    def unrecognised(self) -> Iterator[Entry]:
        """Recognise candidates by header and tail, all in one flight each; yield those that must be
        fetched after all.
        """
        candidates, self._candidates = self._candidates, []
        believed = self._recognise(candidates)
        for entry in candidates:
            digest = believed.get(_key(entry))
            if digest is not None and self._intake.match(entry, digest):
                self._intake.arrived(entry)
            else:
                self._progress.expect(1, entry.size or 0)
                yield entry

    def _recognise(self, candidates: Sequence[Entry]) -> dict[Hashable, bytes]:
        source = self._source
        if not isinstance(source, HeaderSource):
            return {}
        alike: dict[Hashable, tuple[Entry, bytes]] = {}
        delivered: set[Hashable] = set()
        for part in source.headers(candidates):
            digest = self._run.recognise(part)
            if digest is not None:
                alike[_key(part.entry)] = part.entry, digest
                if header.first(part.content, b"received") is not None:
                    delivered.add(_key(part.entry))
        if not isinstance(source, TailSource):
            # Without the tail only a delivered message is believed: its Received lines carry a
            # queue id no other message has.
            return {key: digest for key, (_, digest) in alike.items() if key in delivered}
        tails = [
            (_key(part.entry), part)
            for part in source.tails([entry for entry, _ in alike.values()], TAIL)
        ]
        return {
            key: alike[key][1] for key, part in tails if self._run.tail_equals(alike[key][1], part)
        }


def _key(entry: Entry) -> Hashable:
    """Tell messages of one session apart: those of a POP3 server without UIDLs are equal to each
    other if only their sizes are.
    """
    return entry, (
        entry.ref.number if isinstance(entry.ref, UidlRef) and entry.ref.uidl is None else None
    )
