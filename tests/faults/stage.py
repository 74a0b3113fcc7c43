"""One archive before, during and after a piece of work that something stops: what was done before, and what it is in the end."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mailsync.archive import Archive
from mailsync.archive.safekeeping import COPY
from mailsync.formats import mboxrd
from mailsync.formats.mboxrd import Record
from mailsync.model import Letter, MailboxPath, SyncState
from mailsync.progress import Silence
from tests.faults.step_child import WORKS
from tests.letters import plain
from tests.unit.engine.rig import ACCOUNT, Rig

PREPARED: Final[dict[str, tuple[str, ...]]] = {
    "pull_first": (),
    "pull_by_a_process": (),
    "pull_later": ("pull_first",),
    "mend": ("pull_first", "rot"),
    "push": ("pull_first",),
    "prune": ("pull_first", "pull_later"),
    "index without a catalogue": ("pull_first", "lose"),
    "index from a copy": ("pull_first", "pull_later", "spoil"),
    "index of a sound one": ("pull_first", "pull_later"),
}
"""Every work, and what was done before it."""

MBOX: Final = tuple(f"mbox {name}" for name in PREPARED if name not in {"pull_by_a_process", "prune", "mend"})
"""Works on an archive kept as mbox; nothing is pruned there, no process writes it, and its letters have no file to rot."""

ROTTEN: Final = 3
"""The letter whose file rots."""


@dataclass(frozen=True, slots=True)
class End:
    """What an archive holds in the end, as far as people and programs can tell."""

    tree: dict[str, object]
    letters: dict[MailboxPath, list[Letter]]
    states: dict[MailboxPath, SyncState | None]
    ledger: int
    quarantined: frozenset[bytes]


def held(path: Path) -> object:
    """What a file holds: its octets, or, of an mbox, which letters, each as often as it is there; their order is that of arrival."""
    content = path.read_bytes()
    if path.suffix != ".mbox":
        return content
    parts = list(mboxrd.scan(content))
    assert all(isinstance(part, Record) for part in parts), parts
    return sorted((one.digest, mboxrd.read(one, content[one.body : one.body + one.length])) for one in parts if isinstance(one, Record))


class Stage:
    """An archive prepared for a work, and laid out in `place` as often as wanted."""

    def __init__(self, folder: Path, name: str, place: Path | None = None) -> None:
        self.container = "mbox" if name.startswith("mbox ") else "maildir"
        self.name = name = name.removeprefix("mbox ")
        self.work = {"mend": "pull_first"}.get(name, name.partition(" ")[0])
        self.archive = (place or folder) / "archive"
        self.prepared = folder / "prepared"
        self.prepared.mkdir(parents=True)
        for done in PREPARED[name]:
            if done in WORKS:
                WORKS[done](self.prepared, self.container)
            else:
                getattr(self, f"_{done}")()

    def _rot(self) -> None:
        rig = Rig(self.prepared)
        rig.damage(plain(ROTTEN))
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

    def go(self) -> None:
        """Do the work, in this process."""
        WORKS[self.work](self.archive, self.container)

    def judge_in_between(self) -> None:
        """Nothing half-written is believed by whoever opens the archive next."""
        if self.work == "index" or not (self.archive / "catalogue.sqlite3").exists():
            return
        with Rig(self.archive, container=self.container).archive() as archive:
            damages = [damage for damage in archive.verify(Silence()) if damage.damaged]
            assert len(damages) <= (self.name == "mend"), damages
            for box in archive.mailboxes(ACCOUNT):
                for letter in archive.letters(ACCOUNT, box.path, include_gone=True):
                    if not damages:
                        archive.content(letter.digest)

    def end(self) -> End:
        mail = self.archive / "mail"
        tree = {str(path.relative_to(mail)): held(path) for path in mail.rglob("*") if path.is_file()}
        with Archive.read(self.archive) as archive:
            assert list(archive.verify(Silence())) == []
            boxes = [box.path for box in archive.mailboxes(ACCOUNT)]
            # A run that was stopped is a run more, so its number does not count.
            letters = {path: [replace(one, gone_run=None) for one in archive.letters(ACCOUNT, path, include_gone=True)] for path in boxes}
            states = {path: archive.memory(ACCOUNT).state(path) for path in boxes}
            ledger = archive._catalogue.sql.execute("SELECT count(*) FROM ledger WHERE state = 'sent'").fetchone()[0]
        quarantine = self.archive / "quarantine"
        # Between two directories a power cut may leave a file in both, and then it is set aside once more.
        aside = frozenset(path.read_bytes() for path in quarantine.glob("*.mailsync,*"))
        return End(tree, letters, states, ledger, aside)
