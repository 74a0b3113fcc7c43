"""Whether messages of one content really are that: a server may send one message in the place of
another of the same size, of the same mailbox or of another, and only the header it shows for the
other tells.
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
    """The contents that came although the archive had them."""

    def __init__(self, source: Source, run: PullRun, report: Report) -> None:
        self._source = source
        self._run = run
        self._report = report
        self._twice: set[bytes] = set()

    def note(self, stored: Stored) -> None:
        """Take note of a message that came."""
        if stored.kind is Kind.DUPLICATE:
            self._twice.add(stored.digest)

    def check(self) -> list[MailboxPath]:
        """Let the server show the headers of what came twice, and, where one is another message's,
        of all that came; returns the mailboxes with messages that the next run must ask for again.
        """
        twice, self._twice = self._twice, set()
        wrong = [entry for digest in twice for entry in self._others(self._run.fetched(digest))]
        paths = list(dict.fromkeys(entry.ref.mailbox for entry in wrong))
        for path in paths:
            wrong += self._others(self._run.fetched(None, path))
        for entry in dict.fromkeys(wrong):
            path = entry.ref.mailbox
            self._run.doubt(entry)
            text = "the server sends another message in its place; the next run asks again"
            self._report.trouble_with("failed", path, name_of_entry(entry), text)
            self._report.of(path).failed += 1
        return paths

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
