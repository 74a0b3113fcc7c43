"""Answers about messages that have no content."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailsync.model import ArchivedMessage
from mailsync.plan import Sighting


@dataclass(frozen=True, slots=True)
class Alike:
    """A `plan.Likeness`: whether sizes and ways fit, and the clues of some messages by digest."""

    vouching: bool = True
    fitting: bool = True
    clues: dict[bytes, bytes] = field(default_factory=dict)

    def vouches(self, message: ArchivedMessage, seen: Sighting) -> bool:  # noqa: ARG002
        return self.vouching

    def may_be(self, message: ArchivedMessage, seen: Sighting) -> bool:  # noqa: ARG002
        return self.fitting

    def stays(self, message: ArchivedMessage, seen: Sighting) -> bool:  # noqa: ARG002
        return self.fitting

    def clue(self, message: ArchivedMessage) -> bytes:
        return self.clues.get(message.digest, b"")


LIKE = Alike()
