"""What tests of local stores have in common: a source of some files, and all that is in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mailsync.model import Entry, MailboxPath, Message, Scan, ScanRequest
from mailsync.progress import Silence
from mailsync.stores.local import detect
from mailsync.stores.local.detect import Wishes
from mailsync.stores.local.source import LocalSource


def only(kinds: Sequence[str]) -> str:
    (kind,) = kinds
    return kind


def source_of(path: Path, kind: str = "", wishes: Wishes | None = None) -> LocalSource:
    found = kind or only(detect.detect(path).kinds)
    return LocalSource("files", lambda: detect.folders(found, path, wishes or Wishes()), Silence())


def scans_of(source: LocalSource) -> dict[MailboxPath, Scan]:
    scans = {}
    for scan in source.scan(map(ScanRequest, source.mailboxes())):
        assert isinstance(scan, Scan), scan
        scans[scan.mailbox.path] = scan
    return scans


def messages_of(source: LocalSource) -> dict[MailboxPath, list[Message]]:
    """Read everything; what does not come fails the test."""
    found: dict[MailboxPath, list[Message]] = {}
    for path, scan in scans_of(source).items():
        found[path] = []
        for got in source.fetch(scan.entries):
            assert isinstance(got, Message), got
            found[path].append(got)
    return found


def entries_of(path: Path) -> list[Entry]:
    return [entry for scan in scans_of(source_of(path)).values() for entry in scan.entries]


def contents_of(path: Path) -> dict[MailboxPath, list[bytes]]:
    found = messages_of(source_of(path))
    return {name: [message.content for message in got] for name, got in found.items()}
