"""Pieces of work on an archive, and a process that does them: `python -m tests.faults.step_child`,
the seam (`seam.c`) loaded.

It reads an order a line (`Order`, as JSON), gives each to a child of its own, which may die of it,
and answers with what became of that child (`Outcome`). The source is in memory and made anew, the
same each time; the destination outlives the processes.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from mailsync import exit_codes
from mailsync.archive import ServerOf, group_commit, reindex
from mailsync.archive.storage import writers
from mailsync.engine.pull import pull
from mailsync.engine.push import AnnouncedProgress, StreamingPush, streaming_push
from mailsync.engine.report import Report
from mailsync.engine.selection import Selection
from mailsync.engine.targets import find_targets
from mailsync.errors import MailsyncError
from mailsync.mapping import MappingRules
from mailsync.model import INBOX, MailboxPath
from mailsync.progress import Silence
from mailsync.stores.local import mbox
from mailsync.stores.local.source import LocalSource
from mailsync.stores.memory import MemoryBox, MemoryMaildrop, MemoryServer, MemoryStore
from tests.messages import plain
from tests.unit.engine.rig import ACCOUNT, Rig

WORK: Final[MailboxPath] = ("Work",)
LISTS: Final[MailboxPath] = ("Lists", "x" * 250)
FAR: Final = 4_000_000_000
"""A time after all runs."""

ERROR: Final = 99
"""The exit status of a child that failed in a way nobody should see."""


class Lasting(MemoryServer):
    """A server whose mailboxes lie in a file before it says so: it knows nothing of the death of
    its clients.
    """

    def __init__(self, file: Path, *, uidplus: bool = True) -> None:
        self._file: Path | None = None
        super().__init__(uidplus=uidplus)
        if os.access(file, os.R_OK):
            self.boxes = pickle.loads(file.read_bytes())
            self._numbers = itertools.count(max(box.uidvalidity for box in self.boxes.values()) + 1)
        self._file = file

    def make(self, path: MailboxPath, *attributes: str, subscribed: bool = False) -> MemoryBox:
        box = super().make(path, *attributes, subscribed=subscribed)
        self._save()
        return box

    def deliver(
        self,
        path: MailboxPath,
        content: bytes,
        *flags: str,
        internaldate: int = 1_400_000_000,
        object_id: str | None = None,
    ) -> int:
        uid = super().deliver(path, content, *flags, internaldate=internaldate, object_id=object_id)
        self._save()
        return uid

    def flag(self, path: MailboxPath, uid: int, *flags: str) -> None:
        super().flag(path, uid, *flags)
        self._save()

    def _save(self) -> None:
        if self._file is not None:
            fresh = self._file.with_suffix(".new")
            fresh.write_bytes(pickle.dumps(self.boxes))
            fresh.replace(self._file)


def at_first() -> MemoryServer:
    """Ten messages in three mailboxes, one of them in two, with flags and keywords."""
    server = MemoryServer(condstore=True)
    for number in range(6):
        server.deliver(
            INBOX, plain(number), *(("\\Seen",) if number % 2 else ("work", "\\Flagged"))
        )
    for number in range(4, 7):
        server.deliver(WORK, plain(number), "\\Seen")
    server.deliver(LISTS, plain(50))
    return server


def later() -> MemoryServer:
    """The same server after a day: messages came, left, moved, changed their flags; a mailbox has
    another name.
    """
    server = at_first()
    first, second, third, *_ = sorted(server.boxes[INBOX].messages)
    server.flag(INBOX, first, "\\Seen", "\\Answered", "later")
    server.expunge(INBOX, second)
    server.move(INBOX, third, WORK)
    server.deliver(INBOX, plain(20))
    server.deliver(INBOX, plain(21).replace(b"mx.example.org", b"mx2.example.org", 1), "new")
    server.deliver(("News",), plain(21))
    server.rename(LISTS, ("Old", "Lists"))
    return server


FILES: Final = "files.mbox"
"""What an import brings."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a work is done: an archive, what it is kept as, and the file of the destination's
    mailboxes.
    """

    directory: Path
    container: str
    server: Path

    def rig(self, old: MemoryServer | None = None, *, uidplus: bool = True) -> Rig:
        return Rig(
            self.directory,
            old or MemoryServer(),
            Lasting(self.server, uidplus=uidplus),
            container=self.container,
        )


def pull_first(place: Place) -> None:
    """Bring all there is."""
    place.rig(at_first()).pull()


def pull_by_a_process(place: Place) -> None:
    """Bring all there is, the files written by a process of its own."""
    much = writers.MUCH
    writers.MUCH = 1  # type: ignore[misc]
    try:
        pull_first(place)
    finally:
        writers.MUCH = much  # type: ignore[misc]


def pull_later(place: Place) -> None:
    """Bring what changed."""
    place.rig(later()).pull()


def pop3_first(place: Place) -> None:
    """Bring the inbox of a POP3 server that gives no UIDLs."""
    _pop3(place, at_first())


def pop3_later(place: Place) -> None:
    """Bring what came since."""
    _pop3(place, later())


def _pop3(place: Place, server: MemoryServer) -> None:
    drop = MemoryMaildrop(server, ACCOUNT)
    drop.uidls = False
    place.rig(server).pull(source=drop)


def import_first(place: Place) -> None:
    """Bring what lies in files."""
    _import(place, ServerOf())


def import_into(place: Place) -> None:
    """Bring what lies in files into the archive of an account that has a server."""
    _import(place, ServerOf(files="mbox:///files"))


def lay_files(place: Place) -> None:
    """Write what an import brings, unless it is there."""
    files = place.server.with_name(FILES)
    if not files.exists():
        line = b"From - Thu Nov 25 10:11:12 2021\nStatus: RO\n"
        files.write_bytes(
            b"".join(line + plain(number).replace(b"\r\n", b"\n") + b"\n" for number in range(3, 9))
        )


def _import(place: Place, server: ServerOf) -> None:
    files = place.server.with_name(FILES)
    report = Report("pull", ACCOUNT)
    source = LocalSource(ACCOUNT, lambda: mbox.folders(files), Silence(), rules={("files",): INBOX})
    with place.rig().archive() as archive, archive.pull(ACCOUNT, server) as run:
        pull(source, run, report, Silence())
        run.finish(complete=report.complete, report=report.as_json())


def push(place: Place) -> None:
    """Send all to a server that tells the UIDs."""
    place.rig().push()


def push_untold(place: Place) -> None:
    """Send all to a server that tells no UIDs."""
    place.rig(uidplus=False).push()


def migrate(place: Place) -> None:
    """Pull and push at the same time, each in a thread of its own."""
    rig = place.rig(at_first())
    source, store = MemoryStore(rig.old, ACCOUNT), MemoryStore(rig.new, "new")
    pulled, pushed = Report("pull", ACCOUNT), Report("push", ACCOUNT, store.key)
    with rig.archive() as archive:
        listed = source.mailboxes()
        targets = find_targets(
            archive, ACCOUNT, store.mailboxes(), MappingRules(), Selection(), listed
        )
        with archive.pull(ACCOUNT) as run:
            pushing = archive.push(ACCOUNT, store.key)
            announced = AnnouncedProgress(Silence())
            session = rig.session(pushing, store, pushed)
            push = StreamingPush(session, targets, coming=listed, announced=announced)
            with push:
                pull(source, run, pulled, announced, listed=listed)
                run.finish(complete=pulled.complete, report=pulled.as_json())
        with pushing:
            push.finish()
            pushing.finish(complete=pushed.complete, report=pushed.as_json())


def prune(place: Place) -> None:
    """Take out what left the server."""
    with place.rig().archive() as archive:
        archive.prune(ACCOUNT, FAR, lambda _: True)


def index(place: Place) -> None:
    """Build the catalogue anew."""
    reindex(place.directory, ACCOUNT, by_uid=True, clock=Rig(place.directory).clock)


WORKS: Final[dict[str, Callable[[Place], None]]] = {
    work.__name__: work
    for work in (
        pull_first,
        pull_by_a_process,
        pull_later,
        pop3_first,
        pop3_later,
        import_first,
        import_into,
        push,
        push_untold,
        migrate,
        prune,
        index,
    )
}


@dataclass(frozen=True, slots=True)
class Order:
    """A work to be done, and what is to happen in it: see `seam.c`.

    `shadow` is empty where nothing need be remembered.
    """

    work: str
    directory: str
    container: str
    server: str
    counter: str
    point: int = 0
    event: str = "group"
    shadow: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a child: its exit status, negative for the signal that killed it, and what it
    and its children said.
    """

    status: int
    said: str


def serve() -> None:
    """Do what the orders say until there are no more."""
    begin = ctypes.CDLL(None).seam_begin
    group_commit.GROUP_FILES = 4  # type: ignore[misc]
    streaming_push.REST = 0.005  # type: ignore[misc]
    for line in sys.stdin:
        order = Order(**json.loads(line))
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.setsid()
            signal.alarm(60)
            nothing = os.open(os.devnull, os.O_RDWR)
            for old, new in ((nothing, 0), (nothing, 1), (writing, 2)):
                os.dup2(old, new)
            os.environ.update(
                SEAM_ROOT=order.directory,
                SEAM_COUNTER=order.counter,
                SEAM_POINT=str(order.point),
                SEAM_EVENT=order.event,
            )
            if order.shadow:
                os.environ["SEAM_SHADOW"] = order.shadow
            begin()
            os._exit(_do(order))
        os.close(writing)
        with closing(os.fdopen(reading)) as saying:
            # Until all of its processes have ended.
            said = saying.read()
        _, status = os.waitpid(child, 0)
        print(json.dumps(asdict(Outcome(os.waitstatus_to_exitcode(status), said))), flush=True)


def _do(order: Order) -> int:
    try:
        WORKS[order.work](Place(Path(order.directory), order.container, Path(order.server)))
    except MailsyncError as error:
        os.write(2, str(error).encode())
        return exit_codes.of_error(error)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
        return ERROR
    return 0


if __name__ == "__main__":
    serve()
