"""Whether messages of one content in one mailbox really are that: a server may send one message in
the place of another of the same size, and only the header it shows for the other tells.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailsync import identity
from mailsync.archive import PullRun
from mailsync.engine.names import name_of_entry
from mailsync.engine.report import Report
from mailsync.model import Entry, Kind, MailboxPath, Stored
from mailsync.stores.base import HeaderSource, Source


class Doubles:
    """The contents that came more than once within a mailbox."""

    def __init__(self, source: Source, run: PullRun, report: Report) -> None:
        self._source = source
        self._run = run
        self._report = report
        self._seen: dict[MailboxPath, set[int]] = {}
        self._twice: dict[MailboxPath, set[bytes]] = {}

    def note(self, entry: Entry, stored: Stored) -> None:
        """Take note of a message that came."""
        path, mark = entry.ref.mailbox, int.from_bytes(stored.digest[:7])
        seen = self._seen.setdefault(path, set())
        if stored.kind is Kind.DUPLICATE and (
            mark in seen or self._run.named_here(entry, stored.digest)
        ):
            self._twice.setdefault(path, set()).add(stored.digest)
        seen.add(mark)

    def check(self) -> list[MailboxPath]:
        """Let the server show the headers of what came twice, and, where one is another message's,
        of all that came; returns the mailboxes with messages that the next run must ask for again.
        """
        twice, self._twice = self._twice, {}
        doubtful: list[MailboxPath] = []
        for path, digests in twice.items():
            wrong = [
                entry
                for digest in digests
                for entry in self._others(self._run.fetched(path, digest))
            ]
            if wrong:
                wrong = list(dict.fromkeys([*wrong, *self._others(self._run.fetched(path, None))]))
                doubtful.append(path)
            for entry in wrong:
                self._run.doubt(entry)
                text = "the server sends another message in its place; the next run asks again"
                self._report.trouble_with("failed", path, name_of_entry(entry), text)
                self._report.of(path).failed += 1
        return doubtful

    def _others(self, fetched: Sequence[tuple[Entry, bytes]]) -> list[Entry]:
        """Return those for which the server shows the header of another message than came."""
        source = self._source
        if not isinstance(source, HeaderSource):
            return []
        came = {entry.ref: presence for entry, presence in fetched}
        shown = source.headers([entry for entry, _ in fetched])
        return [
            part.entry
            for part in shown
            if identity.presence_key(part.content) != came[part.entry.ref]
        ]
