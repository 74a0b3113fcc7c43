"""Whether the UIDLs of a POP3 server still name the messages that the archive has under them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

from mailsync.archive import PullRun
from mailsync.engine.report import Report
from mailsync.formats.quantities import messages
from mailsync.model import Entry, Known, Scan
from mailsync.plan.recheck import SAMPLE, to_recheck
from mailsync.stores.base import BeginningSource, Source

LINES = 20
"""Lines of a body that are compared with its header."""


class Reuse:
    """The listings whose names are to be checked; `fetch` brings messages into the archive."""

    def __init__(
        self,
        source: Source,
        run: PullRun,
        report: Report,
        fetch: Callable[[Scan, Sequence[Entry]], None],
    ) -> None:
        self._source = source
        self._run = run
        self._report = report
        self._fetch = fetch
        self._scans: list[tuple[Scan, list[Entry], list[Entry]]] = []

    def remember(self, scan: Scan, known: Known) -> None:
        """Take note of a listing, to be checked by and by."""
        if isinstance(self._source, BeginningSource):
            first, then = to_recheck(scan, known, random.sample)
            if first:
                self._scans.append((scan, first, then))

    def check(self) -> None:
        """Let the server show how messages begin, fetch those that begin otherwise, and, if one of
        them really is another, look at all the rest.
        """
        scans, self._scans = self._scans, []
        for scan, first, then in scans:
            changed = self._changed(first)
            reused = self._brought(scan, changed[:SAMPLE])
            if reused:
                reused += self._brought(scan, [*changed[SAMPLE:], *self._changed(then)])
                text = (
                    f"the server gave the UIDLs of {messages(reused)} to others of the same size;"
                    " the archive has both"
                )
                self._report.note("reused", scan.mailbox.path, "", text)

    def _changed(self, entries: Sequence[Entry]) -> list[Entry]:
        source = self._source
        if not entries or not isinstance(source, BeginningSource):
            return []
        shown = source.beginnings(entries, LINES)
        return [part.entry for part in shown if self._run.begins_otherwise(part)]

    def _brought(self, scan: Scan, entries: Sequence[Entry]) -> int:
        """Fetch messages; returns how many turned out to be others than those held. A server may
        show one header and send another.
        """
        before = self._digests(entries)
        if entries:
            self._fetch(scan, entries)
        return sum(old != new for old, new in zip(before, self._digests(entries), strict=True))

    def _digests(self, entries: Iterable[Entry]) -> list[bytes | None]:
        return [self._run.named(entry) for entry in entries]
