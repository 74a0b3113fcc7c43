"""One message of an archive, found by the beginning of its digest."""

from __future__ import annotations

from dataclasses import dataclass

from mailsync.app import preview
from mailsync.app.choice import digest_of
from mailsync.app.requests import ShowRequest
from mailsync.archive import Archive


@dataclass(frozen=True, slots=True)
class Shown:
    """A message and its content, proved against its digest."""

    digest: bytes
    content: bytes

    @property
    def headers(self) -> dict[str, str]:
        """Return the main headers, as people read them."""
        return preview.headers(self.content)

    @property
    def lines(self) -> list[str]:
        """Return the text, as people read it."""
        return preview.text(self.content)

    def as_json(self) -> dict[str, object]:
        """Return it as plain values."""
        return {
            "digest": self.digest.hex(),
            "octets": len(self.content),
            "headers": self.headers,
            "text": "\n".join(self.lines),
        }


def show(request: ShowRequest) -> Shown:
    """Read the message. Raises NothingMatches when none begins so, ConfigError when
    several do, and ArchiveError.
    """
    with Archive.read(request.account.directory) as archive:
        digest = digest_of(archive, request.digest)
        return Shown(digest, archive.content(digest))
