"""Putting contents into the tree and the catalogue together: what is stored, linked, mended or adopted. One writer's view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mailsync.archive.catalogue import Catalogue, FileRow
from mailsync.archive.maildir import MaildirTree, sha256_of
from mailsync.formats import header, maildir
from mailsync.identity import Fingerprint, fingerprint
from mailsync.model import MailboxPath


@dataclass(frozen=True, slots=True)
class Stowed:
    """Where a content lies now: its file, its own digest, that of what the file holds, whether it was new or mended a damage."""

    file: int
    own: bytes
    digest: bytes
    new: bool
    mended: bool = False
    collides: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """What is stored already: the content (row, digest) that counts as the same, or else another letter with its Message-ID.

    `variant`: other contents of the same letter are stored, which `dedupe` does not let count.
    """

    stored: tuple[int, bytes] | None = None
    collides: bytes | None = None
    variant: bool = False


_NOTHING = _Found()


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where in the tree a content goes, and how it is named there."""

    path: MailboxPath
    internaldate: int
    flags: frozenset[str]


class Shelf:
    """Stores contents for one run; `dedupe` is `message-id`, `exact` or `none`."""

    def __init__(self, catalogue: Catalogue, tree: MaildirTree, quarantine: Path, dedupe: str, run: Callable[[], int]) -> None:
        self._catalogue = catalogue
        self._sql = catalogue.sql
        self._tree = tree
        self._quarantine = quarantine
        self._dedupe = dedupe
        self._run = run
        self._folders: dict[MailboxPath, tuple[int, str]] = {}

    def folder(self, path: MailboxPath) -> tuple[int, str]:
        """Give a mailbox's folder as (row, name), made when missing."""
        known = self._folders.get(path)
        if known is None:
            found = self._catalogue.folder(path)
            if found is None:
                name = self._tree.make_folder(path)
                if self._catalogue.folder_clashes(name):
                    name = self._tree.make_folder(path, hashed=True)
                found = (self._catalogue.make_folder(path, name), name)
            else:
                self._tree.make_folder(path, hashed="\\~" in found[1])
            known = self._folders[path] = found
        return known

    def stow(self, path: MailboxPath, content: bytes, internaldate: int, flags: frozenset[str]) -> Stowed:
        """Store a content in a mailbox's folder, or find that the letter is there; durable only after the tree settles."""
        print_ = fingerprint(content)
        digest = print_.digest
        found = self._stored_as(print_)
        if found.stored is None:
            message = self._record(print_, len(content))
            file = self._write(_Spot(path, internaldate, flags), message, digest, content, first=not found.variant)
            return Stowed(file, digest, digest, new=True, collides=found.collides)
        message, stored_digest = found.stored
        there = self._catalogue.files_of(message, folder=self.folder(path)[0])
        sound = [file for file in there if not file.damaged]
        if sound and self._dedupe != "none":
            return Stowed(sound[0].id, digest, stored_digest, new=self._claim(sound[0].id, flags))
        if there and not sound and stored_digest == digest:
            return Stowed(self._mend(message, content, folder=self.folder(path)[0]), digest, digest, new=False, mended=True)
        again = self._place_again(_Spot(path, internaldate, flags), message, stored_digest)
        if again is not None:
            return Stowed(again, digest, stored_digest, new=False)
        if stored_digest != digest:
            own = self._catalogue.message_by_digest(digest) or self._record(print_, len(content))
            return Stowed(self._write(_Spot(path, internaldate, flags), own, digest, content), digest, digest, new=True)
        self._mend(message, content)
        return Stowed(
            self._write(_Spot(path, internaldate, flags), message, digest, content), digest, digest, new=False, mended=bool(there)
        )

    def place(self, path: MailboxPath, digest: bytes, internaldate: int, flags: frozenset[str]) -> int | None:
        """Put a stored content into a mailbox's folder as well; None when no sound file holds it."""
        message = self._catalogue.message_by_digest(digest)
        if message is None:
            return None
        sound = [file for file in self._catalogue.files_of(message, folder=self.folder(path)[0]) if not file.damaged]
        if sound and self._dedupe != "none":
            self._claim(sound[0].id, flags)
            return sound[0].id
        return self._place_again(_Spot(path, internaldate, flags), message, digest)

    def reflag(self, file: int, flags: frozenset[str]) -> None:
        """Make a file's name say these flags."""
        row = self._catalogue.file(file)
        self._sql.execute("UPDATE files SET flags = ? WHERE id = ?", (self._catalogue.flags.write(flags), file))
        self._tree.reflag(row.folder, row.base, flags)

    def adopt(self, path: MailboxPath, file: Path, base: str) -> bool:
        """Take in a file that has no row, if it is what its own name says; tells whether it was."""
        name = maildir.parse(base)
        content = file.read_bytes()
        print_ = fingerprint(content)
        if name is None or name.size != len(content) or name.digest_prefix != print_.digest[: maildir.DIGEST_SHOWN]:
            return False
        message = self._catalogue.message_by_digest(print_.digest) or self._record(print_, len(content))
        flags = maildir.flags_of(maildir.split(file.name)[1], {})
        self._insert_file(_Spot(path, name.internaldate, flags), message, base, name.copy)
        return True

    def _claim(self, file: int, flags: frozenset[str]) -> bool:
        """Give an adopted file, which no placement names yet, the flags of its first one; tells whether it was such a file."""
        if self._sql.execute("SELECT 1 FROM placements WHERE file = ?", (file,)).fetchone():
            return False
        self.reflag(file, flags)
        return True

    def _stored_as(self, print_: Fingerprint) -> _Found:
        """Find the stored content this one counts as, and, failing that, another letter with its Message-ID."""
        # The condition on the empty text lets SQLite use the index, which leaves letters without a Message-ID out.
        rows = self._sql.execute(
            "SELECT id, digest, identity FROM messages "
            "WHERE digest = ? OR identity = ? OR (message_id = ? AND message_id <> '') ORDER BY id",
            (print_.digest, print_.identity, print_.message_id),
        ).fetchall()
        if not rows:
            return _NOTHING
        alike = [(row, digest) for row, digest, known in rows if known == print_.identity]
        for row, digest in alike:
            if digest == print_.digest:
                return _Found((row, digest))
        if self._dedupe == "message-id":
            for row, digest in alike:
                if any(not file.damaged for file in self._catalogue.files_of(row)):
                    return _Found((row, digest))
        return _Found(None, next((digest for _, digest, known in rows if known != print_.identity), None), bool(alike))

    def _record(self, print_: Fingerprint, size: int) -> int:
        cursor = self._sql.execute(
            "INSERT INTO messages (digest, size, identity, message_id, header, presence, subject, sender, first_run) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                print_.digest,
                size,
                print_.identity,
                print_.message_id,
                print_.header,
                print_.presence,
                _storable(header.text(print_.subject)),
                _storable(header.text(print_.sender)),
                self._run(),
            ),
        )
        return int(cursor.lastrowid or 0)

    def _write(self, spot: _Spot, message: int, digest: bytes, content: bytes, *, first: bool = False) -> int:
        """Start writing a content; `first` says that no file of this letter can be in the folder."""
        copy = 1 if first else self._next_copy(spot.path, message)
        base = maildir.name(spot.internaldate, digest, len(content), copy)
        file = self._insert_file(spot, message, base, copy)
        self._tree.add(self.folder(spot.path)[1], base, content, spot.flags)
        return file

    def _place_again(self, spot: _Spot, message: int, digest: bytes) -> int | None:
        """Link a content into another folder, from a file that was just hashed; None when there is no sound one."""
        for source in self._catalogue.files_of(message):
            if source.damaged or not self._is_sound(source, digest):
                continue
            size = self._sql.execute("SELECT size FROM messages WHERE id = ?", (message,)).fetchone()[0]
            copy = self._next_copy(spot.path, message)
            base = maildir.name(spot.internaldate, digest, size, copy)
            file = self._insert_file(spot, message, base, copy)
            self._tree.link((source.folder, source.base), self.folder(spot.path)[1], base, spot.flags)
            return file
        return None

    def _is_sound(self, file: FileRow, digest: bytes) -> bool:
        if self._tree.is_waiting(file.folder, file.base):
            return True
        path = self._tree.locate(file.folder, file.base, file.flags)
        if path is not None and sha256_of(path) == digest:
            return True
        self._catalogue.mark(file.id, damaged=True)
        return False

    def _mend(self, message: int, content: bytes, folder: int | None = None) -> int:
        """Put good content in the place of every damaged file of a message; what was damaged goes to quarantine."""
        mended = 0
        for file in self._catalogue.files_of(message):
            if not file.damaged:
                continue
            damaged = self._tree.locate(file.folder, file.base, file.flags)
            if damaged is not None:
                self._tree.set_aside(
                    damaged, self._quarantine, f"its content no longer had the SHA-256 of its name; was in {damaged.parent}"
                )
            self._tree.add(file.folder, file.base, content, file.flags)
            self._catalogue.mark(file.id, damaged=False)
            row = self._sql.execute("SELECT folder FROM files WHERE id = ?", (file.id,)).fetchone()
            if folder is None or row[0] == folder:
                mended = mended or file.id
        return mended

    def _next_copy(self, path: MailboxPath, message: int) -> int:
        """Give the next number among the copies of one letter in a folder; only `exact` and `none` keep several."""
        row = self._sql.execute(
            "SELECT coalesce(max(f.copy), 0) + 1 FROM messages n CROSS JOIN messages m ON m.identity = n.identity "
            "CROSS JOIN files f ON f.message = m.id AND f.folder = ? WHERE n.id = ?",
            (self.folder(path)[0], message),
        ).fetchone()
        return int(row[0])

    def _insert_file(self, spot: _Spot, message: int, base: str, copy: int) -> int:
        cursor = self._sql.execute(
            "INSERT INTO files (folder, message, copy, base, internaldate, flags) VALUES (?, ?, ?, ?, ?, ?)",
            (self.folder(spot.path)[0], message, copy, base, spot.internaldate, self._catalogue.flags.write(spot.flags)),
        )
        return int(cursor.lastrowid or 0)


def _storable(text: str) -> str:
    """Make text that SQLite can hold: half a surrogate pair is no character."""
    return text.encode("utf-8", "replace").decode("utf-8")
