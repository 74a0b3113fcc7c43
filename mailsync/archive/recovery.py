"""After a killed run, or with the catalogue lost: bring tree and catalogue to agree on what is
really there.
"""

from __future__ import annotations

from mailsync.archive.catalogue import Catalogue, FileState
from mailsync.archive.content_store import ContentStore, remove_condemned
from mailsync.archive.storage.base import Located, Storage
from mailsync.formats import maildir
from mailsync.model import MailboxPath
from mailsync.progress import Progress, Silence


class Recovery:
    """One look at every folder.

    A killed run leaves an unfinished one in the records; without any run the catalogue is new.
    """

    def __init__(self, catalogue: Catalogue, tree: Storage, dedupe: str) -> None:
        self._catalogue = catalogue
        self._tree = tree
        self._unfinished = catalogue.runs.unfinished()
        run = max(self._unfinished, default=0)
        self._contents = ContentStore(catalogue, tree, dedupe, run)
        self._progress: Progress = Silence()
        self.adopted = self.undelivered = 0
        self.refused: list[Located] = []
        """How many files were taken in, how many of these bear no Received line, and which files
        were not what their names say.
        """

    @property
    def needed(self) -> bool:
        """Whether tree and catalogue may disagree."""
        return bool(self._unfinished) or not self._catalogue.runs.has_any()

    def run(self, now: int, progress: Progress | None = None) -> None:
        """Take in files without a row, mark rows without a file, drop our temporary files, and end
        the runs in the records.
        """
        self._progress = progress or self._progress
        self._catalogue.begin()
        # A prune may have been killed between saying which files go and removing them.
        remove_condemned(self._catalogue, self._tree)
        for folder, path in list(self._tree.folders()):
            # The catalogue's word counts: the file that tells a shortened folder's whole name may
            # be lost.
            path = self._catalogue.folders.path_of(folder) or path  # noqa: PLW2901
            self._tree.clear_leftovers(folder)
            self._reconcile(folder, path)
        for run in self._unfinished:
            self._catalogue.runs.break_off(run, now)
        self._tree.sync()
        self._catalogue.commit()

    def _reconcile(self, folder: str, path: MailboxPath) -> None:
        missing = self._catalogue.files.bases(folder)
        known = set(missing)
        adopted = self.adopted
        for base, file in list(self._tree.walk(folder)):
            missing.pop(base, None)
            if (
                base in known
                or maildir.parse(base) is None
                or not self._contents.is_home(path, folder)
            ):
                continue
            known.add(base)
            size = file.stat().size
            self._progress.expect(1, size)
            print_ = self._contents.adopt(path, file, base)
            if print_ is not None:
                self.adopted += 1
                self.undelivered += not print_.delivered
            else:
                file.set_aside("is not what its name says")
                self.refused.append(file)
            self._progress.advance(1, size)
        # A run killed between setting a damaged file aside and putting a good one in its place.
        for row in missing.values():
            self._catalogue.files.mark(row, FileState.DAMAGED)
        if adopted != self.adopted:
            self._tree.sync_folder(folder)
