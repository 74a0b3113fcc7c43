"""One message of an archive, found by the beginning of its digest: what it says, where it is, and
what it carries.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from mailsync.app import preview
from mailsync.app.choice import digest_of
from mailsync.app.listing import iso
from mailsync.app.preview import Attachment, Reading
from mailsync.app.requests import ShowRequest
from mailsync.archive import Archive
from mailsync.archive.storage.disk import disk_errors_translated
from mailsync.formats.file_names import numbered
from mailsync.mapping import show as name_of
from mailsync.model import ArchivedMessage

__all__ = ["Attachment", "Place", "Shown", "save", "show"]


@dataclass(frozen=True, slots=True)
class Place:
    """A mailbox that a message is in, or was; `gone` is between which times it left, the first of
    them None if nobody knows, and None while it is there.
    """

    message: ArchivedMessage
    gone: tuple[int | None, int] | None

    def as_json(self) -> dict[str, object]:
        """Return it as plain values."""
        after, by = self.gone or (None, None)
        return {
            "mailbox": name_of(self.message.mailbox),
            "flags": sorted(self.message.flags),
            "gone": self.gone is not None,
            "gone_after": iso(after),
            "gone_by": iso(by),
        }


@dataclass(frozen=True, slots=True)
class Shown:
    """A message and its content, proved against its digest; the places are those of its
    account.
    """

    digest: bytes
    content: bytes
    places: Sequence[Place]

    @property
    def headers(self) -> dict[str, str]:
        """Return the main headers, as people read them."""
        return preview.headers(self.content)

    def read(self) -> Reading:
        """Return its text, its links and its attachments, as people read them."""
        return preview.read(self.content)

    def as_json(self, saved: Sequence[Path]) -> dict[str, object]:
        """Return it as plain values, with where its attachments were saved, in their order."""
        reading = self.read()
        files = [*map(str, saved), *[None] * (len(reading.attachments) - len(saved))]
        return {
            "digest": self.digest.hex(),
            "octets": len(self.content),
            "places": [place.as_json() for place in self.places],
            "headers": self.headers,
            "text": "\n".join(reading.lines),
            "links": reading.links,
            "attachments": [
                {"name": one.name, "type": one.kind, "octets": len(one.content), "saved": file}
                for one, file in zip(reading.attachments, files, strict=True)
            ],
        }


def show(request: ShowRequest) -> Shown:
    """Read the message. Raises NothingMatches when none begins so, ConfigError when several do, and
    ArchiveError.
    """
    account = request.account
    with Archive.read(account.directory) as archive:
        digest = digest_of(archive, request.digest)
        places = [
            Place(one, None if one.gone_run is None else archive.vanishing(one.gone_run))
            for one in archive.places(account.name, digest)
        ]
        return Shown(digest, archive.content(digest), places)


def save(attachments: Sequence[Attachment], directory: Path) -> list[Path]:
    """Write attachments into a directory, made when missing, and return where; nothing there is
    overwritten or followed. Raises ArchiveError where that cannot be.
    """
    with disk_errors_translated(directory):
        directory.mkdir(parents=True, exist_ok=True)
        return [_written(directory, one) for one in attachments]


def _written(directory: Path, attachment: Attachment) -> Path:
    for number in count(1):
        path = directory / numbered(attachment.name, number)
        try:
            # A link that somebody laid there is no new file either.
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        with os.fdopen(file, "wb") as opened:
            opened.write(attachment.content)
        return path
    raise AssertionError
