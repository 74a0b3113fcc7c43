"""Which stored content a new one counts as: the one question behind all deduplication."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailsync import identity
from mailsync.archive.catalogue import Alike, Catalogue
from mailsync.archive.storage.base import StorageReader
from mailsync.formats import header
from mailsync.identity import Fingerprint, is_signed


@dataclass(frozen=True, slots=True)
class Found:
    """What is stored already: the content (row, digest) that counts as the same, or else another
    message with its Message-ID.

    `lost` are contents of the same message that no sound file holds any more. `variant`: others are
    stored, which `dedupe` does not let count.
    """

    stored: tuple[int, bytes] | None = None
    lost: Sequence[int] = ()
    collides: bytes | None = None
    variant: bool = False


_NOTHING = Found()


class StoredAs:
    """Answers for one writer; `dedupe` is `message-id`, `exact` or `none`.

    What it finds out of contents on its way, and an earlier version did not know, it writes down.
    """

    def __init__(self, catalogue: Catalogue, tree: StorageReader, dedupe: str) -> None:
        self._catalogue = catalogue
        self._tree = tree
        self._dedupe = dedupe

    def find(self, print_: Fingerprint) -> Found:
        """Find the stored content this one counts as, and, failing that, another message with its
        Message-ID.
        """
        rows = self._catalogue.messages.alike(print_)
        if not rows:
            return _NOTHING
        own = next((row for row, digest, *_ in rows if digest == print_.digest), None)
        different = (digest for _, digest, identity, _ in rows if identity != print_.identity)
        collides = next((digest for digest in different if digest != print_.digest), None)
        self._renew(rows, print_)
        alike = [row for row in rows if print_.identity == row[2] and print_.digest != row[1]]
        if self._dedupe != "message-id":
            return (
                Found((own, print_.digest))
                if own is not None
                else Found(collides=collides, variant=bool(alike))
            )
        if own is not None and self._has_sound(own):
            return Found((own, print_.digest))
        # The one that came first counts. What is signed is never kept as a content without its
        # signatures, which are proofs of its own octets.
        unsigned = False
        for row, digest, _, signed in sorted(alike):
            if self._has_sound(row):
                if not print_.signed or self._is_signed(row, digest, signed):
                    return Found((row, digest))
                unsigned = True
        if own is not None:
            return Found((own, print_.digest))
        if unsigned:
            return Found(collides=collides, variant=True)
        return Found(lost=[row for row, *_ in sorted(alike)], collides=collides)

    def renew(self) -> None:
        """Read every stored content that is the same message as no other one, and record the
        identity that it has now: an earlier version took fewer ways of one message for one.
        """
        for message, digest in self._catalogue.messages.alone():
            content = self._content(message, digest)
            known = digest if content is None else identity.identity(content, digest)
            if known != digest:
                self._catalogue.messages.set_identity(message, known)

    def _has_sound(self, message: int) -> bool:
        return any(file.sound for file in self._catalogue.files.of(message))

    def _is_signed(self, message: int, digest: bytes, known: int | None) -> bool:
        """Return whether a stored content bears signatures; an earlier version did not write it
        down.
        """
        if known is None:
            content = self._content(message, digest)
            if content is None:
                # Nobody knows: both are kept.
                return False
            known = is_signed(header.block(content))
            self._catalogue.messages.set_signed(message, signed=known)
        return bool(known)

    def _renew(self, rows: Sequence[Alike], print_: Fingerprint) -> None:
        """Record the identity of a content that is stored already, where an earlier version gave it
        another one.
        """
        for row, digest, known, _ in rows:
            if digest == print_.digest and known != print_.identity:
                self._catalogue.messages.set_identity(row, print_.identity)

    def _content(self, message: int, digest: bytes) -> bytes | None:
        """Return a stored content; None where no file holds it soundly."""
        for file in self._catalogue.files.of(message):
            located = self._tree.locate(file.folder, file.base, file.flags)
            if file.sound and located is not None:
                content = located.read()
                if identity.digest(content) == digest:
                    return content
        return None
