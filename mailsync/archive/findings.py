"""Writing down what was found of an archive while it was read: files that are damaged, or sound
again, and mailboxes that a server shows otherwise.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, closing
from pathlib import Path

from mailsync.archive.catalogue import Catalogue, FileState
from mailsync.archive.storage.disk import disk_errors_translated
from mailsync.archive.storage.lock import Lock
from mailsync.errors import ArchiveError
from mailsync.model import MailboxPath


class Findings:
    """Writes as the writer of an archive does where it is that, else only if it may and nobody else
    is writing: nothing is lost that would not be found again.
    """

    def __init__(
        self, directory: Path, catalogue: Catalogue, turn: AbstractContextManager[None] | None
    ) -> None:
        """Write to `catalogue` within a `turn`; without one it is open for reading only."""
        self._directory = directory
        self._catalogue = catalogue
        self._turn = turn

    def mark(self, marks: Collection[tuple[int, FileState]]) -> None:
        """Write down what was found of files, by their rows."""

        def write(catalogue: Catalogue) -> None:
            for file, state in marks:
                catalogue.files.mark(file, state)

        if marks:
            self._note(write)

    def doubt(self, account: str, mailboxes: Collection[MailboxPath]) -> None:
        """Have the next pull look at all of these mailboxes again, whatever their counters say."""
        row = self._catalogue.accounts.find(account)
        if row is not None and mailboxes:
            self._note(lambda catalogue: catalogue.mailboxes.drop_states(row, mailboxes))

    def _note(self, write: Callable[[Catalogue], None]) -> None:
        if self._turn is not None:
            with self._turn:
                _write(self._catalogue, write)
            return
        with contextlib.suppress(ArchiveError), closing(Lock(self._directory)):
            with disk_errors_translated(self._directory):
                catalogue = Catalogue.open(self._directory, writing=True)
            with closing(catalogue):
                _write(catalogue, write)


def _write(catalogue: Catalogue, write: Callable[[Catalogue], None]) -> None:
    # Within a run it is part of it: its messages must not be committed before their files are in
    # place.
    running = catalogue.in_transaction
    catalogue.begin()
    write(catalogue)
    if not running:
        catalogue.commit()
