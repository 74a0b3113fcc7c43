"""Putting contents into the tree and the catalogue together: what is stored, linked, mended,
adopted or taken out. One writer's view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailsync.archive.catalogue import Catalogue, FileRow, FileState
from mailsync.archive.storage.base import Located, Origin, Removing, Storage
from mailsync.archive.storage.disk import is_of_the_reader
from mailsync.archive.stored_as import StoredAs
from mailsync.formats import header, maildir
from mailsync.formats.folders import folder_name
from mailsync.identity import Fingerprint, fingerprint
from mailsync.model import MailboxPath


@dataclass(frozen=True, slots=True)
class Stowed:
    """Where a content lies now: its file, the digest of what that file holds, whether it was new or
    mended a damage.
    """

    file: int
    digest: bytes
    new: bool
    mended: bool = False
    collides: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where in the tree a content goes, and how it is named there."""

    path: MailboxPath
    internaldate: int
    flags: frozenset[str]


class ContentStore:
    """Stores contents for one run; `dedupe` is `message-id`, `exact` or `none`."""

    def __init__(
        self,
        catalogue: Catalogue,
        tree: Storage,
        dedupe: str,
        run: int,
    ) -> None:
        self._catalogue = catalogue
        self._tree = tree
        self._dedupe = dedupe
        self._run = run
        self._stored_as = StoredAs(catalogue, tree, dedupe)
        self._folders: dict[MailboxPath, tuple[int, str]] = {}

    def folder(self, path: MailboxPath) -> tuple[int, str]:
        """Return a mailbox's folder as (row, name), made when missing."""
        known = self._folders.get(path)
        if known is None:
            found = self._catalogue.folders.find(path)
            if found is None:
                name = self._tree.make_folder(
                    path, hashed=self._catalogue.folders.clashes(folder_name(path))
                )
                found = (self._catalogue.folders.make(path, name), name)
            else:
                self._tree.make_folder(path, recorded=found[1])
            known = self._folders[path] = found
        return known

    def is_home(self, path: MailboxPath, name: str) -> bool:
        """Return whether a folder found in the tree is that of a mailbox; a mailbox without one in
        the catalogue takes it.
        """
        found = self._catalogue.folders.find(path)
        if found is None:
            found = self._folders[path] = (self._catalogue.folders.make(path, name), name)
        return found[1] == name

    def stow(
        self,
        path: MailboxPath,
        received: tuple[bytes, Fingerprint],
        internaldate: int,
        flags: frozenset[str],
        held: int | None = None,
    ) -> Stowed:
        """Store a content in a mailbox's folder, or find that the message is there; durable only
        after the storage's `sync`.

        `held` is the file of the placement this content was fetched for, if it has one: with `none`
        it is that placement's alone.
        """
        content, print_ = received
        digest = print_.digest
        spot = _Spot(path, internaldate, flags)
        found = self._stored_as.find(print_)
        if found.lost:
            return self._succeed(spot, found.lost, content, print_)
        if found.stored is None:
            file = self._write(
                spot, self._record(print_, len(content)), digest, content, first=not found.variant
            )
            return Stowed(file, digest, new=True, collides=found.collides)
        message, stored_digest = found.stored
        stowed = self._put(spot, message, stored_digest, held)
        if stowed is not None:
            return stowed
        if stored_digest != digest:
            return self._succeed(spot, [message], content, print_)
        mended = self._mend(message, digest, content)
        here = self._here(path, message, held)
        return Stowed(
            here[0].id if here else self._write(spot, message, digest, content),
            digest,
            new=not mended,
            mended=mended,
        )

    def place(
        self, path: MailboxPath, digest: bytes, internaldate: int, flags: frozenset[str]
    ) -> int | None:
        """Put a stored content into a mailbox's folder as well; None when no sound file holds
        it.
        """
        message = self._catalogue.messages.find(digest)
        if message is None:
            return None
        stowed = self._put(_Spot(path, internaldate, flags), message, digest)
        return None if stowed is None else stowed.file

    def reflag(self, file: int, flags: frozenset[str]) -> None:
        """Make a file's name say these flags."""
        row = self._catalogue.files.get(file)
        self._catalogue.files.set_flags(file, flags)
        self._tree.reflag(row.folder, row.base, flags, row.flags)

    def adopt(self, path: MailboxPath, file: Located, base: str) -> Fingerprint | None:
        """Take in a file that has no row, and return what it is; None if that is not what its name
        says.
        """
        name = maildir.parse(base)
        content = file.read()
        print_ = fingerprint(content)
        if (
            name is None
            or name.size != len(content)
            or name.digest_prefix != print_.digest[: maildir.DIGEST_SHOWN]
        ):
            return None
        message = self._catalogue.messages.find(print_.digest) or self._record(print_, len(content))
        self._insert_file(_Spot(path, name.internaldate, file.flags), message, base, name.copy)
        return print_

    def _claim(self, file: int, flags: frozenset[str]) -> bool:
        """Give a file that no placement surely names the flags of its first one; tells whether it
        was adopted from a run that was killed, which could not say that it is new.
        """
        if self._catalogue.files.is_placed(file):
            return False
        known = self._catalogue.files.is_known(file)
        self.reflag(file, flags)
        return not known

    def _record(self, print_: Fingerprint, size: int) -> int:
        shown = (header.text(print_.subject), header.text(print_.sender))
        return self._catalogue.messages.insert(print_, size, shown, self._run)

    def _write(
        self, spot: _Spot, message: int, digest: bytes, content: bytes, *, first: bool = False
    ) -> int:
        """Start writing a content; `first` says that no file of this message can be in the
        folder.
        """
        copy = 1 if first else self._next_copy(spot.path, message)
        base = maildir.name(spot.internaldate, digest, len(content), copy)
        file = self._insert_file(spot, message, base, copy)
        self._tree.write(self.folder(spot.path)[1], base, content, spot.flags)
        return file

    def _put(
        self, spot: _Spot, message: int, digest: bytes, held: int | None = None
    ) -> Stowed | None:
        """See to it that a stored content has a sound file in a folder, out of the tree alone; None
        when no file of it is sound.
        """
        here = self._here(spot.path, message, held)
        for file in here:
            if self._is_sound(file, digest):
                return Stowed(file.id, digest, new=self._claim(file.id, spot.flags))
        mine = {file.id for file in here}
        others = (file for file in self._catalogue.files.of(message) if file.id not in mine)
        source = next((file for file in others if self._is_sound(file, digest)), None)
        if source is None:
            return None
        origin = Origin(source.folder, source.base, source.flags)
        if here:
            self._set_aside(here[0])
            self._tree.copy(origin, here[0].folder, here[0].base, here[0].flags)
            self._catalogue.files.mark(here[0].id, FileState.SOUND)
            return Stowed(here[0].id, digest, new=False, mended=True)
        size = self._catalogue.messages.size(message)
        copy = self._next_copy(spot.path, message)
        base = maildir.name(spot.internaldate, digest, size, copy)
        self._tree.copy(origin, self.folder(spot.path)[1], base, spot.flags)
        return Stowed(self._insert_file(spot, message, base, copy), digest, new=False)

    def _here(self, path: MailboxPath, message: int, held: int | None) -> list[FileRow]:
        """Return the files of a content in a folder that one more placement may use, sound ones
        first.

        With `none` a placement has a file to itself: the one it had, or one that a killed run left
        without a placement.
        """
        files = self._catalogue.files.of(message, folder=self.folder(path)[0])
        if self._dedupe != "none":
            return files
        return [file for file in files if file.id == held] or [
            file for file in files if not self._catalogue.files.is_placed(file.id)
        ]

    def _is_sound(self, file: FileRow, digest: bytes) -> bool:
        """Hash a file unless its damage is known or it was written just now; what is found damaged
        is marked.
        """
        if not file.sound or self._tree.is_waiting(file.folder, file.base):
            return file.sound
        if self._holds(file, digest):
            return True
        self._catalogue.files.mark(file.id, FileState.DAMAGED)
        return False

    def _holds(self, file: FileRow, digest: bytes) -> bool:
        located = self._tree.locate(file.folder, file.base, file.flags)
        try:
            return located is not None and located.digest() == digest
        except OSError as error:
            if is_of_the_reader(error):
                raise
            # A sector that cannot be read is a damage like any other, and must not stop the rest.
            return False

    def _mend(self, message: int, digest: bytes, content: bytes) -> bool:
        """Put good content in the place of every damaged file of a message; what was damaged goes
        to quarantine.
        """
        damaged = [file for file in self._catalogue.files.of(message) if not file.sound]
        for file in damaged:
            # It is sound when a run was killed between mending it and saying so.
            if not self._holds(file, digest):
                self._set_aside(file)
                self._tree.write(file.folder, file.base, content, file.flags)
            self._catalogue.files.mark(file.id, FileState.SOUND)
        return bool(damaged)

    def _succeed(
        self, spot: _Spot, lost: Sequence[int], content: bytes, print_: Fingerprint
    ) -> Stowed:
        """Let a content take the place of others of the same message that are damaged: their files,
        and so their placements, are its.
        """
        message = self._catalogue.messages.find(print_.digest) or self._record(print_, len(content))
        damaged = [file for one in lost for file in self._catalogue.files.of(one) if not file.sound]
        for file in damaged:
            self._set_aside(file)
            date, copy = self._catalogue.files.name_parts(file.id)
            base = maildir.name(date, print_.digest, len(content), copy)
            self._catalogue.files.set_content(file.id, message, base)
            self._tree.write(file.folder, base, content, file.flags)
        here = self._here(spot.path, message, None)
        place = here[0].id if here else self._write(spot, message, print_.digest, content)
        return Stowed(place, print_.digest, new=not damaged, mended=bool(damaged))

    def _set_aside(self, file: FileRow) -> None:
        located = self._tree.locate(file.folder, file.base, file.flags)
        if located is not None:
            located.set_aside("its content no longer had the SHA-256 of its name")

    def _next_copy(self, path: MailboxPath, message: int) -> int:
        """Return the next number among the copies of one message in a folder; only `exact` and
        `none` keep several.
        """
        return self._catalogue.messages.next_copy(message, self.folder(path)[0])

    def _insert_file(self, spot: _Spot, message: int, base: str, copy: int) -> int:
        return self._catalogue.files.insert(
            self.folder(spot.path)[0], message, copy, base, spot.internaldate, spot.flags
        )


def remove_condemned(catalogue: Catalogue, tree: Storage) -> None:
    """Remove what is condemned, files first, then their rows; the caller commits."""
    files = catalogue.files.condemned()
    # Nothing is condemned where nothing can be removed.
    if isinstance(tree, Removing):
        tree.remove((file.folder, file.base) for file in files)
    catalogue.files.remove(files)
