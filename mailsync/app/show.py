"""One message of an archive, found by the beginning of its digest."""

from __future__ import annotations

from dataclasses import dataclass

from mailsync.app import preview
from mailsync.app.requests import ShowRequest
from mailsync.archive import Archive
from mailsync.errors import ConfigError


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
    """Read the message. Raises ConfigError when none, or several, begin so, and ArchiveError."""
    with Archive.read(request.account.directory) as archive:
        digest = _only(list(archive.find(request.digest.lower())), request.digest)
        return Shown(digest, archive.content(digest))


def _only(found: list[bytes], digest: str) -> bytes:
    if not found:
        raise ConfigError(
            f"no message's digest begins with {digest}; `mailsync list ACCOUNT --mailbox …` shows"
            " them"
        )
    if len(found) > 1:
        some = ", ".join(one.hex()[: max(12, len(digest) + 4)] for one in found[:5])
        raise ConfigError(
            f"{len(found)} messages' digests begin with {digest}:"
            f" {some}{' …' if len(found) > 5 else ''}; write more of it"
        )
    return found[0]
