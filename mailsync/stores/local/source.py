"""Files on this computer as the `Source` of `stores.base`: each mailbox is read in full when its
files changed, and each message is read again, and proved, when it is fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from mailsync.errors import MailboxError, MailboxMissing, Unreachable
from mailsync.mapping import MappingRules, by_rule, show, usual_role
from mailsync.model import (
    Entry,
    KeyRef,
    Mailbox,
    MailboxPath,
    Message,
    Scan,
    ScanRequest,
    SyncState,
    Unfetched,
)
from mailsync.progress import Progress
from mailsync.stores.local.folder import (
    CannotRead,
    Folder,
    Found,
    LeftOut,
    Unreadable,
    mark_of,
)

_SEEN: Final = frozenset({"\\Seen"})


class LocalSource:
    """The mailboxes of some files; `open_folders` finds them, and raises OSError.

    `whole` gives the mark that all folders have in common, where they have one, without finding
    them. Folders that are given one name are one mailbox. `unmarked` are the flags of messages of
    which the files do not tell any; `passed_over` names files that look like mail and are not read.
    """

    def __init__(
        self,
        account: str,
        open_folders: Callable[[], Sequence[Folder]],
        progress: Progress,
        *,
        whole: Callable[[], int | None] = lambda: None,
        rules: Mapping[MailboxPath, MailboxPath] | None = None,
        unmarked: frozenset[str] = _SEEN,
        passed_over: Sequence[str] = (),
    ) -> None:
        self.account = account
        self._open = open_folders
        self._whole = whole
        self._progress = progress
        self._rules = MappingRules(rules or {})
        self._unmarked = unmarked
        self._passed_over = passed_over
        self._folders: dict[MailboxPath, list[Folder]] | None = None
        self._rebuilt: set[KeyRef] = set()
        self._listed: list[Mailbox] = []

    def capabilities(self) -> Sequence[str]:
        """Return none; but see that the files are there. Raises Unreachable."""
        self._found()
        return ()

    def mailboxes(self) -> Sequence[Mailbox]:
        """List the mailboxes in the order in which they were found. Raises Unreachable."""
        taken: set[str] = set()
        return [self._listed_as(path, folders, taken) for path, folders in self._found().items()]

    def unreadable(self) -> Sequence[str]:
        """Return the files that look like mail and are not read."""
        return self._passed_over

    def shows_a_selection(self) -> bool:
        """Say that files are what somebody handed over."""
        return True

    def mark(self) -> int | None:
        """Return the mark that every mailbox has, where all of them are read at once."""
        try:
            mark = self._whole()
        except OSError as error:
            raise Unreachable(self.account, _words(error)) from error
        return None if mark is None else mark_of([mark])

    def close(self) -> None:
        """Forget what was found."""
        self._folders = None

    def scan(self, requests: Iterable[ScanRequest]) -> Iterator[Scan | MailboxError]:
        """Read each mailbox in turn, always in full."""
        for request in requests:
            path = request.mailbox.path
            folders = self._found().get(path)
            if not folders:
                yield MailboxMissing(
                    self.account, path, f"there is no mailbox {show(path)} any more"
                )
                continue
            try:
                yield self._look(request.mailbox, folders)
            except OSError as error:
                yield MailboxError(self.account, path, _words(error))

    def fetch(self, wanted: Iterable[Entry]) -> Iterator[Message | Unfetched]:
        """Read each message; one that is not as it was when it was listed does not come."""
        for entry in wanted:
            yield self._read(entry)

    def _found(self) -> dict[MailboxPath, list[Folder]]:
        if self._folders is None:
            found: dict[MailboxPath, list[Folder]] = {}
            try:
                for folder in self._open():
                    own = folder.path
                    path = by_rule(own, self._rules) or own
                    found.setdefault(path, []).append(folder)
            except (OSError, CannotRead) as error:
                raise Unreachable(self.account, _words(error)) from error
            self._folders = found
        return self._folders

    def _listed_as(self, path: MailboxPath, folders: Sequence[Folder], taken: set[str]) -> Mailbox:
        """Return a mailbox as it is listed; of several that are called like one role the first has
        it.
        """
        try:
            state = SyncState(0, 0, 0, _mark(folders))
        except OSError:
            # The scan will say what is wrong.
            state = None
        roles = {role for role in (usual_role(path),) if role is not None and role not in taken}
        taken |= roles
        return Mailbox(path, frozenset(roles), subscribed=True, state=state)

    def _look(self, mailbox: Mailbox, folders: Sequence[Folder]) -> Scan:
        """Read the folders of a mailbox. Raises OSError."""
        before = _mark(folders)
        self._progress.expect(0, sum(folder.size for folder in folders))
        found: list[Found] = []
        unlisted: list[str] = []
        for number, folder in enumerate(folders):
            for each in folder.look(lambda octets: self._progress.advance(0, octets)):
                if isinstance(each, Found):
                    found.append(replace(each, place=(number, *each.place)))
                elif isinstance(each, Unreadable):
                    unlisted.append(str(each))
                else:
                    self._tell(mailbox, each)
        if _mark(folders) != before:
            unlisted.append("its files were changed while they were read; the next run reads them")
        entries = self._entries(mailbox.path, found)
        state = SyncState(0, 0, len(entries) + len(unlisted), before)
        return Scan(mailbox, state, entries, unlisted=tuple(unlisted))

    def _entries(self, path: MailboxPath, found: Sequence[Found]) -> tuple[Entry, ...]:
        told: dict[bytes, int] = {}
        entries = []
        for each in found:
            flags = self._unmarked if each.flags is None else each.flags
            number = told[each.key] = told.get(each.key, 0) + 1
            # A mailbox may hold the same message several times.
            key = each.key if number == 1 else b"%b/%d" % (each.key, number)
            ref = KeyRef(path, key, each.place)
            entries.append(Entry(ref, each.size, flags, each.internaldate))
            if each.rebuilt:
                self._rebuilt.add(ref)
        return tuple(entries)

    def _tell(self, mailbox: Mailbox, left: LeftOut) -> None:
        self._progress.note(f"{show(mailbox.path)}: {left.messages:,} {left.why}")

    def _read(self, entry: Entry) -> Message | Unfetched:
        ref = entry.ref
        folders = self._found().get(ref.mailbox, [])
        if not isinstance(ref, KeyRef) or not ref.place or ref.place[0] >= len(folders):
            return Unfetched(entry, "there is no such message in these files")
        try:
            content = folders[ref.place[0]].read(ref.place[1:], ref.key)
            return Message(entry, content, rebuilt=ref in self._rebuilt)
        except FileNotFoundError:
            return Unfetched(entry, "its file was removed meanwhile", expunged=True)
        except (OSError, CannotRead) as error:
            return Unfetched(entry, _words(error))


def _mark(folders: Sequence[Folder]) -> int:
    return mark_of([folder.mark() for folder in folders])


def _words(error: OSError | CannotRead) -> str:
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if error.filename else ""
        return f"{name}{error.strerror}"
    return str(error)
