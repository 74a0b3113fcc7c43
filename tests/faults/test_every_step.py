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
from pathlib import Path
from typing import Final

import pytest

from tests.faults.stage import MBOX, PREPARED, Stage

ROOT: Final = Path(__file__).parents[2]
SAMPLE: Final = 4
"""Points tried of each work in a plain run."""


@pytest.fixture(scope="session")
def seam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("seam") / "seam.so"
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler, "no C compiler: apt-get install gcc libc6-dev (scripts/test does it when run as root)"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, Path(__file__).with_name("seam.c"), "-ldl"], check=True)
    return library


class Dying(Stage):
    """A stage on which a process does the work, and dies before one of its calls."""

    def __init__(self, folder: Path, seam: Path, name: str) -> None:
        super().__init__(folder, name)
        self.folder, self.seam = folder, seam

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
        command = [sys.executable, "-m", "tests.faults.step_child", str(self.archive), self.work, self.container]
        done = subprocess.run(command, env=environment, start_new_session=True, capture_output=True, timeout=60, check=False)
        assert done.returncode in {0, -signal.SIGKILL}, done.stderr.decode()
        return done.returncode, struct.unpack("=Q", counter.read_bytes())[0]


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


def trials(stage: Dying, points: int, chosen: range | list[int], *, power: bool) -> Iterator[int]:
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
    stage = Dying(folder, seam, name)
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
            stage.go()
            assert stage.end() == undisturbed
        except Exception as error:
            raise AssertionError(where) from error
        tried += 1
    return points, tried


@pytest.mark.parametrize("power", [False, True], ids=["killed", "power cut"])
@pytest.mark.parametrize("name", [*PREPARED, *MBOX])
def test_a_death_at_any_step_changes_nothing_in_the_end(
    name: str, power: bool, seam: Path, tmp_path: Path, record_deaths: list[str]
) -> None:
    points, tried = die(tmp_path, seam, name, sample=SAMPLE, power=power)
    record_deaths.append(f"{name}: {tried} of {points} points{', power cut' if power else ''}")


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("power", [False, True], ids=["killed", "power cut"])
@pytest.mark.parametrize("name", [*PREPARED, *MBOX])
def test_a_death_at_every_step_changes_nothing_in_the_end(
    name: str, power: bool, seam: Path, tmp_path: Path, record_deaths: list[str]
) -> None:
    points, tried = die(tmp_path, seam, name, sample=None, power=power)
    assert tried == points
    record_deaths.append(f"{name}: all {points} points{', power cut' if power else ''}")
