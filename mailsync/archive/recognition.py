"""Recognising messages whose content is stored already, without fetching them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from mailsync import identity
from mailsync.archive.bounds import storable
from mailsync.archive.catalogue import Catalogue, FileRow, FileState
from mailsync.archive.storage.base import Storage
from mailsync.formats.header import block
from mailsync.model import Entry, Excerpt, MailboxPath


class Recognition:
    """Questions of one run of an account; its number is `id`."""

    def __init__(
        self,
        catalogue: Catalogue,
        tree: Storage,
        turns: tuple[AbstractContextManager[None], AbstractContextManager[None]],
        account: int,
        run: int,
    ) -> None:
        """Speak within the first of `turns`, and write down damage within the second."""
        self._catalogue = catalogue
        self._tree = tree
        self._turn, self._storing = turns
        self._account = account
        self.id = run

    def candidates(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the entries whose size says that their content may have been here before this
        run.
        """
        messages = self._catalogue.messages
        with self._turn:
            if not messages.has_any(self.id):
                return []
            return [
                entry
                for entry in entries
                if (size := storable(entry).size) and messages.has_size(size, self.id)
            ]

    def same_object(self, entry: Entry) -> bytes | None:
        """Return the stored digest of the one message to which this account's server gave the same
        object id, size and INTERNALDATE.
        """
        with self._turn:
            return self._catalogue.likenesses.same_object(self._account, storable(entry))

    def recognise(self, header: Excerpt) -> bytes | None:
        """Return the digest of a stored content of that size with an equal header block.

        That proves something of the body only where the header is no other message's.
        """
        size = storable(header.entry).size
        if size is None:
            return None
        wanted = identity.header_digest(header.content)
        with self._turn:
            for row in self._catalogue.messages.of_size(size, self.id):
                if row.header == wanted and any(
                    file.sound for file in self._catalogue.files.of(row.id)
                ):
                    return row.digest
        return None

    def has_header(self, digest: bytes, header: Excerpt) -> bool:
        """Return whether the content of this digest has this header block."""
        wanted = identity.header_digest(header.content)
        with self._turn:
            return self._catalogue.messages.header(digest) == wanted

    def named_here(self, entry: Entry, digest: bytes) -> bool:
        """Return whether this very mailbox held a content before this run under another UID, or
        UIDL, of the same numbering: what comes under a new one then may be an edited copy of it.
        """
        with self._turn:
            return self._catalogue.likenesses.named_here(self._account, entry, digest, self.id)

    def fetched(
        self, digest: bytes | None, mailbox: MailboxPath | None = None
    ) -> Sequence[tuple[Entry, bytes]]:
        """Return the messages of the account with this content that any run fetched, or those of a
        mailbox that this run did; each with the presence key of what came.
        """
        with self._turn:
            return self._catalogue.likenesses.fetched(self._account, self.id, digest, mailbox)

    def recognise_place(self, header: Excerpt) -> bytes | None:
        """Return the digest of the one content that this very mailbox held, under a UID that nobody
        knows any more, with that size, INTERNALDATE and an equal header block: after a reindex, a
        change of UIDVALIDITY or a move to another server.
        """
        wanted = identity.header_digest(header.content)
        with self._turn:
            return self._catalogue.likenesses.same_place(
                self._account, storable(header.entry), wanted
            )

    def tail_equals(self, digest: bytes, tail: Excerpt) -> bool:
        """Return whether the stored content ends in these octets."""
        return self._holds_piece(digest, tail.content, None)

    def head_length(self, digest: bytes) -> int:
        """Return how long the header block of a stored content is."""
        content = self._read(digest)
        return 0 if content is None else len(block(content))

    def piece_equals(self, digest: bytes, piece: Excerpt, start: int) -> bool:
        """Return whether the stored content has these octets from `start` on."""
        return self._holds_piece(digest, piece.content, start)

    def _holds_piece(self, digest: bytes, octets: bytes, start: int | None) -> bool:
        with self._turn:
            for file in self._files(digest):
                if not file.sound:
                    continue
                located = self._tree.locate(file.folder, file.base, file.flags)
                if located is not None:
                    with located.open() as content:
                        end = max(0, located.stat().size - len(octets))
                        content.seek(end if start is None else start)
                        return content.read(len(octets)) == octets
        return False

    def proves(self, digest: bytes, header: Excerpt) -> bool:
        """Read a message's file, hash it, and tell whether it is sound and begins so: with
        this header block, and what stands behind it.
        """
        content = self._proven(digest)
        if content is None:
            return False
        short = (header.entry.size or 0) + 2 == len(content)
        return (
            block(content).rstrip(b"\r\n") == block(header.content).rstrip(b"\r\n")
            and content.startswith(header.content.rstrip(b"\r\n"))
            and (not short or content.endswith(b"\r\n"))
        )

    def named(self, entry: Entry) -> bytes | None:
        """Return the digest of the message that was last fetched under a UIDL."""
        with self._turn:
            return self._catalogue.likenesses.named(self._account, entry)

    def begins_otherwise(self, beginning: Excerpt) -> bool:
        """Return whether the message held under a UIDL surely begins with another header, trace
        fields aside, or another body.
        """
        digest = self.named(beginning.entry)
        content = None if digest is None else self._read(digest)
        if content is None:
            return False
        here, there = block(content), block(beginning.content)
        body = beginning.content[len(there) :].rstrip(b"\r\n")
        return identity.presence_key(here) != identity.presence_key(there) or not content[
            len(here) :
        ].startswith(body)

    def _read(self, digest: bytes) -> bytes | None:
        """Return a content as a file of it that counts as sound holds it."""
        with self._turn:
            for file in self._files(digest):
                located = self._tree.locate(file.folder, file.base, file.flags)
                if file.sound and located is not None:
                    return located.read()
        return None

    def holds(self, digest: bytes, content: bytes) -> bool:
        """Read a message's file, hash it, and tell whether it is sound and just this content."""
        return identity.digest(content) == digest and self._proven(digest) is not None

    def _proven(self, digest: bytes) -> bytes | None:
        """Return a content as one of its files holds it, hashed just now; damage is marked."""
        with self._storing:
            for file in self._files(digest):
                located = self._tree.locate(file.folder, file.base, file.flags)
                if located is None:
                    continue
                content = located.read()
                if identity.digest(content) == digest:
                    return content
                self._catalogue.files.mark(file.id, FileState.DAMAGED)
        return None

    def _files(self, digest: bytes) -> Sequence[FileRow]:
        message = self._catalogue.messages.find(digest)
        return [] if message is None else self._catalogue.files.of(message)
