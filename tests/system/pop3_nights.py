"""Nights of a POP3 account: pulls of one archive after another, at any time, from a server that may
lie.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from mailsync.archive import Archive
from mailsync.engine.pull import pull
from mailsync.engine.report import Report
from mailsync.engine.server_deletion import delete_from_server
from mailsync.model import INBOX
from mailsync.progress import Silence
from tests.servers.liar import PASSWORD, USER, Liar, Lie, Mail, ended, pop3
from tests.stores.pop3_source_servers import source

DAY = 86_400
YEAR = 365 * DAY
HEAD = b"From: door@example.org\r\nSubject: door\r\nDate: Mon, 1 Jan 2018 10:00:00 +0000\r\n\r\n"
"""The header of a device that knows neither Message-IDs nor other servers."""


@dataclass(slots=True)
class Nights:
    """`now` is the time of the next one; `keep` are seconds after which messages are deleted."""

    directory: Path
    server: Liar
    now: float = 1_700_000_000
    keep: float | None = None
    whole: bool = True
    thorough: bool = False
    options: dict[str, object] = field(default_factory=dict)

    def pull(self) -> Report:
        report = Report("pull", "old")
        with (
            Archive.open(self.directory, clock=lambda: self.now) as archive,
            closing(source(self.server.port, USER, PASSWORD, **self.options)) as origin,
            archive.pull("old") as run,
        ):
            pull(origin, run, report, Silence(), thorough=self.thorough)
            if self.keep is not None and report.complete:
                delete_from_server(
                    origin, run, report, Silence(), after=self.keep, whole=self.whole
                )
            run.finish(complete=report.complete, report=report.as_json())
        return report

    def archived(self) -> set[bytes]:
        """Return what the files of the archive hold."""
        with Archive.read(self.directory) as archive:
            return {
                archive.content(message.digest)
                for message in archive.messages("old", INBOX, include_gone=True)
            }

    def on_server(self) -> list[bytes]:
        return [ended(one.content) for one in self.server.mail.box(b"INBOX").messages]

    def said(self) -> list[bytes]:
        """Return every command the server heard, in order."""
        return [line for talk in self.server.conversations for line in talk.heard]


def filled(*contents: bytes, lies: tuple[Lie, ...] = ()) -> Liar:
    mail = Mail()
    for content in contents:
        mail.put(b"INBOX", content)
    return pop3(mail, *lies)
