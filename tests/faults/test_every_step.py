"""Death at every step: whichever call that changes the disk is the last one, the archive is sound, and the next run ends as if nothing
had happened. Also when the power goes: then all is lost that no fsync had made durable.

The seam (`seam.c`) sits between the process and the system; it sees Python's calls and SQLite's alike, in all threads and processes.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from mailsync.archive import Archive
from mailsync.archive.safekeeping import COPY
from mailsync.model import Letter, MailboxPath, SyncState
from mailsync.progress import Silence
from tests.faults.step_child import WORKS
from tests.letters import plain
from tests.unit.engine.rig import ACCOUNT, Rig

ROOT: Final = Path(__file__).parents[2]
SAMPLE: Final = 8
"""Points tried of each work in a plain run."""

PREPARED: Final = {
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
"""What was done before each work."""

ROTTEN: Final = 3
"""The letter whose file rots."""


def doing(name: str) -> str:
    return {"mend": "pull_first"}.get(name, name.partition(" ")[0])


@dataclass(frozen=True, slots=True)
class End:
    """What an archive holds in the end, as far as people and programs can tell."""

    tree: dict[str, bytes]
    letters: dict[MailboxPath, list[Letter]]
    states: dict[MailboxPath, SyncState | None]
    ledger: int
    quarantined: int


@pytest.fixture(scope="session")
def seam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("seam") / "seam.so"
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler, "no C compiler: apt-get install gcc libc6-dev (scripts/test does it when run as root)"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, Path(__file__).with_name("seam.c"), "-ldl"], check=True)
    return library


class Stage:
    """One archive, before, at and after a death."""

    def __init__(self, folder: Path, seam: Path, name: str) -> None:
        self.folder, self.seam, self.name = folder, seam, name
        self.archive = folder / "archive"
        self.prepared = folder / "prepared"
        self.prepared.mkdir(parents=True)
        for done in PREPARED[name]:
            if done in WORKS:
                WORKS[done](self.prepared)
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
        # As a program would have left it: inodes stay what they are, and hard links with them.
        subprocess.run(["cp", "-a", self.prepared, self.archive], check=True)

    def run(self, last: int, shadow: Path | None = None) -> tuple[int, int]:
        """Let a process do the work and die before call number `last` (0: never); gives its exit status and how many calls it made."""
        counter = self.folder / "counter"
        counter.write_bytes(bytes(8))
        environment = {
            **os.environ,
            "LD_PRELOAD": str(self.seam),
            "SEAM_ROOT": str(self.archive),
            "SEAM_COUNTER": str(counter),
            "SEAM_KILL": str(last),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        if shadow:
            shadow.mkdir()
            environment["SEAM_SHADOW"] = str(shadow)
        command = [sys.executable, "-m", "tests.faults.step_child", str(self.archive), doing(self.name)]
        done = subprocess.run(command, env=environment, start_new_session=True, capture_output=True, timeout=60, check=False)
        assert done.returncode in {0, -signal.SIGKILL}, done.stderr.decode()
        return done.returncode, struct.unpack("=Q", counter.read_bytes())[0]

    def go_on(self) -> None:
        WORKS[doing(self.name)](self.archive)

    def judge_in_between(self) -> None:
        """Nothing half-written is believed by whoever opens the archive next."""
        if doing(self.name) == "index" or not (self.archive / "catalogue.sqlite3").exists():
            return
        with Rig(self.archive).archive() as archive:
            damages = [damage for damage in archive.verify(Silence()) if damage.damaged]
            allowed = 1 if self.name == "mend" else 0
            assert len(damages) <= allowed, damages
            for box in archive.mailboxes(ACCOUNT):
                for letter in archive.letters(ACCOUNT, box.path, include_gone=True):
                    if not damages:
                        archive.content(letter.digest)

    def end(self) -> End:
        mail = self.archive / "mail"
        tree = {str(path.relative_to(mail)): path.read_bytes() for path in mail.rglob("*") if path.is_file()}
        with Archive.read(self.archive) as archive:
            assert list(archive.verify(Silence())) == []
            boxes = [box.path for box in archive.mailboxes(ACCOUNT)]
            letters = {path: [comparable(one) for one in archive.letters(ACCOUNT, path, include_gone=True)] for path in boxes}
            states = {path: archive.memory(ACCOUNT).state(path) for path in boxes}
            ledger = archive._catalogue.sql.execute("SELECT count(*) FROM ledger WHERE state = 'sent'").fetchone()[0]
        quarantine = self.archive / "quarantine"
        return End(tree, letters, states, ledger, len(list(quarantine.glob("*.mailsync,*"))) if quarantine.exists() else 0)


def comparable(letter: Letter) -> Letter:
    """A letter without the number of the run that found it gone: a death makes one run more."""
    return replace(letter, gone_run=None)


class Durable:
    """What the disk holds for certain: the state before, and what each fsync added."""

    def __init__(self, root: Path) -> None:
        self.root = root.stat().st_ino
        self.files: dict[int, bytes] = {}
        self.folders: dict[int, list[tuple[str, int, str]]] = {}
        for folder, _, names in os.walk(root):
            with os.scandir(folder) as entries:
                listed = [("d" if entry.is_dir(follow_symlinks=False) else "f", entry.inode(), entry.name) for entry in entries]
            self.folders[Path(folder).stat().st_ino] = listed
            for name in names:
                path = Path(folder, name)
                self.files[path.stat().st_ino] = path.read_bytes()

    def learn(self, shadow: Path) -> None:
        """Take in what the seam wrote down."""
        log = shadow / "log"
        for line in log.read_text().splitlines() if log.exists() else ():
            kind, inode, number = line.split()
            if kind == "C":
                self.files[int(inode)] = b""
                continue
            kept = (shadow / f"{inode}.{number}").read_bytes()
            if kind == "F":
                self.files[int(inode)] = kept
            else:
                parts = [entry.split(" ", 2) for entry in os.fsdecode(kept).split("\0") if entry]
                self.folders[int(inode)] = [(kind_, int(number_), name) for kind_, number_, name in parts]

    def lay(self, place: Path) -> None:
        """Make a tree of it."""
        self._lay(place, self.root, {})

    def _lay(self, place: Path, inode: int, made: dict[int, Path]) -> None:
        place.mkdir(mode=0o700)
        for kind, number, name in self.folders.get(inode, []):
            path = place / name
            if kind == "d":
                self._lay(path, number, made)
            elif number in made:
                path.hardlink_to(made[number])
            else:
                path.write_bytes(self.files.get(number, b""))
                path.chmod(0o600)
                made[number] = path


def trials(stage: Stage, points: int, chosen: range | list[int], *, power: bool) -> Iterator[int]:
    for point in chosen:
        stage.set_up()
        shadow = stage.folder / "shadow"
        shutil.rmtree(shadow, ignore_errors=True)
        durable = Durable(stage.archive)
        status, calls = stage.run(point, shadow if power else None)
        assert status == -signal.SIGKILL or calls < point, f"call {point} of {points} never came"
        if power:
            durable.learn(shadow)
            shutil.rmtree(stage.archive)
            durable.lay(stage.archive)
        yield point


def die(folder: Path, seam: Path, name: str, *, sample: int | None, power: bool) -> tuple[int, int]:
    """Die at all points of a work, or at a few; gives how many points it has and how many were tried."""
    stage = Stage(folder, seam, name)
    stage.set_up()
    status, points = stage.run(0)
    assert status == 0
    undisturbed = stage.end()
    every = range(1, points + 1)
    rng = random.Random(f"{name} {power}")
    chosen = every if sample is None else sorted(rng.sample(every, min(sample, points)))
    tried = 0
    for point in trials(stage, points, chosen, power=power):
        where = f"{name}, {'power cut' if power else 'killed'} before call {point} of {points}"
        try:
            stage.judge_in_between()
            stage.go_on()
            assert stage.end() == undisturbed
        except Exception as error:
            raise AssertionError(where) from error
        tried += 1
    return points, tried


@pytest.mark.parametrize("power", [False, True], ids=["killed", "power cut"])
@pytest.mark.parametrize("name", PREPARED)
def test_a_death_at_any_step_changes_nothing_in_the_end(
    name: str, power: bool, seam: Path, tmp_path: Path, record_deaths: list[str]
) -> None:
    points, tried = die(tmp_path, seam, name, sample=SAMPLE, power=power)
    record_deaths.append(f"{name}: {tried} of {points} points{', power cut' if power else ''}")


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("power", [False, True], ids=["killed", "power cut"])
@pytest.mark.parametrize("name", PREPARED)
def test_a_death_at_every_step_changes_nothing_in_the_end(
    name: str, power: bool, seam: Path, tmp_path: Path, record_deaths: list[str]
) -> None:
    points, tried = die(tmp_path, seam, name, sample=None, power=power)
    assert tried == points
    record_deaths.append(f"{name}: all {points} points{', power cut' if power else ''}")
