"""One archive before, during and after a piece of work that something stops: what was done before,
and what it is in the end.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mailsync.archive import Archive
from mailsync.archive.catalogue import COPY
from mailsync.errors import ArchiveNotFound
from mailsync.formats import mboxrd
from mailsync.formats.mboxrd import Record
from mailsync.model import ArchivedMessage, MailboxPath, SyncState
from mailsync.progress import Silence
from tests.faults.step_child import WORKS, Lasting, Place, lay_files
from tests.messages import plain
from tests.unit.engine.rig import ACCOUNT, Rig

SCRIPTS: Final[dict[str, tuple[str, ...]]] = {
    "pull_first": ("pull_first",),
    "pull_by_a_process": ("pull_by_a_process",),
    "pull_later": ("pull_first", "pull_later"),
    "mend": ("pull_first", "rot", "pull_first"),
    "pop3_first": ("pop3_first",),
    "pop3_later": ("pop3_first", "pop3_later"),
    "import_first": ("import_first",),
    "import_into": ("pull_first", "import_into"),
    "push": ("pull_first", "push"),
    "push_untold": ("pull_first", "push_untold"),
    "push_later": ("pull_first", "push", "pull_later", "push"),
    "migrate": ("migrate",),
    "prune": ("pull_first", "pull_later", "prune"),
    "index without a catalogue": ("pull_first", "lose", "index"),
    "index from a copy": ("pull_first", "pull_later", "spoil", "index"),
    "index of a sound one": ("pull_first", "pull_later", "index"),
}
"""Every work, the last word, and what was done before it."""

MBOX: Final = tuple(
    f"mbox {name}"
    for name in SCRIPTS
    if name
    not in {
        "pull_by_a_process",
        "pop3_first",
        "pop3_later",
        "import_first",
        "import_into",
        "push_untold",
        "push_later",
        "prune",
    }
)
"""Works on an archive kept as mbox: nothing is pruned there, no process writes it, and the others
change the catalogue alone.
"""

ROTTEN: Final = 3
"""The message whose file rots."""


@dataclass(frozen=True, slots=True)
class End:
    """What an archive holds in the end, as far as people and programs can tell."""

    tree: dict[str, object]
    messages: dict[MailboxPath, list[ArchivedMessage]]
    states: dict[MailboxPath, SyncState | None]
    ledger: int
    arrived: dict[MailboxPath, list[tuple[bytes, list[str]]]]
    quarantined: frozenset[bytes]


def held(path: Path) -> object:
    """What a file holds: its octets, or, of an mbox, which messages, each as often as it is there;
    their order is that of arrival.
    """
    content = path.read_bytes()
    if path.suffix != ".mbox":
        return content
    parts = list(mboxrd.scan(content))
    assert all(isinstance(part, Record) for part in parts), parts
    return sorted(
        (one.digest, mboxrd.read(one, content[one.body : one.body + one.length]))
        for one in parts
        if isinstance(one, Record)
    )


class Stage:
    """An archive prepared for a work, and laid out in `place` as often as wanted; with a server
    that messages are sent to.
    """

    def __init__(self, folder: Path, name: str, place: Path | None = None) -> None:
        self.container = "mbox" if name.startswith("mbox ") else "maildir"
        self.name = name.removeprefix("mbox ")
        *before, self.work = SCRIPTS[self.name]
        self.place = Place((place or folder) / "archive", self.container, folder / "server")
        self.archive, self.server = self.place.directory, self.place.server
        self.prepared, self.prepared_server = folder / "prepared", folder / "prepared-server"
        self.prepared.mkdir(parents=True)
        for done in before:
            if done in WORKS:
                WORKS[done](Place(self.prepared, self.container, self.prepared_server))
            else:
                getattr(self, f"_{done}")()

    @property
    def is_new(self) -> bool:
        """Whether there is nothing before the work."""
        return len(SCRIPTS[self.name]) == 1

    def _rot(self) -> None:
        if self.container == "mbox":
            file, message = self.prepared / "mail/INBOX.mbox", plain(ROTTEN).replace(b"\r\n", b"\n")
            content = file.read_bytes()
            at = content.index(message) + len(message) - 5
            file.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        else:
            Rig(self.prepared).damage(plain(ROTTEN))
        with Archive.read(self.prepared) as archive:
            assert len(list(archive.verify(Silence()))) == 1

    def _lose(self) -> None:
        for path in self.prepared.glob("catalogue*"):
            path.unlink()

    def _spoil(self) -> None:
        assert (self.prepared / COPY).exists()
        (self.prepared / "catalogue.sqlite3").write_bytes(b"rubbish" * 1000)

    def set_up(self) -> None:
        shutil.rmtree(self.archive, ignore_errors=True)
        # As a program would have left it, hard links included.
        subprocess.run(["cp", "-a", self.prepared, self.archive], check=True)
        self.server.unlink(missing_ok=True)
        if self.prepared_server.exists():
            shutil.copyfile(self.prepared_server, self.server)
        lay_files(self.place)  # before who does the work is somebody who may not

    def go(self) -> None:
        """Do the work, in this process."""
        WORKS[self.work](self.place)

    def look_in_between(self) -> None:
        """Nothing half-written is shown by commands that only read, before anybody mends
        anything."""
        if self.work == "index":
            return
        with contextlib.suppress(ArchiveNotFound), Archive.read(self.archive) as archive:
            self._prove(archive)

    def judge_in_between(self) -> None:
        """Nothing half-written is believed by whoever opens the archive next."""
        if self.work == "index" or not (self.archive / "catalogue.sqlite3").exists():
            return
        with self.place.rig().archive() as archive:
            self._prove(archive)

    def _prove(self, archive: Archive) -> None:
        damages = [damage for damage in archive.verify(Silence()) if damage.damaged]
        assert len(damages) <= (self.name == "mend"), damages
        for box in archive.mailboxes(ACCOUNT):
            for message in archive.messages(ACCOUNT, box.path, include_gone=True):
                if not damages:
                    archive.content(message.digest)

    def end(self) -> End:
        mail = self.archive / "mail"
        tree = {
            str(path.relative_to(mail)): held(path) for path in mail.rglob("*") if path.is_file()
        }
        with Archive.read(self.archive) as archive:
            assert list(archive.verify(Silence())) == []
            boxes = [box.path for box in archive.mailboxes(ACCOUNT)]
            # A run that was stopped is a run more, so its number does not count.
            messages = {
                path: [
                    replace(one, gone_run=None)
                    for one in archive.messages(ACCOUNT, path, include_gone=True)
                ]
                for path in boxes
            }
            states = {path: archive.last_known(ACCOUNT).state(path) for path in boxes}
            ledger = archive._catalogue.sql.execute(
                "SELECT count(*) FROM ledger WHERE state = 'sent'"
            ).fetchone()[0]
        quarantine = self.archive / "quarantine"
        # Between two directories a power cut may leave a file in both, and then it is set aside
        # once more.
        aside = frozenset(path.read_bytes() for path in quarantine.glob("*.mailsync,*"))
        boxes_there = Lasting(self.server).boxes if self.server.exists() else {}
        arrived = {
            path: sorted(
                (message.content, sorted(message.flags)) for message in box.messages.values()
            )
            for path, box in boxes_there.items()
        }
        return End(tree, messages, states, ledger, arrived, aside)
